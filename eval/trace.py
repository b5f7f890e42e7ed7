"""A trace: everything a session said over one utterance, each event with its two times. One JSON line a trace.

Making traces is expensive and done once (`eval.runs.replay`, `eval.runs.live`); every metric is a pure function of
them.
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
"""What else is told of an utterance, sorted by name: gender, age, accent, device, noise ...; reports slice by these."""


class TraceError(CallerError):
    """A line that is no trace."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of reference text and when it is spoken, in seconds of the recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One event and when it was said.

    ``audio_s``: audio received by then (delays from it leave computation out). ``wall_s``: seconds since the moment the
    first sample was spoken, at real-time pace (delays from it have everything in them).
    """

    event: Event
    audio_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """One utterance in one mode.

    ``end_wall_s``: when the end of the stream was told. ``cpu_s``: CPU time of whoever recognised, all its threads;
    ``busy_s``: time during which it worked; None where they were not measured. ``weights_sha256``: of the model, ""
    where a server did not tell. ``reference_words``: a forced alignment of the reference where there is one, and
    ``aligner`` what made it ("" for the data set itself);
    ``reference_segments``: its pieces, where the times of several are known. ``error``: why the stream broke, "" when
    it did not. ``attributes``: the utterance's (gender, device, noise ...), by which reports slice. ``audio``: the
    file where it is a whole one as it lies, "" where it is not. ``streams``: so many ran at once.
    ``peak_memory_bytes``: the most that the process which recognised had used by then, None where it was not measured.
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

    @property
    def text(self) -> str:
        """The committed transcript."""
        return text_of([entry.event for entry in self.entries])


_SPANS = ("reference_words", "reference_segments")


def to_line(trace: Trace) -> str:
    """The trace as one JSON line, without the line's end."""
    table = {f.name: getattr(trace, f.name) for f in dataclasses.fields(trace)}
    for key in _SPANS:
        table[key] = [[span.text, span.start_s, span.end_s] for span in table[key]]
    table["entries"] = [_entry_table(entry) for entry in trace.entries]
    return json.dumps(table, ensure_ascii=False)


def from_line(line: str) -> Trace:
    """The inverse of `to_line`; `TraceError` when the line is none."""
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
    """Appends; each line is flushed, so that a crash loses no finished utterance."""
    with path.open("a", encoding="utf-8") as file:
        for trace in traces:
            file.write(to_line(trace) + "\n")
            file.flush()


def read_traces(path: Path) -> Iterator[Trace]:
    """All traces of a file, in order; `TraceError` names the line that is none."""
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
