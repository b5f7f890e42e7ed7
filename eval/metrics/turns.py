"""The end of a turn as voice agents meet it: pure functions of a trace of one utterance.

A turn ends with the speech in the recording, by its energy (`eval.data.speech_bounds`), not by what a system reports.
Measured from the end of speech, on the wall clock:

    first message   the first message that shows text, final or not
    first final     the first final with words
    last final      the last final with words: TTFS, time to final segment, as Pipecat's benchmark measures it
                    (github.com/pipecat-ai/stt-benchmark, "TTFS Measurement")
    speech final    the first final that ends an utterance

Each has the text that a client has by then (a final: the text of all finals; a message: what is shown, with the tail),
so that a delay can be plotted against the WER of just that text. As in
Pipecat's benchmark, what came before the end of speech has no delay: reports show how many turns were measured.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from asr.events import Final, Partial, Word
from eval.metrics.word_times import tail_after
from eval.trace import OFFLINE, Entry, Trace

LONGEST_TURN_S = 30.0
"""A longer recording is no turn: people pause in it, and an end of utterance in a pause is right there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A message after the end of speech: seconds after it, and the text by then, without outer spaces."""

    delay_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; an answer is None where none came after the end of speech.

    ``cut``: the system ended the turn before the speaker did. A final that ends an utterance came before the end of
    speech, or words came behind it.
    """

    first_message: Answer | None
    first_final: Answer | None
    last_final: Answer | None
    speech_final: Answer | None
    cut: bool


def turn_of(trace: Trace) -> Turn | None:
    """The turn of a streamed recording of one utterance; None where it is none, or its end is not known."""
    if trace.mode == OFFLINE or trace.speech_end_s is None or not trace.reference.strip():
        return None
    if trace.reference_segments or trace.duration_s > LONGEST_TURN_S:
        return None
    messages = [message for message in _messages(trace.entries) if message.wall_s >= trace.speech_end_s]
    finals = [message for message in messages if message.final is not None and message.final.words]
    ends = [message for message in messages if message.final is not None and message.final.ends_utterance]
    return Turn(
        first_message=next((Answer(m.wall_s - trace.speech_end_s, m.shown) for m in messages if m.shown), None),
        first_final=_answer(trace.speech_end_s, finals[:1]),
        last_final=_answer(trace.speech_end_s, finals[-1:]),
        speech_final=_answer(trace.speech_end_s, ends[:1]),
        cut=_is_cut(trace.entries, trace.speech_end_s),
    )


@dataclass(frozen=True, slots=True)
class _Message:
    """A message, with the text of all finals so far, and with what is shown: that and the tail."""

    wall_s: float
    committed: str
    shown: str
    final: Final | None


def _messages(entries: Iterable[Entry]) -> list[_Message]:
    committed, messages = "", list[_Message]()
    tail: tuple[Word, ...] = ()
    for entry in entries:
        if not isinstance(entry.event, Partial | Final):
            continue
        tail = tail_after(entry.event, tail)
        final = entry.event if isinstance(entry.event, Final) else None
        committed += final.text if final is not None else ""
        shown = committed + "".join(word.text for word in tail)
        messages.append(_Message(entry.wall_s, committed.strip(), shown.strip(), final))
    return messages


def _answer(end_s: float, messages: list[_Message]) -> Answer | None:
    return Answer(messages[0].wall_s - end_s, messages[0].committed) if messages else None


def _is_cut(entries: Iterable[Entry], end_s: float) -> bool:
    finals = [(entry.wall_s, entry.event) for entry in entries if isinstance(entry.event, Final)]
    first = next((place for place, (_, final) in enumerate(finals) if final.ends_utterance), None)
    if first is None:
        return False
    return finals[first][0] < end_s or any(final.words for _, final in finals[first + 1 :])
