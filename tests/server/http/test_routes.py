"""All routes but streams, with a scripted engine: health, metrics, models, the page's headers, recordings by POST."""

import struct
import threading

import httpx
import pytest

from asr.engine import Engine
from asr.transcripts.recording import transcribe
from server.http.service import SAMPLE, SAMPLE_WORD
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, Running, eventually, pcm, running, transcript, until_closed, wav

pytestmark = pytest.mark.slow

PATH = "/v1/audio/transcriptions"


def post(server: Running, data: bytes = b"", **fields: object) -> httpx.Response:
    return httpx.post(server.url + PATH, files={"file": ("a.wav", data)}, data=fields, timeout=60)


def test_healthy_is_not_ready(scripted: Running) -> None:
    """The scripted engine does not recognise the built-in sample: `/readyz` says so, `/healthz` is 200."""
    assert httpx.get(scripted.url + "/healthz").status_code == 200
    answer = httpx.get(scripted.url + "/readyz")
    assert answer.status_code == 503
    assert "in the built-in sample, wanted the word 'seven'" in answer.json()["reason"]


@pytest.mark.model
@pytest.mark.parametrize("model", ["whisper-tiny.en", "whisper-base"])
def test_the_models_that_come_as_packages_recognise_the_built_in_sample(model: str) -> None:
    """Otherwise their server would never be ready: whisper-base once gave "The Humber is Heaven" (real weights)."""
    assert SAMPLE_WORD in transcribe(SAMPLE, Engine.load(model, threads=1)).text


def test_metrics_are_numbers_and_never_text(scripted: Running) -> None:
    """Prometheus' format, without any recognised text."""
    with scripted.listen() as socket:
        socket.send(pcm(2.0))
        socket.send(CLOSE)
        assert transcript(until_closed(socket)[0]) == words(4)
    eventually(lambda: scripted.metric("asr_open_streams") == 0)
    text = scripted.get("/metrics")
    for name in (
        "asr_open_streams 0.0",
        "asr_finals_total 1.0",
        'asr_ended_total{code="1000"} 1.0',
        "asr_lag_seconds",
    ):
        assert name in text
    assert 'asr_model_info{model="scripted-1",weights_sha256="555' in text
    assert "w0" not in text


def test_models_are_listed_by_name(scripted: Running) -> None:
    """OpenAI's form, with the default marked and the languages listed."""
    body = httpx.get(scripted.url + "/v1/models").json()
    assert body["object"] == "list"
    [model] = body["data"]
    assert (model["id"], model["default"], model["languages"]) == ("scripted-1", True, ["en", "ja"])
    assert model["architecture"] == "scripted"


class HubEngine(ScriptedEngine):
    name = "org/model-1"


