"""All routes but streams, with a scripted engine: health, metrics, models, the page's headers, recordings by POST."""

import json
import math
import struct
import threading
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asr.engine import Engine
from asr.self_test import SAMPLE, SAMPLE_WORD
from asr.transcripts.recording import transcribe
from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed, wav, wav_of

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
    assert 'asr_model_info{model="scripted-1",release="",weights_sha256="555' in text
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


ALIASES = (
    "nova-3", "nova-3-general", "nova-3-medical", "nova-2", "Nova-2-phonecall", "whisper-1", "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "gpt-transcribe", "gpt-realtime-whisper",
    "gpt-live-transcribe", "flux-general-en",
)  # fmt: skip
"""Defaults of clients: deepgram-sdk's README, openai-python, LiveKit's and Pipecat's services."""


@pytest.mark.parametrize("name", ALIASES)
def test_the_names_that_clients_send_by_default_are_the_default_model(scripted: Running, name: str) -> None:
    """On every wire; the answers name the model that really served."""
    assert post(scripted, wav(0.5), model=name).json()["text"] == "w0"
    assert httpx.get(f"{scripted.url}/v1/models/{name}").json()["id"] == "scripted-1"
    with scripted.listen(f"{RAW}&model={name}") as socket:
        socket.send(pcm(0.5))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert code == 1000
    [info] = messages[-1]["model_info"].values()
    assert (info["name"], messages[0]["metadata"]["model_info"]["name"]) == ("scripted-1", "scripted-1")


@pytest.mark.parametrize("name", ["gpt-9", "gpt-4o", "nova", "xnova-3", "whisper-2", "gpt-realtime", "*", "nova-[23]"])
def test_other_unknown_models_are_refused(scripted: Running, name: str) -> None:
    """A name that is close to an alias is none."""
    answer = post(scripted, wav(0.5), model=name)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


class Nova(ScriptedEngine):
    name = "nova-3"


def test_aliases_are_a_setting_and_a_models_own_name_goes_first() -> None:
    """A served model is never hidden by an alias of the default one."""
    with running(ScriptedEngine(), Nova(), model_aliases=("nova-*", "house-model")) as server:
        for name, served in (("nova-3", "nova-3"), ("nova-2", "scripted-1"), ("House-Model", "scripted-1")):
            assert httpx.get(f"{server.url}/v1/models/{name}").json()["id"] == served
        assert httpx.get(f"{server.url}/v1/models/whisper-1").status_code == 404


