"""The server's settings: defaults, a user's file over them, and what is refused."""

from pathlib import Path

import pytest

from asr.errors import ConfigError
from server.config import load_settings


def test_the_server_is_private_by_default() -> None:
    """The defaults in `configs/server.toml`."""
    settings = load_settings()
    assert (settings.host, settings.port, settings.models[0]) == ("127.0.0.1", 8000, "whisper-tiny.en")
    assert settings.allowed_origins == ()


def test_a_file_overrides_the_defaults_and_options_override_the_file(tmp_path: Path) -> None:
    """Keys that the file does not have keep their defaults."""
    file = tmp_path / "my.toml"
    file.write_text("port = 9000\nmax_streams = 2\n[session.vad]\nendpoint_ms = 700\n")
    settings = load_settings(file, host="0.0.0.0", port=None)
    assert (settings.host, settings.port, settings.max_streams) == ("0.0.0.0", 9000, 2)
    assert settings.session.vad.endpoint_ms == 700
    assert settings.max_batch == load_settings().max_batch


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("max_steams = 2", "unknown key 'max_steams'"),
        ("port = 70000", "port: found 70000, wanted 0 to 65535"),
        ("models = []", "models: found an empty list"),
        ("idle_timeout_s = 0", "idle_timeout_s: found 0.0, wanted more than 0"),
        ("max_streams = 'many'", "max_streams: found 'many', wanted int"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, toml: str, sentence: str) -> None:
    """With the key, what was found and what is wanted."""
    (tmp_path / "bad.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "bad.toml")
    assert sentence in str(caught.value)