def test_a_model_is_described_by_its_id() -> None:
    """A hub id with its slash, as it is or escaped; OpenAI's error for an unknown one."""
    with running(ScriptedEngine(), HubEngine()) as server:
        [first, second] = httpx.get(server.url + "/v1/models").json()["data"]
        for name, expected in (("scripted-1", first), ("whisper-1", first), ("org/model-1", second)):
            assert httpx.get(f"{server.url}/v1/models/{name}").json() == expected
        assert httpx.get(f"{server.url}/v1/models/org%2Fmodel-1").json() == second
        answer = httpx.get(f"{server.url}/v1/models/gpt-9")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_the_page_comes_with_a_strict_policy(scripted: Running) -> None:
    """Nothing inline, nothing from another host, in no frame."""
    answer = httpx.get(scripted.url + "/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(scripted.url + "/static/%2e%2e/app.py").status_code == 404


def test_a_recording_is_answered_with_its_text(scripted: Running) -> None:
    """The words of all its utterances, the last one too."""
    answer = post(scripted, wav(2.7), model="whisper-1")
    assert answer.json() == {"text": words(5), "usage": {"type": "duration", "seconds": 3}}


@pytest.mark.parametrize(
    ("fields", "status", "param", "sentence"),
    [
        ({"response_format": "docx"}, 400, "response_format", "found 'docx', wanted one of json, text, srt, vtt"),
        ({"timestamp_granularities[]": "word"}, 400, "timestamp_granularities[]", "needs response_format=verbose_json"),
        ({"timestamp_granularities[]": "letter"}, 400, "timestamp_granularities[]", "found 'letter'"),
        ({"model": "/etc/passwd"}, 404, "model", "unknown model '/etc/passwd'; this server has scripted-1"),
        ({"language": "tlh"}, 400, "language", "found the language 'tlh'"),
        ({"colour": "blue"}, 400, "colour", "unknown field 'colour'"),
        ({"prompt": "x" * 5000}, 400, "prompt", "found 5000 characters"),
        ({"stream": "true"}, 400, "stream", "the transcript is sent whole"),
        ({"stream": "True"}, 400, "stream", "found 'True', wanted false"),
        ({"stream": "1", "response_format": "text"}, 400, "stream", "/v1/listen"),
    ],
)
def test_fields_that_cannot_be_served_are_refused(
    scripted: Running, fields: dict[str, str], status: int, param: str, sentence: str
) -> None:
    """OpenAI's form of an error, which names the field."""
    answer = post(scripted, wav(0.5), **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (status, "invalid_request_error", param)
    assert sentence in error["message"]


def test_fields_without_effect_are_accepted(scripted: Running) -> None:
    """In the forms in which SDKs write lists and objects."""
    fields = {
        "stream": "false",
        "temperature": "0.2",
        "chunking_strategy": "auto",
        "chunking_strategy[type]": "server_vad",
        "chunking_strategy[threshold]": "0.5",
        "include[]": "logprobs",
    }
    assert post(scripted, wav(0.5), **fields).json()["text"] == "w0"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty file"),
        pytest.param(b"Dear reader, this is no sound at all.", id="no audio"),
        pytest.param(wav(0.0), id="zero-length audio"),
        pytest.param(wav(1.0)[:30], id="truncated header"),
        pytest.param(b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVEfmt ", id="a header that promises too much"),
    ],
)
def test_files_that_hold_no_audio_are_refused(scripted: Running, data: bytes) -> None:
    """HTTP 400 on the field `file`, and the next one is served."""
    answer = post(scripted, data)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")
    assert post(scripted, wav(0.5)).json()["text"] == "w0"


def test_a_post_without_a_file_is_refused(scripted: Running) -> None:
    """As a form without the field, and as no form at all."""
    for options in ({"data": {"model": "whisper-1"}}, {"content": b"hello"}, {"files": {"other": b"x"}}):
        answer = httpx.post(scripted.url + PATH, **options)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


def test_a_broken_form_is_refused_in_the_same_form(scripted: Running) -> None:
    """Starlette's own refusals have OpenAI's shape too."""
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(scripted.url + PATH, content=b"--y\r\nno form", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert httpx.get(scripted.url + PATH).json()["error"]["message"] == "Method Not Allowed"


def test_an_upload_over_the_limit_is_refused() -> None:
    """HTTP 413, with and without a Content-Length, and the next upload is served."""
    with running(ScriptedEngine(), max_upload_bytes=100_000) as server:
        answer = post(server, wav(10.0))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")
        headers = {"content-type": "multipart/form-data; boundary=x"}
        endless = (bytes(10_000) for _ in range(30))
        assert httpx.post(server.url + PATH, content=endless, headers=headers).status_code in (400, 413)
        assert post(server, wav(2.0)).status_code == 200


def test_other_pages_may_not_post(scripted: Running) -> None:
    """HTTP 403, also for a form that browsers send without a preflight."""
    answer = httpx.post(scripted.url + PATH, files={"file": wav(0.5)}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_a_full_server_refuses_uploads_too() -> None:
    """Streams and uploads share the places; OpenAI's SDK obeys Retry-After."""
    with running(ScriptedEngine(), max_streams=1) as server, server.listen():
        answer = post(server, wav(0.5))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["type"] == "server_error"


def test_an_upload_whose_client_disconnects_is_cancelled() -> None:
    """Nobody waits for its text any more."""
    engine = ScriptedEngine()
    with running(engine) as server:
        engine.gate.clear()
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(server.url + PATH, files={"file": wav(60.0)}, timeout=0.3)
        eventually(lambda: server.metric("asr_open_streams") == 0)
        engine.gate.set()
        assert post(server, wav(0.5)).json()["text"] == "w0"
        assert len(engine.batches) < 10  # of the more than thirty that the minute would have taken


def test_an_upload_leaves_room_for_streams() -> None:
    """A live stream gets results while a long recording is being recognised."""
    engine = ScriptedEngine(step_s=0.01)
    with running(engine) as server:
        done = threading.Event()

        def upload() -> None:
            assert post(server, wav(600.0)).status_code == 200
            done.set()

        thread = threading.Thread(target=upload)
        thread.start()
        eventually(lambda: bool(engine.batches))
        with server.listen() as socket:
            socket.send(pcm(2.0))
            socket.recv(timeout=30)
            assert not done.is_set()
        thread.join()
        assert done.is_set()
