"""The client's side of the live protocol."""

import json

import numpy as np
import pytest

from asr.events import Ended, Final, Partial, SpeechEnded, SpeechStarted, Word
from eval.runs.wire import WireError, listen_url, parse, pcm16
from server.wires.base import Progress
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_query import parse_query
from tests.eval.fakes import results


def test_the_address_asks_for_raw_audio_with_partials() -> None:
    """http and ws servers are the same; the language goes without its region, the model only when named."""
    wanted = "ws://h:1/v1/listen?encoding=linear16&sample_rate=16000&channels=1&interim_results=true&vad_events=true"
    assert listen_url("http://h:1") == listen_url("ws://h:1/") == listen_url("ws://h:1/v1/listen") == wanted
    assert listen_url("ws://h:1", "zh-CN", "base") == wanted + "&language=zh&model=base"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://h", "ws://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """With an example of one that is."""
    with pytest.raises(WireError, match="wanted one like ws://"):
        listen_url(url)


def test_samples_go_out_as_little_endian_16_bit() -> None:
    """Full scale is 32767; beyond it is cut off."""
    assert pcm16(np.array([0.0, 1.0, -1.0, 2.0], np.float32)) == b"\x00\x00\xff\x7f\x01\x80\xff\x7f"


def test_results_are_partials_and_finals() -> None:
    """Messages in the form of Deepgram's API reference; words get the space back that the protocol leaves out."""
    words = (Word(" Yes,", 1.0, 1.1, 0.9), Word(" no", 1.1, 1.2, 0.9))
    assert parse(results("Yes,", "no", is_final=False, start=1.0), "en").event == Partial(words, 1.0, 1.2, "en")
    said = parse(results("Yes,", "no", is_final=True, start=1.0, speech_final=True), "en").event
    assert said == Final(words, 1.0, 1.2, "en", ends_utterance=True)


def test_a_language_without_spaces_gets_none() -> None:
    """Else the transcript would be full of them."""
    message = json.loads(results("他", "出", is_final=True))
    message["channel"]["alternatives"][0]["transcript"] = "他出"
    assert parse(json.dumps(message), "zh-CN").event.text == "他出"  # type: ignore[union-attr]


def test_the_other_messages() -> None:
    """Deepgram's names; what says nothing of speech is nothing."""
    assert parse('{"type": "SpeechStarted", "timestamp": 1.5, "channel": [0]}', "en").event == SpeechStarted(1.5)
    assert parse('{"type": "UtteranceEnd", "last_word_end": 2.5, "channel": [0, 1]}', "en").event == SpeechEnded(2.5)
    assert parse('{"type": "Metadata", "duration": 3.5}', "en").event == Ended(3.5)
    assert parse('{"type": "Later"}', "en").event is None


@pytest.mark.parametrize("message", ["no JSON", "[]", "{}", '{"type": "Results"}', b"\xff\xff"])
def test_what_is_not_the_protocol_is_an_error(message: str | bytes) -> None:
    """And says what was found."""
    with pytest.raises(WireError, match="found message"):
        parse(message, "en")


def test_an_error_message_is_raised_with_its_own_words() -> None:
    """It becomes the trace's error."""
    with pytest.raises(WireError, match="too loud"):
        parse('{"type": "Error", "description": "too loud"}', "en")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_our_own_servers_messages_give_its_events_back(language: str) -> None:
    """What `server.wires.deepgram` writes is what was said, joiners too (a word without a space before it)."""
    parts = (" twenty", "-one", " cats") if language == "en" else ("こ", "んに", "ちは")
    words = tuple(Word(text, float(i), i + 0.5, 0.75) for i, text in enumerate(parts))
    events = [Partial(words[:2], 0.0, 1.5, language), Final(words, 0.0, 2.5, language, True), SpeechStarted(4.0)]
    options = parse_query([("encoding", "linear16"), ("sample_rate", "16000"), ("interim_results", "true")])
    sender = Sender(options, ModelInfo("m", "0" * 64), "id")
    messages = [json.dumps(message) for message in sender.results(events, Progress(5.0, 5.0))]
    heard = [parse(message, language) for message in messages]
    assert [one.event for one in heard] == events[:2]
    assert {one.weights_sha256 for one in heard} == {"0" * 64}


def test_our_own_text_is_taken_to_the_letter() -> None:
    """No joiner is guessed where the server told: neither at the beginning nor at the end nor for the language."""
    message = json.loads(results("twenty", "one", is_final=True))
    for text in ("twenty-one", "  twenty\u2011one. ", " twentyone"):
        message["channel"]["alternatives"][0]["text"] = text
        for language in ("en", "zh"):
            assert parse(json.dumps(message), language).event.text == text  # type: ignore[union-attr]


def test_a_partial_without_words_is_one() -> None:
    """It takes the tail away."""
    assert parse(results(is_final=False), "en").event == Partial((), 0.0, 0.0, "en")
