"""`POST /v1/listen`, Deepgram's API for whole recordings, with a scripted engine: answers and refusals."""

import hashlib
import io
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import Running, eventually, pcm, running, wav

pytestmark = pytest.mark.slow


def post(server: Running, data: bytes, query: str = "", **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/listen?{query}", content=data, timeout=60, **options)


def stereo(seconds: float, right: float = 0.0) -> bytes:
    """Silence on the left, a constant on the right, as a WAV file."""
    frames = np.zeros((round(seconds * SAMPLE_RATE_HZ), 2), np.float32)
    frames[:, 1] = right
    file = io.BytesIO()
    soundfile.write(file, frames, SAMPLE_RATE_HZ, format="WAV", subtype="FLOAT")
    return file.getvalue()


def test_a_recording_is_answered_in_deepgrams_form(scripted: Running) -> None:
    """Its text with words and times, who recognised it, and what it was."""
    answer = post(
        scripted, wav(2.7), "model=nova-3&smart_format=true&utterances=true", headers={"Authorization": "Token k"}
    )
    body = answer.json()
    [channel] = body["results"]["channels"]
    [alternative] = channel["alternatives"]
    assert alternative["transcript"] == words(5)
    assert [word["word"] for word in alternative["words"]] == words(5).split()
    assert alternative["words"][1] == {
        "word": "w1", "punctuated_word": "w1", "start": 0.5, "end": 1.0, "confidence": 0.9,
    }  # fmt: skip
    assert alternative["confidence"] == 0.9
    metadata = body["metadata"]
    assert metadata["sha256"] == hashlib.sha256(wav(2.7)).hexdigest()
    assert (metadata["duration"], metadata["channels"]) == (2.7, 1)
    assert metadata["model_info"][metadata["models"][0]]["name"] == "scripted-1"
    assert metadata["request_id"] == answer.headers["dg-request-id"]
    [utterance] = body["results"]["utterances"]
    assert (utterance["transcript"], utterance["channel"], utterance["start"]) == (words(5), 0, 0.0)
    [paragraph] = alternative["paragraphs"]["paragraphs"]
    assert paragraph["num_words"] == 5
    assert alternative["paragraphs"]["transcript"] == words(5)
    eventually(lambda: scripted.metric("asr_open_streams") == 0)


def test_raw_samples_need_their_encoding(scripted: Running) -> None:
    """As in a live stream."""
    answer = post(scripted, pcm(1.0), "encoding=linear16&sample_rate=16000")
    assert answer.json()["results"]["channels"][0]["alternatives"][0]["transcript"] == words(2)
    assert post(scripted, pcm(1.0)).json()["err_code"] == "INVALID_AUDIO"


@pytest.mark.parametrize(
    ("query", "detected"),
    [
        ("", None),
        ("detect_language=true", "en"),
        ("detect_language=ja&detect_language=tlh", "ja"),
        ("language=ja", None),
    ],
)
def test_the_language_is_named_where_it_was_to_be_detected(scripted: Running, query: str, detected: str | None) -> None:
    """Among those that are listed, if some are."""
    [channel] = post(scripted, wav(1.0), query).json()["results"]["channels"]
    assert channel.get("detected_language") == detected


def test_each_channel_is_recognised_alone(scripted: Running) -> None:
    """The poison is on the right; mixed down it would be half as large. The left channel is alone fine."""
    answer = post(scripted, stereo(1.0), "multichannel=true&utterances=true")
    assert [c["alternatives"][0]["transcript"] for c in answer.json()["results"]["channels"]] == [words(2)] * 2
    assert [u["channel"] for u in answer.json()["results"]["utterances"]] == [0, 1]
    assert answer.json()["metadata"]["channels"] == 2
    assert post(scripted, stereo(1.0, POISON)).status_code == 200
    failed = post(scripted, stereo(1.0, POISON), "multichannel=true")
    assert (failed.status_code, failed.json()["err_code"]) == (500, "INTERNAL")
    raw = post(scripted, pcm(1.0), "multichannel=true&channels=2&encoding=linear16&sample_rate=8000")
    assert [c["alternatives"][0]["transcript"] for c in raw.json()["results"]["channels"]] == [words(2)] * 2


@pytest.mark.parametrize(
    ("query", "data", "headers", "code", "sentence"),
    [
        ("colour=blue", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "unknown parameter 'colour'"),
        ("model=gpt-9", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "unknown model 'gpt-9'; this server has scripted-1"),
        ("language=tlh", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "found the language 'tlh'"),
        ("detect_language=tlh", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "found the language 'tlh'"),
        ("diarize=true", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "diarize=true is not supported here"),
        ("summarize=v2", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "summarize=v2 is not supported here"),
        ("callback=http://x", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "callback is not supported here"),
        ("utt_split=0", wav(0.5), {}, "INVALID_QUERY_PARAMETER", "utt_split: found '0', wanted seconds above 0"),
        ("encoding=opus&sample_rate=48000", b"x", {}, "INVALID_QUERY_PARAMETER", "is single packets"),
        ("encoding=linear16&sample_rate=16000", b"x", {}, "INVALID_AUDIO", "found 1 bytes left over"),
        ("", b"", {}, "INVALID_AUDIO", "empty"),
        ("", b"no audio at all", {}, "INVALID_AUDIO", "wanted a recording"),
        ("", b"{", {"content-type": "application/json"}, "INVALID_BODY", "no JSON"),
        ("", b"[1]", {"content-type": "application/json; charset=utf-8"}, "INVALID_BODY", 'JSON without "url"'),
        ("", b"--x", {"content-type": "multipart/form-data; boundary=x"}, "INVALID_BODY", "found a form"),
        ("", b'{"url": "https://example.org/a.wav"}', {"content-type": "application/json"}, "REMOTE_CONTENT_ERROR",
         "this server fetches none"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused(
    scripted: Running, query: str, data: bytes, headers: dict[str, str], code: str, sentence: str
) -> None:
    """HTTP 400 in Deepgram's form, and the next one is served."""
    answer = post(scripted, data, query, headers=headers)
    assert (answer.status_code, answer.json()["err_code"]) == (400, code)
    assert sentence in answer.json()["err_msg"]
    assert answer.json()["request_id"] == answer.headers["dg-request-id"]
    assert post(scripted, wav(0.5)).status_code == 200


def test_a_recording_over_the_limit_a_strange_page_and_a_full_server_are_refused() -> None:
    """By their statuses, as on the other addresses."""
    with running(ScriptedEngine(), max_upload_bytes=100_000, max_streams=1) as server:
        assert post(server, wav(10.0)).json()["err_code"] == "PAYLOAD_TOO_LARGE"
        assert post(server, wav(0.5), headers={"Origin": "https://evil.example"}).status_code == 403
        with server.listen():
            answer = post(server, wav(0.5))
        assert (answer.status_code, answer.json()["err_code"]) == (503, "SERVER_FULL")
        assert int(answer.headers["retry-after"]) > 0


def test_live_only_parameters_do_no_harm(scripted: Running) -> None:
    """Clients with one set of options for both send them here, too."""
    answer = post(
        scripted, wav(0.5), "interim_results=true&endpointing=300&vad_events=true&punctuate=true&tag=x&language="
    )
    assert answer.status_code == 200
