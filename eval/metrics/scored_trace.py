"""A trace with what is computed of it once, so that many figures can be made of many traces."""

from dataclasses import dataclass
from functools import cached_property

from asr.events import Final, Partial, SpeechEnded, SpeechStarted
from eval.metrics.edits import Edit, edits_of, pieces
from eval.metrics.stability import Stability, stability
from eval.metrics.word_errors import Counts, count, count_characters
from eval.metrics.word_times import WordTimes, displays, final_words, finalisation_s, word_ends, word_times
from eval.normalise import normalise
from eval.trace import OFFLINE, Trace


@dataclass(frozen=True)
class Judged:
    """Lazily: nothing is aligned that no figure asks for."""

    trace: Trace

    @property
    def key(self) -> tuple[str, str]:
        return self.trace.dataset, self.trace.utterance

    @property
    def timed(self) -> bool:
        """Words came one after the other, so delays mean something."""
        return self.trace.mode != OFFLINE

    @property
    def silent(self) -> bool:
        """Nothing is said in it: every word is made up."""
        return not self.trace.reference.strip()

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        return edits_of(self.trace)

    @cached_property
    def pieces(self) -> tuple[Counts, ...]:
        return pieces(self.trace, self.edits)

    @cached_property
    def counts(self) -> Counts:
        return sum(self.pieces, start=Counts())

    @cached_property
    def raw(self) -> Counts:
        return count(self.trace.reference, self.trace.text, self.trace.language)

    @cached_property
    def characters(self) -> Counts:
        said, heard = (normalise(text, self.trace.language) for text in (self.trace.reference, self.trace.text))
        return count_characters(said, heard)

    @cached_property
    def words(self) -> tuple[WordTimes, ...]:
        return word_times(self.trace)

    @cached_property
    def stability(self) -> Stability:
        return stability([self.trace])

    @cached_property
    def finalisation_s(self) -> float | None:
        return finalisation_s(self.trace)

    @cached_property
    def first_partial_s(self) -> float | None:
        """From the onset of the first word until any word is shown.

        The onset is the reference alignment's where there is one, else the system's own beginning of speech. None
        where nothing was shown.
        """
        shown = next((d.moment.wall_s for d in displays(self.trace) if d.committed or d.tail), None)
        onset = self._onset_s()
        return None if shown is None or onset is None else shown - onset

    @cached_property
    def endpoints_s(self) -> tuple[float, ...]:
        """For each end of speech that was noticed before the stream's own end: from its last word's end until it was
        said. (What ends with the recording tells nothing of endpointing.)"""
        found: list[float] = []
        ends = iter(word_ends(self.trace))
        last: float | None = None
        for entry in self.trace.entries:
            if isinstance(entry.event, Final):
                for _ in entry.event.words:
                    last = next(ends) or last
            elif isinstance(entry.event, SpeechEnded):
                if last is not None and entry.wall_s < self.trace.end_wall_s:
                    found.append(entry.wall_s - last)
                last = None
        return tuple(found)

    @cached_property
    def lags_s(self) -> tuple[tuple[float, float], ...]:
        """At each update of the text: audio spoken by then that the update had not heard; with and without the time
        that computing took."""
        found = []
        for entry in self.trace.entries:
            if isinstance(entry.event, Partial):
                heard_s, spoken_s = entry.event.end_s, min(entry.wall_s, self.trace.duration_s)
                found.append((max(0.0, spoken_s - heard_s), max(0.0, entry.audio_s - heard_s)))
        return tuple(found)

    def laal_s(self, clock: str = "wall") -> float | None:
        """Length-adaptive average lagging (Papi et al. 2022, "Over-generation cannot be rewarded").

        Mean over the words i up to the first that comes after the source's end of d_i - (i - 1) * X / max(|Y|, |Y*|):
        d_i is when the word is final, X the source's length, Y the transcript, Y* the reference. ``clock`` wall is the
        computation-aware one. None without words.
        """
        words = self.words
        if not words:
            return None
        longest = max(len(words), sum(edit.said != "" for edit in self.edits))
        delays = [word.committed.wall_s if clock == "wall" else word.committed.audio_s for word in words]
        ended = next((i for i, d in enumerate(delays) if d >= self.trace.duration_s), len(delays) - 1) + 1
        ideal = self.trace.duration_s / longest
        return sum(delay - i * ideal for i, delay in enumerate(delays[:ended])) / ended

    def _onset_s(self) -> float | None:
        if self.trace.reference_words:
            return self.trace.reference_words[0].start_s
        begun = [entry.event.at_s for entry in self.trace.entries if isinstance(entry.event, SpeechStarted)]
        own = begun or [word.start_s for word in final_words(self.trace)]
        return own[0] if own else None
