"""Services with a key: Deepgram's wire and OpenAI's endpoint, by local servers that check what the services check."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import soundfile
from websockets.asyncio.server import ServerConnection

from eval.runs.live import Target, run_load
from eval.runs.uploads import run_uploads, upload
from eval.trace import Trace
from tests.eval.fakes import recording
from tests.server.fakes import ScriptedEngine
from tests.server.running import running
from tests.server.scripted_server import answer, listening

KEY = "sk-secret-0123456789"


async def deepgram(socket: ServerConnection) -> None:
    """Refuses a stream without the key, and repeats the header that it got, as careless services do."""
    assert socket.request is not None
    given = socket.request.headers.get("Authorization", "nothing")
    if given != f"Token {KEY}":
        await socket.close(1008, f"invalid credentials: {given}")
        return
    await answer(socket)


def streamed(key: str) -> Trace:
    traces: list[Trace] = []
    with listening(deepgram) as url:
        run_load(Target(url, "nova", "nova", 0.05, key), [recording(0.2)], 1, traces.append, stagger=False)
    return traces[0]


def test_a_live_service_takes_the_key_in_its_header() -> None:
    """As Deepgram's SDK sends it."""
    assert (streamed(KEY).text, streamed(KEY).error) == ("red green", "")


def test_a_refusal_does_not_bring_the_key_into_the_trace() -> None:
    """Traces are shared, keys are not."""
    error = streamed(KEY + "x").error
    assert "invalid credentials: Token ***" in error
    assert KEY not in error
    assert KEY not in repr(Target("ws://h", "m", key=KEY))


class OpenAi(BaseHTTPRequestHandler):
    """Checks the key and the form, and answers with what it got. Unreal: it recognises nothing."""

    busy = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self._answer(401, {"error": {"message": f"Incorrect API key: {self.headers['Authorization']}"}})
        if type(self).busy:
            type(self).busy -= 1
            return self._answer(429, {"error": {"message": "slow down"}})
        form = BytesParser().parsebytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
        wav = parts["file"].get_payload(decode=True)
        assert wav[:4] == b"RIFF"
        about = " ".join(str(parts[name].get_payload()) for name in ("model", "language", "response_format"))
        return self._answer(200, {"text": f" {self.path} {about} {len(wav)}"})

    def _answer(self, status: int, table: dict[str, object]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(table).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def openai() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), OpenAi) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_upload_is_a_form_with_a_wav_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model, language without region, JSON asked for; a busy service is asked again."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(OpenAi, "busy", 2)
    with openai() as url:
        trace = upload(Target(url, "w", "whisper-1", key=KEY), recording(0.5, language="en-GB"))
    assert trace.error == ""
    assert trace.text == f"/v1/audio/transcriptions whisper-1 en json {44 + 2 * 8000}"
    assert (trace.mode, trace.model, trace.busy_s is not None) == ("offline", "w", True)


def test_a_refused_upload_is_a_trace_with_an_error_without_the_key() -> None:
    """And one that answers nothing useful, or is not there."""
    with openai() as url:
        error = upload(Target(url, "w", key="wrong-" + KEY), recording(0.1)).error
    assert "HTTP 401" in error
    assert KEY not in error
    assert upload(Target(url, "w", key=KEY), recording(0.1)).error.startswith("ConnectionRefusedError")


def test_our_own_server_takes_the_same_uploads() -> None:
    """The endpoint of `asr serve`, with a scripted engine."""
    traces: list[Trace] = []
    with running(ScriptedEngine()) as server:
        run_uploads(Target(server.url, "ours"), [recording(1.0, name=f"u{i}") for i in range(3)], 2, traces.append)
    assert [(trace.utterance, trace.error) for trace in traces] == [(f"u{i}", "") for i in range(3)]


@pytest.mark.slow
def test_no_file_of_a_run_holds_the_key(
    asr, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither run.json nor traces nor the report nor the terminal; the variable's name is no secret."""
    soundfile.write(data / "b.wav", [0.0] * 24_000, 16_000)
    monkeypatch.setenv("SERVICE_KEY", KEY)
    options = ["--key-env", "SERVICE_KEY", "--model", "m", "--audio-mb", "0", "--data", data, "--out"]
    with openai() as url:
        assert asr("eval", "run", *options, tmp_path / "1", "--url", url, "--wire", "openai", "--mode", "offline") == 0
    with listening(deepgram) as url:
        assert asr("eval", "run", *options, tmp_path / "2", "--url", url, "--mode", "live") == 0
    shown = capsys.readouterr()
    written = [file.read_text() for folder in "12" for file in (tmp_path / folder).glob("*")]
    assert len(written) == 10
    assert not any(KEY in text for text in (shown.out, shown.err, *written))


def test_wrong_combinations_are_refused(
    asr, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read or sent."""
    command = ["eval", "run", "--data", data, "--out", tmp_path / "out"]
    monkeypatch.setenv("FULL", KEY)
    for options, sentence in (
        (["--wire", "openai"], "give --url and --mode offline"),
        (["--wire", "openai", "--url", "http://h", "--mode", "live"], "give --url and --mode offline"),
        (["--wire", "soap", "--url", "http://h"], "wanted deepgram or openai"),
        (["--key-env", "EMPTY", "--url", "ws://h", "--mode", "live"], "EMPTY is empty"),
        (["--key-env", "FULL"], "give both"),
    ):
        assert asr(*command, *options) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
