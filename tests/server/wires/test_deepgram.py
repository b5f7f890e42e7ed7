"""The live protocol, pure: messages in, commands out; events in, messages out."""

import itertools
import json
from typing import Any

import pytest
from deepgram.listen.v1.types import (
    ListenV1ConfigureFailure,
    ListenV1ConfigureSuccess,
    ListenV1Error,
    ListenV1Metadata,
    ListenV1Results,
    ListenV1SpeechStarted,
)
from deepgram.listen.v1.types import ListenV1UtteranceEnd as UtteranceEnd

from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word
from server.wires.base import (
    Audio,
    Cause,
    Command,
    End,
    Finalize,
    Frame,
    KeepAlive,
    MessageError,
    Progress,
    Reply,
    Summary,
)
from server.wires.deepgram import COMMANDS, DeepgramWire
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_query import ListenOptions

MODEL = ModelInfo("whisper-tiny.en", "ab" * 32)
ALL = ListenOptions(interim_results=True, vad_events=True, utterance_end_ms=1000)


def final(text: str, start_s: float, end_s: float, **flags: bool) -> Final:
    return Final((Word(text, start_s, end_s, 0.8),) if text else (), start_s, end_s, "en", **flags)


def partial(text: str, start_s: float, end_s: float) -> Partial:
    return Partial((Word(text, start_s, end_s, 0.4),), start_s, end_s, "en")


def messages_of(*events: Event, options: ListenOptions = ALL, decoded_s: float = 0.0) -> list[dict[str, Any]]:
    return list(Sender(options, MODEL, "id").results(events, Progress(decoded_s + 0.25, decoded_s)))


def command(frame: Frame) -> Command:
    [command] = DeepgramWire(ALL, MODEL, "id").receive(frame)
    return command


def test_messages_become_commands() -> None:
    """Binary is audio, text is JSON with a type; other fields are ignored."""
    assert command(b"\1\2") == Audio(b"\1\2")
    assert command('{"type": "KeepAlive", "more": 1}') == KeepAlive()
    assert command('{"type": "Finalize"}') == Finalize()
    assert command('{"type": "CloseStream"}') == End()


def test_an_empty_binary_message_closes_the_stream() -> None:
    """Deepgram's older form of CloseStream, still sent by clients."""
    assert command(b"") == End()


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("form", ['{"type": "%s"}', '{"type":"%s"}', ' {"type" : "%s", "more": [1]}\r\n'])
def test_a_message_may_come_in_a_binary_frame(kind: str, form: str) -> None:
    """As the bytes of its JSON: clients with one way to send send everything so."""
    assert command((form % kind).encode()) == COMMANDS[kind]


def test_configure_changes_no_words_and_is_answered() -> None:
    """In Deepgram's forms: what formats text is ignored as in the query, new keyterms are refused."""
    wire = DeepgramWire(ALL, MODEL, "id")

    def answer(**fields: Any) -> dict[str, Any]:
        [reply] = wire.receive(json.dumps({"type": "Configure", **fields}))
        assert isinstance(reply, Reply)
        [frame] = reply.frames
        return dict(json.loads(frame))

    ListenV1ConfigureSuccess.model_validate(answer(features={"numerals": True}, keyterms=None))
    refused = answer(keyterms=["Ada"])
    assert ListenV1ConfigureFailure.model_validate(refused).code == "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
    assert "cannot change within a stream" in refused["description"]


def test_a_reply_is_numbered_when_it_is_sent() -> None:
    """Results of the audio before it come first, and have the numbers before it."""
    wire = DeepgramWire(ALL, MODEL, "id")
    [reply] = wire.receive('{"type": "Configure"}')
    assert isinstance(reply, Reply)
    sent = [*wire.send([final(" a", 0.0, 0.5)], Progress(1.0, 1.0)), *reply.frames]
    assert [json.loads(frame)["sequence"] for frame in sent] == [1, 2]


@pytest.mark.parametrize(
    "data", [b"{", b"{}", b"{\xff}", b"[]", b"{" * 200, b'{"type": 1}', b'{"type"', b"{" + bytes(99), b"{}" * 5000]
)
def test_audio_that_begins_with_a_brace_is_audio(data: bytes) -> None:
    """Any byte may be a sample."""
    assert command(data) == Audio(data)


@pytest.mark.parametrize("text", ["", "hello", "[]", "3", "null", "{}", '{"type": 1}', '{"type": "Sing"}', "[" * 90])
def test_text_that_is_no_message_is_an_error(text: str) -> None:
    """The sentence names the messages that are allowed."""
    with pytest.raises(MessageError, match="KeepAlive, Finalize, CloseStream"):
        command(text)


