"""The encodings that text files come in."""

from pathlib import Path

import pytest

from asr.config import read_toml
from asr.errors import ConfigError
from asr.text_files import decoded, fault, lines_of

TEXT = "größer, 日本\nzweite"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_the_same_in_every_encoding(encoding: str) -> None:
    """Python's utf-16 and utf-32 write a byte order mark."""
    assert decoded(TEXT.encode(encoding)) == TEXT
    assert fault(decoded(TEXT.encode(encoding))) == ""


def test_big_endian_is_read_too() -> None:
    """By its mark."""
    assert decoded(b"\xfe\xff" + TEXT.encode("utf-16-be")) == TEXT


def test_lines_end_at_line_ends_only() -> None:
    """A label may hold what `str.splitlines` takes for a line end; joined files have marks in the middle."""
    assert lines_of("\ufeffa\r\nb\u2028c\x0bd\re\n\ufefff".encode()) == ["a", "b\u2028c\x0bd", "e", "f"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("größer".encode("latin-1"), "no UTF-8 (byte 0xf6)"),
        ("abc".encode("utf-16-le"), "NUL characters"),
        (b"abc\0\0", "NUL characters"),
        (b"caf\xc3", "no UTF-8 (byte 0xc3)"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, found: str) -> None:
    """Never guessed: Latin-1 read as anything else gives wrong letters."""
    assert fault(decoded(data)) == f"found {found}, wanted UTF-8, or UTF-16 with a byte order mark"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_settings_may_have_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """As Notepad writes them."""
    (tmp_path / "s.toml").write_bytes("[vad]\r\nendpoint_ms = 500\r\n".encode(encoding))
    assert read_toml(tmp_path / "s.toml") == {"vad": {"endpoint_ms": 500}}
    (tmp_path / "s.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="no UTF-8"):
        read_toml(tmp_path / "s.toml")
