"""The client's side of Deepgram's live protocol, pure: addresses, audio, messages."""

import json

import numpy as np
import pytest

from asr.errors import ConfigError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word
from server.client.protocol import StreamError, listen_url, pcm16, read_message
from server.wires.base import Progress
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_query import parse_query
from tests.server.scripted_server import results


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("ws://h:1", "ws://h:1/v1/listen?model=a"),
        ("http://h:1/", "ws://h:1/v1/listen?model=a"),
        ("https://h", "wss://h/v1/listen?model=a"),
        ("h:1", "ws://h:1/v1/listen?model=a"),
        ("ws://h:1/proxy/v1/listen?tag=x", "ws://h:1/proxy/v1/listen?tag=x&model=a"),
    ],
)
def test_addresses_are_completed(url: str, wanted: str) -> None:
    """With the path where there is none, and the parameters that are given."""
    assert listen_url(url, model="a", language=None) == wanted


@pytest.mark.parametrize(
    "url", ["ftp://h", "ws://", "", "ws://h:99999", "ws://h:0", "ws://h:x", "ws://[::1", "ws://:1"]
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match="wanted one like ws://"):
        listen_url(url)


def test_parameters_are_written_as_deepgram_writes_them() -> None:
    """Switches in lower case, several values each on its own, None not at all."""
    assert listen_url("h", interim_results=True, keyterm=["Ada", "Ze"], prompt=None).endswith(
        "?interim_results=true&keyterm=Ada&keyterm=Ze"
    )


def test_samples_go_out_as_little_endian_16_bit() -> None:
    """Full scale is 32767; beyond it is cut off."""
    assert pcm16(np.array([0.0, 1.0, -1.0, 2.0], np.float32)) == b"\x00\x00\xff\x7f\x01\x80\xff\x7f"


def event(text: str | bytes, language: str = "en") -> Event | None:
    return read_message(text, language).event


def test_results_are_partials_and_finals() -> None:
    """Messages in the form of Deepgram's API reference; words get back the space that the protocol strips."""
    words = (Word(" Yes,", 1.0, 1.1, 0.9), Word(" no", 1.1, 1.2, 0.9))
    assert event(results("Yes,", "no", is_final=False, start=1.0)) == Partial(words, 1.0, 1.2, "en")
    final = event(results("Yes,", "no", is_final=True, start=1.0, speech_final=True))
    assert final == Final(words, 1.0, 1.2, "en", ends_utterance=True)


def test_a_language_without_spaces_gets_none() -> None:
    """The joiner is asked with the message's own language where it names one."""
    message = json.loads(results("他", "出", is_final=True))
    best = message["channel"]["alternatives"][0]
    best["transcript"] = "他出"

    def joiner(language: str) -> str:
        return {"zh-CN": "", "en": " "}[language]

    assert read_message(json.dumps(message), "zh-CN", joiner).event.text == "他出"  # type: ignore[union-attr]
    best["languages"] = ["zh-CN"]
    assert read_message(json.dumps(message), "en", joiner).event.text == "他出"  # type: ignore[union-attr]


def test_the_other_messages() -> None:
    """Deepgram's names. A message that reports nothing of the speech has no event."""
    assert event('{"type": "SpeechStarted", "timestamp": 1.5, "channel": [0]}') == SpeechStarted(1.5)
    assert event('{"type": "UtteranceEnd", "last_word_end": 2.5, "channel": [0, 1]}') == SpeechEnded(2.5)
    assert event('{"type": "Metadata", "duration": 3.5}') == Ended(3.5)
    assert event('{"type": "Later"}') is None


@pytest.mark.parametrize("message", ["no JSON", "[]", "{}", '{"type": "Results"}', b"\xff\xff"])
def test_what_is_not_the_protocol_is_an_error(message: str | bytes) -> None:
    """The sentence has the start of what was found."""
    with pytest.raises(StreamError, match="found message"):
        read_message(message)


def test_an_error_message_keeps_its_own_words() -> None:
    """It is no event; the client ends with it."""
    message = read_message('{"type": "Error", "description": "too loud"}')
    assert (message.event, message.error) == (None, "too loud")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_our_own_servers_messages_give_its_events_back(language: str) -> None:
    """`Sender` and `read_message` are inverses, joiners included (a word without a space before it)."""
    parts = (" twenty", "-one", " cats") if language == "en" else ("こ", "んに", "ちは")
    words = tuple(Word(text, float(i), i + 0.5, 0.75) for i, text in enumerate(parts))
    events = [Partial(words[:2], 0.0, 1.5, language), Final(words, 0.0, 2.5, language, True), SpeechStarted(4.0)]
    options = parse_query([("encoding", "linear16"), ("sample_rate", "16000"), ("interim_results", "true")])
    sender = Sender(options, ModelInfo("m", "0" * 64), "id")
    written = [json.dumps(message) for message in sender.results(events, Progress(5.5, 5.0))]
    messages = [read_message(text, language) for text in written]
    assert [message.event for message in messages] == events[:2]
    assert {(message.weights_sha256, message.lag_s) for message in messages} == {("0" * 64, 0.5)}


def test_our_own_text_is_taken_to_the_letter() -> None:
    """No joiner is guessed where the server sends its text: not at the start, not at the end, not by language."""
    message = json.loads(results("twenty", "one", is_final=True))
    for text in ("twenty-one", "  twenty\u2011one. ", " twentyone"):
        message["channel"]["alternatives"][0]["text"] = text
        assert read_message(json.dumps(message), "zh", lambda language: "").event.text == text  # type: ignore[union-attr]


def test_a_partial_without_words_is_an_event() -> None:
    """It clears the tail."""
    assert event(results(is_final=False)) == Partial((), 0.0, 0.0, "en")


def test_a_text_without_words_is_kept() -> None:
    """Some servers send the transcript alone: it becomes one word that spans the result."""
    message = json.loads(results(is_final=True)) | {"duration": 2.0}
    message["channel"]["alternatives"][0]["transcript"] = "so it goes"
    assert event(json.dumps(message)) == Final((Word(" so it goes", 0.0, 2.0, 0.9),), 0.0, 2.0, "en")