def test_every_refusal_is_one_line_in_the_log(scripted: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Reason and request id, as in the response; what a client sends begins no line of its own."""
    answer = post(scripted, wav(0.5), **{"colour\nERROR all is lost": "blue"})
    [record] = [r for r in caplog.records if "refused" in r.getMessage()]
    line = record.getMessage()
    assert f"refused POST {PATH} with 400: unknown field '...'" in line
    assert answer.headers["x-request-id"] in line
    assert "\n" not in line
    caplog.clear()
    with pytest.raises(InvalidStatus) as refused, scripted.listen(f"{RAW}&callback=http://x/%0AERROR"):
        pass
    [record] = [r for r in caplog.records if "refused" in r.getMessage()]
    assert "refused WebSocket /v1/listen with 400: callback is not supported here" in record.getMessage()
    assert json.loads(refused.value.response.body or b"")["request_id"] in record.getMessage()


def test_an_unknown_websocket_address_is_not_found(scripted: Running) -> None:
    """HTTP 404 with a sentence: a bare 403 would send people to look for keys."""
    with pytest.raises(InvalidStatus) as refused, connect(scripted.url.replace("http", "ws") + "/v9/listen"):
        pass
    assert refused.value.response.status_code == 404
    assert "no WebSocket at '/v9/listen'" in json.loads(refused.value.response.body or b"")["error"]["message"]


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
        ({"stream": "maybe"}, 400, "stream", "found 'maybe', wanted true or false"),
        ({"stream": "true", "response_format": "srt"}, 400, "stream", "needs response_format=json or text, found srt"),
        ({"include[]": "tokens"}, 400, "include[]", "found 'tokens', wanted one of logprobs"),
        ({"include[]": "logprobs", "response_format": "vtt"}, 400, "include[]", "needs response_format=json"),
        ({"languages[]": "tlh"}, 400, "language", "found the language 'tlh'"),
        ({"languages[]": "no language"}, 400, "language", "found language 'no language', wanted a code"),
        ({"keywords[]": ["a"] * 101}, 400, "hotwords", "found 101, wanted at most 100"),
        ({"response_format": "diarized_json"}, 400, "response_format", "found 'diarized_json', wanted one of"),
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
    }
    assert post(scripted, wav(0.5), **fields).json()["text"] == "w0"


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The server-sent events before the mark that ends them."""
    *datas, last, rest = answer.text.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    return [json.loads(data.removeprefix("data: ")) for data in datas]


@pytest.mark.parametrize("fields", [{"stream": "true"}, {"stream": "True", "response_format": "text"}])
def test_a_recording_is_streamed_as_events(scripted: Running, fields: dict[str, str]) -> None:
    """A delta for each final; joined they are the text of `done`."""
    answer = post(scripted, wav(2.7), **fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events(answer)
    assert [delta["delta"] for delta in deltas] == [words(4), " w4"]
    assert {delta["type"] for delta in deltas} == {"transcript.text.delta"}
    usage = {"type": "duration", "seconds": 3}
    assert done == {"type": "transcript.text.done", "text": words(5), "usage": usage}
    eventually(lambda: scripted.metric("asr_open_streams") == 0)


def test_words_are_sent_while_the_rest_is_recognised() -> None:
    """The first delta is there while the model still waits with the next step."""
    engine = ScriptedEngine()
    with running(engine) as server:
        files, data = {"file": ("a.wav", wav(60.0))}, {"stream": "true"}
        with httpx.stream("POST", server.url + PATH, files=files, data=data, timeout=30) as answer:
            lines = answer.iter_lines()
            assert words(4) in next(lines)
            engine.gate.clear()
            assert server.metric("asr_open_streams") == 1
            engine.gate.set()
            *_, done, _, last, _ = lines
    assert json.loads(done.removeprefix("data: "))["text"] == words(120)
    assert last == "data: [DONE]"


def test_a_client_that_leaves_a_stream_of_events_frees_its_place() -> None:
    """The rest of the recording is not recognised."""
    engine = ScriptedEngine()
    with running(engine) as server:
        files, data = {"file": ("a.wav", wav(600.0))}, {"stream": "true"}
        engine.step_s = 0.02
        with httpx.stream("POST", server.url + PATH, files=files, data=data, timeout=30) as answer:
            next(answer.iter_lines())
        eventually(lambda: server.metric("asr_open_streams") == 0)
        assert len(engine.batches) < 200  # of the 300 that the ten minutes would take


def test_an_error_after_the_first_words_is_an_event(scripted: Running, caplog: pytest.LogCaptureFixture) -> None:
    """The status was sent; OpenAI's SDKs raise what has the key `error`. The next recording is served."""
    answer = post(scripted, wav_of(POISON, after_s=11.0), stream="true")
    *before, last = [json.loads(e.removeprefix("data: ")) for e in answer.text.split("\n\n")[:-1]]
    assert (answer.status_code, before[0]["delta"]) == (200, words(4))
    assert last["error"]["code"] == "internal"
    assert "with 500" in caplog.text
    assert post(scripted, wav(0.5), stream="true").status_code == 200


def test_an_error_before_the_first_words_is_a_status(scripted: Running) -> None:
    """A file that is none is refused as without `stream`."""
    answer = post(scripted, b"no audio", stream="true")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


class Monolingual(ScriptedEngine):
    translates = False


def translated(server: Running, **fields: object) -> httpx.Response:
    return httpx.post(server.url + "/v1/audio/translations", files={"file": ("a.wav", wav(2.5))}, data=fields)


def test_a_recording_is_translated(scripted: Running) -> None:
    """The session is opened for it; the answer is English, in every form but events."""
    assert translated(scripted, model="whisper-1", temperature="0").json()["text"] == words(5)
    engine = scripted.service.schedulers["scripted-1"].engine
    settings = engine.opened[-1].settings  # type: ignore[attr-defined]
    assert (settings.decode.translate, settings.stream.gap_s) == (True, math.inf)
    verbose = translated(scripted, response_format="verbose_json").json()
    assert (verbose["task"], verbose["language"], len(verbose["segments"])) == ("translate", "en", 2)
    assert translated(scripted, response_format="vtt").text.startswith("WEBVTT")
    post(scripted, wav(0.5))
    assert not engine.opened[-1].settings.decode.translate  # type: ignore[attr-defined]


@pytest.mark.parametrize("field", ["language", "stream", "include[]", "timestamp_granularities[]", "chunking_strategy"])
def test_fields_of_transcriptions_alone_are_refused_for_translations(scripted: Running, field: str) -> None:
    """OpenAI's translations have none of them."""
    answer = translated(scripted, **{field: "en"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert "known are file, model, prompt, response_format" in answer.json()["error"]["message"]


def test_a_model_that_does_not_translate_says_so() -> None:
    """400, at the field that chooses another."""
    with running(Monolingual()) as server:
        answer = translated(server)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
        assert "model scripted-1 does not translate" in answer.json()["error"]["message"]
        assert post(server, wav(0.5)).status_code == 200


CHUNKINGS: list[tuple[dict[str, str], int | None]] = [
    ({"chunking_strategy": "auto"}, None),
    ({"chunking_strategy": ""}, None),
    ({"chunking_strategy": '{"type": "server_vad"}'}, None),
    ({"chunking_strategy": '{"type": "server_vad", "silence_duration_ms": 700}'}, 700),
    ({"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "700"}, 700),
    ({"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "0"}, 10),
    ({"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "1e9"}, 5000),
    ({"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.5"}, None),
]


@pytest.mark.parametrize(("fields", "pause_ms"), CHUNKINGS)
def test_a_chunking_strategy_says_which_pause_ends_a_segment(
    scripted: Running, fields: dict[str, str], pause_ms: int | None
) -> None:
    """As an object in fields or in JSON; without a duration it is the server's own."""
    assert post(scripted, wav(0.5), **fields).status_code == 200
    vad = scripted.service.schedulers["scripted-1"].engine.opened[-1].settings.vad  # type: ignore[attr-defined]
    assert vad.endpoint_ms == (pause_ms or scripted.service.settings.session.vad.file_endpoint_ms)


@pytest.mark.parametrize(
    "fields",
    [
        {"chunking_strategy": "vad"},
        {"chunking_strategy": "[1]"},
        {"chunking_strategy": "{"},
        {"chunking_strategy": '{"type": "semantic_vad"}'},
        {"chunking_strategy": '{"silence_duration_ms": 1}'},
        {"chunking_strategy": '{"type": "server_vad", "silence_duration_ms": NaN}'},
        {"chunking_strategy": '{"type": "server_vad", "silence_duration_ms": true}'},
        {"chunking_strategy": '{"type": "server_vad", "eagerness": "low"}'},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "-1"},
    ],
)
def test_another_chunking_strategy_is_refused(scripted: Running, fields: dict[str, str]) -> None:
    """With what is known."""
    answer = post(scripted, wav(0.5), **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "chunking_strategy"
    assert "wanted" in answer.json()["error"]["message"]


def test_a_field_without_a_value_is_not_given_and_none_is_given_twice(scripted: Running) -> None:
    """As in the query of `/v1/listen`; a scalar is no list."""
    values = {"model": "whisper-1", "language": "en", "prompt": "So,", "response_format": "json", "stream": "false"}
    for name, value in values.items():
        assert post(scripted, wav(0.5), **{name: ""}).status_code == 200
        assert f"{name} is given twice" in post(scripted, wav(0.5), **{name: [value, value]}).text
        assert f"unknown field '{name}[]'" in post(scripted, wav(0.5), **{f"{name}[]": value}).text


def test_logprobs_are_sent_where_they_are_asked_for(scripted: Running) -> None:
    """The logarithm of each word's confidence, 0.9; the tokens joined are the text."""
    body = post(scripted, wav(1.0), **{"include[]": "logprobs"}).json()
    token = {"token": "w0", "bytes": [119, 48], "logprob": round(math.log(0.9), 4)}
    assert body["logprobs"] == [token, token | {"token": " w1", "bytes": [32, 119, 49]}]
    delta, done = events(post(scripted, wav(1.0), stream="true", **{"include[]": "logprobs"}))
    assert delta["logprobs"] == done["logprobs"] == body["logprobs"]
    assert "logprobs" not in post(scripted, wav(1.0)).json()


def test_keywords_and_languages_reach_the_model() -> None:
    """A keyword is a hotword. Of the languages those count that the model has; among several it detects."""
    engine = ScriptedEngine()
    with running(engine) as server:
        fields = {"keywords[]": ["Lübeck", "Königs Wusterhausen"], "hotwords": "a, b", "languages[]": ["ja", "tlh"]}
        assert post(server, wav(0.5), **fields).status_code == 200
        assert engine.asked[-1] == ("", ("a", "b", "Lübeck", "Königs Wusterhausen"))
        assert engine.opened[-1].language == "ja"
        assert post(server, wav(0.5), **{"languages[]": ["ja", "en"]}).status_code == 200
        assert engine.opened[-1].language == "en"  # what this engine detects
        assert post(server, wav(0.5), **{"languages[]": ["ja", "en"], "language": "ja"}).status_code == 200
        assert engine.opened[-1].language == "ja"


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
