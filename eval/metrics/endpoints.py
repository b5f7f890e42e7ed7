"""How long after the last word a system reports the end of speech, and how often it does so before: of one trace.

With a reference alignment the last word is the last reference word that had begun by then, whatever was recognised: a
last word that was misheard, missed or made up moves nothing. Without one, it is the system's own last final word.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from asr.events import Final, SpeechEnded
from eval.trace import Entry, Trace

JUST_BEGUN_S = 0.2
"""A word that began this shortly before the report is not the one that it ended: it travels while speech goes on."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The reported ends of speech of one trace.

    Attributes:
        delays_s: From the end of the last word to the report, for each that came after its word's end.
        premature: How many came while a word was being spoken; None without a reference alignment.
    """

    delays_s: tuple[float, ...]
    premature: int | None


def endpoints(trace: Trace) -> Endpoints:
    """The ends reported while the stream went on: one that comes with the end of the stream is no decision."""
    ends = [(entry, end_s) for entry, end_s in _ends(trace) if entry.wall_s < trace.end_wall_s]
    if not trace.reference_words:
        return Endpoints(tuple(entry.wall_s - end_s for entry, end_s in ends), None)
    delays_s = tuple(entry.wall_s - end_s for entry, end_s in ends if end_s <= entry.audio_s)
    return Endpoints(delays_s, len(ends) - len(delays_s))


def _ends(trace: Trace) -> Iterator[tuple[Entry, float]]:
    """Each report with the end of its last word; one without a word since the report before is left out."""
    last_end_s: float | None = None
    reported_s = -1.0
    for entry in trace.entries:
        if isinstance(entry.event, Final) and entry.event.words:
            last_end_s = entry.event.words[-1].end_s
        if isinstance(entry.event, SpeechEnded) or (isinstance(entry.event, Final) and entry.event.ends_utterance):
            end_s = _reference_end_s(trace, entry) if trace.reference_words else last_end_s
            if end_s is not None and end_s > reported_s:
                reported_s = end_s
                yield entry, end_s


def _reference_end_s(trace: Trace, entry: Entry) -> float | None:
    begun = [word.end_s for word in trace.reference_words if word.start_s < entry.audio_s - JUST_BEGUN_S]
    return begun[-1] if begun else None
