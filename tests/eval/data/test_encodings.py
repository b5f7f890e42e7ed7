"""Manifests, tables and labels in the encodings that other programs write, and what is no text."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from eval.data.dataset import load_dataset
from eval.data.types import DataError, Dataset

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
LABEL = "größer als zwölf"


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path) -> None:
    """Three recordings, a to c."""
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)


def texts(dataset: Dataset) -> list[str]:
    return [utterance.text for utterance in dataset.utterances]


def problems(dataset: Dataset) -> list[tuple[int, str]]:
    return [(problem.line, problem.what.split(", wanted")[0]) for problem in dataset.problems]


def rows(names: Iterable[str] = "ab") -> list[str]:
    return [json.dumps({"audio_filepath": f"{n}.wav", "text": f"{LABEL} {n}"}, ensure_ascii=False) for n in names]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_manifest_is_the_same_in_every_encoding(tmp_path: Path, encoding: str, end: str) -> None:
    """The first line too, which a byte order mark once made no JSON; empty lines are none."""
    (tmp_path / "m.jsonl").write_bytes(end.join(["", *rows(), "  ", ""]).encode(encoding))
    dataset = load_dataset(tmp_path / "m.jsonl")
    assert texts(dataset) == [f"{LABEL} a", f"{LABEL} b"]
    assert dataset.problems == ()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_the_same_in_every_encoding(tmp_path: Path, encoding: str, suffix: str, end: str) -> None:
    """The first column's name too; U+2028 ends no line."""
    cells = [["path", "text"], ["a.wav", f"{LABEL} a"], ["", ""], ["b.wav", "b\u2028c"]]
    lines = [("," if suffix == ".csv" else "\t").join(row) for row in cells]
    (tmp_path / f"t{suffix}").write_bytes((end.join(lines) + end).encode(encoding))
    dataset = load_dataset(tmp_path / f"t{suffix}")
    assert texts(dataset) == [f"{LABEL} a", "b\u2028c"]
    assert dataset.problems == ()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_label_beside_its_recording_is_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """One word of each label was wrong where Notepad wrote them. Lines of a label are joined."""
    for name in "abc":
        (tmp_path / f"{name}.txt").write_bytes(f"{LABEL}\r\n {name}\r\n".encode(encoding))
    assert texts(load_dataset(tmp_path)) == [f"{LABEL} {name}" for name in "abc"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_librispeech_is_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """The first recording too."""
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.flac", np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    (tmp_path / "x.trans.txt").write_bytes(f"a {LABEL}\r\nb {LABEL}\r\n".encode(encoding))
    assert texts(load_dataset(tmp_path)) == [LABEL] * 2


def test_joined_manifests_have_marks_in_the_middle(tmp_path: Path) -> None:
    """`cat a.jsonl b.jsonl` keeps both."""
    (tmp_path / "m.jsonl").write_bytes("".join(f"{row}\n" for row in rows()).encode("utf-8-sig") * 2)
    assert len(texts(load_dataset(tmp_path / "m.jsonl"))) == 4


def test_one_line_in_latin_1_is_left_out_and_named(tmp_path: Path) -> None:
    """The others are used. Its letters were silently replaced in tables."""
    bad = rows("b")[0].encode("latin-1")
    (tmp_path / "m.jsonl").write_bytes(b"\n".join([rows("a")[0].encode(), bad, rows("c")[0].encode()]))
    dataset = load_dataset(tmp_path / "m.jsonl")
    assert texts(dataset) == [f"{LABEL} a", f"{LABEL} c"]
    assert problems(dataset) == [(2, "found no JSON but no UTF-8 (byte 0xf6)")]
    (tmp_path / "t.csv").write_bytes(f"path,text\na.wav,{LABEL}\n".encode("latin-1") + b"b.wav,plain\n")
    dataset = load_dataset(tmp_path / "t.csv")
    assert texts(dataset) == ["plain"]
    assert problems(dataset) == [(2, "text: found no UTF-8 (byte 0xf6)")]
    (tmp_path / "a.txt").write_bytes(f"first\n{LABEL}".encode("latin-1"))
    (tmp_path / "b.txt").write_text("plain")
    assert problems(load_dataset(tmp_path))[0] == (0, "a.txt:2: found no UTF-8 (byte 0xf6)")


def test_nul_characters_are_named_with_their_line(tmp_path: Path) -> None:
    """A crash of the file system leaves them, and so does UTF-16 without its mark."""
    (tmp_path / "m.jsonl").write_bytes(rows("a")[0].encode() + b"\n" + bytes(20) + b"\n" + rows("b")[0].encode())
    assert problems(load_dataset(tmp_path / "m.jsonl")) == [(2, "found no JSON but NUL characters")]
    (tmp_path / "n.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x\\u0000"}\n' + rows("b")[0])
    assert problems(load_dataset(tmp_path / "n.jsonl")) == [(1, "text: found NUL characters")]
    (tmp_path / "t.csv").write_bytes(b"path,text\na.wav,x\0\nb.wav,y\n")
    assert problems(load_dataset(tmp_path / "t.csv")) == [(2, "text: found NUL characters")]
    (tmp_path / "u.csv").write_bytes("path,text\na.wav,x\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"u\.csv:1: found NUL characters, wanted UTF-8, or UTF-16 with a byte order"):
        load_dataset(tmp_path / "u.csv")


def test_half_a_character_is_named(tmp_path: Path) -> None:
    """JSON can write one; no trace could."""
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x\\ud800"}\n' + rows("b")[0])
    assert problems(load_dataset(tmp_path / "m.jsonl")) == [(1, "text: found half a character (U+D800)")]


def test_trailing_commas(tmp_path: Path) -> None:
    """Spreadsheets write one for each empty column, and lines of nothing else; JSON allows none."""
    (tmp_path / "t.csv").write_text("path,text,,\na.wav,one,,\nb.wav,two,,,,\nc.wav,three\n,,,\n,,\n")
    dataset = load_dataset(tmp_path / "t.csv")
    assert texts(dataset) == ["one", "two", "three"]
    assert dataset.problems == ()
    (tmp_path / "t.csv").write_text("path,text\na.wav,one,\nb.wav,two,more\n")
    assert problems(load_dataset(tmp_path / "t.csv")) == [(3, "found 3 columns")]
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x",}\n' + rows("b")[0])
    ((line, what),) = problems(load_dataset(tmp_path / "m.jsonl"))
    assert (line, what[:13]) == (1, "found no JSON")


def test_a_file_name_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    """It can be printed and written, so that the report of the others is not lost."""
    odd = os.fsencode(tmp_path / "caf") + b"\xe9"
    os.link(os.fsencode(tmp_path / "a.wav"), odd + b".wav")
    Path(os.fsdecode(odd + b".txt")).write_text("x")
    (tmp_path / "b.txt").write_text("plain")
    dataset = load_dataset(tmp_path)
    assert texts(dataset) == ["plain"]
    (problem,) = (problem for problem in dataset.problems if "caf" in problem.file.name)
    assert (
        str(problem)
        .encode()
        .endswith(
            b"caf\\udce9.wav: audio_filepath: found no UTF-8 (byte 0xe9), "
            + b"wanted UTF-8, or UTF-16 with a byte order mark"
        )
    )
