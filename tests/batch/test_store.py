"""Object storage: a real S3 server on loopback (moto's), and fsspec's own memory store."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asr import cli
from tests.speech import RATE_HZ, clip

pytestmark = pytest.mark.model

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: make setup")


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("fox") / "fox.flac"
    soundfile.write(path, clip("quick_brown_fox"), RATE_HZ)
    return path.read_bytes()


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://box"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a local server; no real account is used."""
    server_module = pytest.importorskip(
        "moto.server", reason="moto's server is not installed: pip install moto[server]"
    )
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    system.mkdir("box")
    yield "s3://box"
    fsspec.filesystem("s3").invalidate_cache()
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def box(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_recordings_in_a_store_become_texts_in_a_store_and_a_second_run_resumes(
    box: str, fox: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tree, failures and journal as on a disk; a changed object is done again."""
    system, root = fsspec.core.url_to_fs(box)
    for name, content in {"in/fox.flac": fox, "in/deep/fox 2.flac": fox, "in/broken.mp3": b"no sound"}.items():
        system.pipe_file(f"{root}/{name}", content)
    command = ["transcribe", f"{box}/in", "--recursive", "--output-dir", f"{box}/out", "--format", "txt,json"]
    command += ["--workers", "1"]
    assert cli.run(command) == 1
    assert "2 done" in capsys.readouterr().err
    transcript: dict[str, Any] = json.loads(system.cat_file(f"{root}/out/deep/fox 2.json"))
    assert "brown fox" in transcript["text"]
    row = json.loads(system.cat_file(f"{root}/out/failures.jsonl"))
    assert row["input"].endswith("box/in/broken.mp3")
    assert "tmp" not in row["error"]
    system.pipe_file(f"{root}/in/broken.mp3", fox)
    assert cli.run(command) == 0
    err = capsys.readouterr().err
    assert "1 done (" in err
    assert "2 done before" in err
    assert not system.exists(f"{root}/out/failures.jsonl")


def test_from_a_store_to_a_disk(memory: str, fox: bytes, tmp_path: Path) -> None:
    """Input and output are independent."""
    fsspec.filesystem("memory").pipe_file("/box/in/fox.flac", fox)
    command = ["transcribe", f"{memory}/in/fox.flac", "--output-dir", str(tmp_path / "out"), "--workers", "1"]
    assert cli.run(command) == 0
    assert "fox" in (tmp_path / "out/fox.txt").read_text()
    assert os.listdir(tmp_path) == ["out"]