def test_a_final_has_deepgrams_form() -> None:
    """Checked with the official SDK's own model of it."""
    [message] = messages_of(final(" Hello,", 0.5, 1.0, ends_utterance=True))
    parsed = ListenV1Results.model_validate(json.loads(json.dumps(message)))
    assert (parsed.start, parsed.duration, parsed.is_final, parsed.speech_final) == (0.5, 0.5, True, True)
    assert parsed.channel.alternatives[0].transcript == "Hello,"
    [word] = parsed.channel.alternatives[0].words
    assert (word.word, word.punctuated_word, word.start, word.end) == ("hello", "Hello,", 0.5, 1.0)
    assert parsed.metadata.model_info.name == "whisper-tiny.en"


def test_our_own_fields_are_added() -> None:
    """The raw text with its joiner, the lag, a number, and whose weights spoke."""
    first, second = messages_of(final(" Hello,", 0.5, 1.0), final(" you.", 1.0, 1.5))
    assert first["channel"]["alternatives"][0]["text"] == " Hello,"
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert first["lag_s"] == 0.25
    assert first["metadata"]["weights_sha256"] == MODEL.weights_sha256


def test_words_without_spaces_are_joined_without_spaces() -> None:
    """Chinese and Japanese write none; `text` can be joined as it is."""
    finals = messages_of(final("你好", 0.0, 0.5), final("世界", 0.5, 1.0))
    assert "".join(message["channel"]["alternatives"][0]["text"] for message in finals) == "你好世界"


def test_interim_results_are_sent_when_asked_for() -> None:
    """Off by default."""
    assert [message["is_final"] for message in messages_of(partial(" Hel", 0.0, 0.5))] == [False]
    assert messages_of(partial(" Hel", 0.0, 0.5), options=ListenOptions()) == []


def test_a_final_without_words_is_sent_only_when_it_says_something() -> None:
    """The end of an utterance, or the answer to Finalize."""
    assert messages_of(final("", 1.0, 1.0)) == []
    [ended, asked] = messages_of(final("", 1.0, 1.0, ends_utterance=True), final("", 1.0, 1.0, from_finalize=True))
    assert ended["speech_final"]
    assert asked["from_finalize"]
    assert asked["channel"]["alternatives"] == [
        {"transcript": "", "confidence": 0.0, "words": [], "languages": ["en"], "text": ""}
    ]


def test_languages_has_a_first_entry_or_is_not_there() -> None:
    """Clients take the first. An empty final has the language of the words before it."""

    def languages(*events: Event) -> list[Any]:
        return [m["channel"]["alternatives"][0].get("languages", "left out") for m in messages_of(*events)]

    unknown = Final((), 0.0, 0.0, "", from_finalize=True)
    assert languages(unknown) == ["left out"]
    assert languages(unknown, final(" Hi", 0.0, 0.5), unknown) == ["left out", ["en"], ["en"]]


def test_speech_started_is_sent_when_asked_for() -> None:
    """`vad_events`; other voice activity has no message."""
    [message] = messages_of(SpeechStarted(1.5), SpeechEnded(2.0), Ended(3.0))
    assert ListenV1SpeechStarted.model_validate(message).timestamp == 1.5
    assert messages_of(SpeechStarted(1.5), options=ListenOptions()) == []


def test_utterance_end_follows_a_gap_in_audio_time_once() -> None:
    """Only when `utterance_end_ms` of audio have been decoded after the last word."""
    assert [m["type"] for m in messages_of(final(" Hi", 0.0, 0.5), decoded_s=1.4)] == ["Results"]
    sender = Sender(ALL, MODEL, "id")
    [_, message] = sender.results([final(" Hi", 0.0, 0.5)], Progress(1.5, 1.5))
    assert UtteranceEnd.model_validate(message).last_word_end == 0.5
    assert list(sender.results([], Progress(9.0, 9.0))) == []


def test_utterance_end_comes_before_the_words_after_the_gap() -> None:
    """Also when a fast sender's audio was decoded in one step."""
    kinds = [m["type"] for m in messages_of(final(" Hi", 0.0, 0.5), final(" there", 2.0, 2.5), decoded_s=2.6)]
    assert kinds == ["Results", "UtteranceEnd", "Results"]


