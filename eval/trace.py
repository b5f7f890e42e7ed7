"""A trace: every event of one session over one utterance, each with two times. One JSON line per trace.

Making traces is expensive and done once (`eval.runs.replay`, `eval.runs.live`). Metrics are pure functions of them.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import CallerError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word, text_of

OFFLINE, REPLAY, LIVE = MODES = ("offline", "replay", "live")
"""How a trace was made: all audio in one call; streamed in process on a counted clock; streamed to a server."""

EVENTS: dict[str, type[Event]] = {cls.__name__: cls for cls in (SpeechStarted, Partial, Final, SpeechEnded, Ended)}

Attributes = tuple[tuple[str, str], ...]
"""Further facts about an utterance, sorted by name: gender, age, accent, device, noise. Reports slice by them."""

KEYWORDS = "keywords"
"""The attribute that lists the words and phrases that matter in an utterance, separated by commas."""


class TraceError(CallerError):
    """A line does not hold a trace."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of reference text and when it is spoken, in seconds of the recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its times.

    Attributes:
        event: What the session reported.
        audio_s: Audio received by then. Delays on this clock leave computation out.
        wall_s: Seconds since the first sample was spoken, at real-time pace. Delays on this clock include everything.
    """

    event: Event
    audio_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """One utterance in one mode.

    Attributes:
        dataset: Name of the data set.
        utterance: Id of the utterance in its set.
        mode: One of `MODES`.
        model: Name of the model.
        language: Language code of the utterance; "" where the data does not say.
        reference: The label.
        duration_s: Length of the audio.
        end_wall_s: When the end of the stream was sent.
        entries: The events, in order.
        cpu_s: CPU time of the recognising process, all threads; None where not measured.
        busy_s: Time during which it worked; None where not measured.
        speaker: "" where unknown.
        weights_sha256: Hash of the model; "" where a server does not report it.
        reference_words: A forced alignment of the reference, where there is one.
        reference_segments: Segments of the reference, where the times of several are known.
        aligner: The model that made the alignment; "" where the data set brings it.
        error: Why the stream broke; "" when it did not.
        attributes: Facts to slice by, see `Attributes`.
        audio: The audio file where the utterance is exactly one file, else "".
        streams: Number of streams that ran at the same time.
        peak_memory_bytes: Peak memory of the recognising process so far; None where not measured.
        speech_start_s: Start of speech in the recording, by its energy; None where unknown.
        speech_end_s: End of speech in the recording, by its energy; None where unknown.
        repeat: Which repeat of the run this is, from 0 (`asr eval run --repeats`).
        began_s: When the work on it began, in Unix seconds; 0 in older traces.
    """

    dataset: str
    utterance: str
    mode: str
    model: str
    language: str
    reference: str
    duration_s: float
    end_wall_s: float
    entries: tuple[Entry, ...]
    cpu_s: float | None = None
    busy_s: float | None = None
    speaker: str = ""
    weights_sha256: str = ""
    reference_words: tuple[Span, ...] = ()
    reference_segments: tuple[Span, ...] = ()
    aligner: str = ""
    error: str = ""
    attributes: Attributes = ()
    audio: str = ""
    streams: int = 1
    peak_memory_bytes: int | None = None
    speech_start_s: float | None = None
    speech_end_s: float | None = None
    repeat: int = 0
    began_s: float = 0.0

    @property
    def text(self) -> str:
        """The committed transcript, without outer spaces."""
        return text_of([entry.event for entry in self.entries])


_SPANS = ("reference_words", "reference_segments")


def to_line(trace: Trace) -> str:
    """The trace as one JSON line, without the line end."""
    table = {f.name: getattr(trace, f.name) for f in dataclasses.fields(trace)}
    for key in _SPANS:
        table[key] = [[span.text, span.start_s, span.end_s] for span in table[key]]
    table["entries"] = [_entry_table(entry) for entry in trace.entries]
    return json.dumps(table, ensure_ascii=False)


def from_line(line: str) -> Trace:
    """The inverse of `to_line`. Raises `TraceError` when the line does not hold a trace."""
    try:
        table = json.loads(line)
        for key in _SPANS:
            table[key] = tuple(Span(*span) for span in table.get(key, ()))
        table["attributes"] = tuple((str(name), str(value)) for name, value in table.get("attributes", ()))
        table["entries"] = tuple(_entry(entry) for entry in table["entries"])
        return Trace(**table)
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"found {line[:60]!r}, wanted a trace as one JSON line ({error!r})") from None


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Appends traces to a file. Each line is flushed, so that a crash loses no finished utterance."""
    with path.open("a", encoding="utf-8") as file:
        for trace in traces:
            file.write(to_line(trace) + "\n")
            file.flush()


def read_traces(path: Path) -> Iterator[Trace]:
    """All traces of a file, in order. Raises `TraceError` that names the line without one."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield from_line(line)
            except TraceError as error:
                raise TraceError(f"{path}:{number}: {error}") from None


def _entry_table(entry: Entry) -> dict[str, Any]:
    event = {f.name: getattr(entry.event, f.name) for f in dataclasses.fields(entry.event)}
    if "words" in event:
        event["words"] = [[w.text, w.start_s, w.end_s, w.confidence] for w in event["words"]]
    return {"audio_s": entry.audio_s, "wall_s": entry.wall_s, "event": type(entry.event).__name__} | event


def _entry(table: dict[str, Any]) -> Entry:
    fields = dict(table)
    audio_s, wall_s, kind = fields.pop("audio_s"), fields.pop("wall_s"), fields.pop("event")
    if "words" in fields:
        fields["words"] = tuple(Word(*word) for word in fields["words"])
    return Entry(EVENTS[kind](**fields), audio_s, wall_s)