def kinds_over_time(options: ListenOptions, *steps: tuple[float, float, tuple[Event, ...]]) -> list[str]:
    """Types of the messages after steps of (decoded_s, voiced_until_s, events)."""
    sender = Sender(options, MODEL, "id")
    messages = (
        sender.results(events, Progress(decoded_s, decoded_s, voiced_s)) for decoded_s, voiced_s, events in steps
    )
    return [message["type"] for message in itertools.chain.from_iterable(messages)]


def test_no_utterance_end_while_a_voice_goes_on() -> None:
    """Words come later than their sound. After the voice one message comes, and none for a final of the same words."""
    hi, late = final(" Hi", 0.0, 0.5), partial(" there", 2.0, 3.9)
    last = final(" there", 2.0, 4.1, ends_utterance=True)
    speaking = [(0.6, 0.6, (hi,)), (1.6, 1.6, ()), (2.9, 2.9, ()), (4.0, 4.0, (late,))]
    assert kinds_over_time(ALL, *speaking) == ["Results", "Results"]
    quiet = [(4.9, 4.0, ()), (5.0, 4.0, ()), (5.3, 4.0, (last, SpeechEnded(4.0)))]
    assert kinds_over_time(ALL, *speaking, *quiet) == ["Results", "Results", "UtteranceEnd", "Results"]
    again = [(7.0, 7.0, (SpeechStarted(6.0),)), (8.0, 7.0, (final(" you", 6.1, 6.9),))]
    kinds = kinds_over_time(ALL, *speaking, *quiet, *again)
    assert kinds[4:] == ["SpeechStarted", "Results", "UtteranceEnd"]


def test_without_interim_results_utterance_end_waits_for_the_last_words() -> None:
    """They come when the utterance ends, which may be later than `utterance_end_ms`."""
    steps = [
        (0.6, 0.6, (SpeechStarted(0.0), final(" Hi", 0.0, 0.5))),
        (2.1, 1.0, ()),
        (2.3, 1.0, (final(" you", 0.5, 1.0, ends_utterance=True), SpeechEnded(1.0))),
    ]
    assert kinds_over_time(ListenOptions(utterance_end_ms=1000), *steps) == ["Results", "Results", "UtteranceEnd"]


def test_a_pause_between_utterances_of_a_fast_sender_is_reported() -> None:
    """By the events, when a step goes past the next beginning of speech."""
    events = (SpeechStarted(0.0), final(" Hi", 0.0, 0.5), SpeechEnded(0.6), SpeechStarted(1.7), final(" you", 1.8, 2.0))
    kinds = ["SpeechStarted", "Results", "UtteranceEnd", "SpeechStarted", "Results"]
    assert kinds_over_time(ALL, (2.0, 2.0, events)) == kinds
    short = (SpeechStarted(0.0), final(" Hi", 0.0, 0.5), SpeechEnded(0.8), SpeechStarted(1.7), final(" you", 1.8, 2.0))
    assert "UtteranceEnd" not in kinds_over_time(ALL, (2.0, 2.0, short))


def test_metadata_and_error_have_deepgrams_form() -> None:
    """Checked with the official SDK's own models of them."""
    sender = Sender(ALL, MODEL, "id")
    error = ListenV1Error.model_validate(sender.error("NET-0001", "found nothing"))
    assert (error.variant, error.description) == ("NET-0001", "found nothing")
    assert "notices" not in sender.metadata(Summary(2.5, 0.0, "0" * 64))
    assert sender.metadata(Summary(2.5, 0.0, "0" * 64, ("a notice",)))["notices"] == ["a notice"]
    summary = ListenV1Metadata.model_validate(sender.metadata(Summary(2.5, 0.0, "0" * 64)))
    assert (summary.duration, summary.request_id, summary.channels) == (2.5, "id", 1)


def test_a_stream_that_ends_well_ends_with_metadata_and_one_that_fails_with_an_error() -> None:
    """The close reason begins with the error's variant."""
    summary = Summary(2.5, 0.0, "0" * 64)
    finished = DeepgramWire(ALL, MODEL, "id").end(Cause.FINISHED, "", summary)
    assert (json.loads(finished.frames[0])["type"], finished.close_code, finished.reason) == ("Metadata", 1000, "")
    failed = DeepgramWire(ALL, MODEL, "id").end(Cause.BAD_AUDIO, "no Opus", summary)
    assert json.loads(failed.frames[0])["variant"] == failed.error == "DATA-0000"
    assert (failed.close_code, failed.reason) == (1008, "DATA-0000: no Opus")
