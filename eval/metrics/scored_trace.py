"""A trace with everything that metrics need of it, each thing computed once and only when a metric asks for it."""

from dataclasses import dataclass
from functools import cached_property

from asr.events import Partial, SpeechStarted
from eval.equivalents import plain_reference
from eval.metrics.average_lagging import laal_s, stream_laal_s
from eval.metrics.endpoints import Endpoints, endpoints
from eval.metrics.punctuation import WrittenErrors, written_errors
from eval.metrics.stability import Stability, stability
from eval.metrics.turns import Answer, Turn, turn_of
from eval.metrics.word_errors import (
    INSERT,
    Counts,
    Edit,
    align_texts,
    align_trace,
    count_as_written,
    count_characters,
    counts_of,
    segment_counts,
    total,
)
from eval.metrics.word_kinds import has_loop, keyword_errors, made_up_in_speech, name_errors, number_errors
from eval.metrics.word_times import WordTimes, displays, final_words, finalisation_s, word_times
from eval.trace import KEYWORDS, OFFLINE, Trace


@dataclass(frozen=True)
class ScoredTrace:
    """The inputs of every metric for one trace."""

    trace: Trace

    @property
    def key(self) -> tuple[str, str]:
        """Data set and utterance: the same recording in another system has the same key."""
        return self.trace.dataset, self.trace.utterance

    @property
    def is_streamed(self) -> bool:
        """True where words arrived one after the other, so that delays mean something."""
        return self.trace.mode != OFFLINE

    @property
    def is_silent(self) -> bool:
        """True where the reference is empty: every recognised word is made up."""
        return not self.trace.reference.strip()

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        """The normalised reference aligned with the normalised transcript; counts and confusions come from it."""
        return align_trace(self.trace)

    @cached_property
    def segment_counts(self) -> tuple[Counts, ...]:
        """Normalised counts of each reference segment."""
        return segment_counts(self.trace, self.edits)

    @cached_property
    def counts(self) -> Counts:
        """Edits of the normalised texts, all segments together."""
        return total(self.segment_counts)

    @cached_property
    def raw_counts(self) -> Counts:
        """Counts of the texts as written: case and punctuation count."""
        return count_as_written(plain_reference(self.trace.reference), self.trace.text, self.trace.language)

    @cached_property
    def character_counts(self) -> Counts:
        """Counts in characters of the normalised texts, in every language."""
        sides = zip(*((edit.reference, edit.hypothesis) for edit in self.edits), strict=True)
        return count_characters(*map("".join, sides)) if self.edits else Counts()

    @cached_property
    def number_errors(self) -> tuple[int, int]:
        """Errors in numbers, and units of numbers in the reference."""
        return number_errors(self.edits)

    @cached_property
    def name_errors(self) -> tuple[int, int]:
        """Proper nouns missed, and in the reference."""
        return name_errors(plain_reference(self.trace.reference), self.trace.language, self.edits)

    @cached_property
    def keyword_errors(self) -> tuple[int, int]:
        """Keywords missed or falsely recognised, and in the reference; the recording's attribute lists them."""
        listed = dict(self.trace.attributes).get(KEYWORDS, "")
        return keyword_errors(listed.split(","), self.trace.language, self.edits) if listed else (0, 0)

    @cached_property
    def made_up_in_speech(self) -> tuple[int, int]:
        """Words in runs of insertions, and words in the reference."""
        return made_up_in_speech(self.edits)

    @cached_property
    def has_loop(self) -> bool:
        """True where the transcript repeats a phrase in a row and the reference does not."""
        return has_loop(self.edits)

    @cached_property
    def written_errors(self) -> WrittenErrors:
        """Errors of punctuation and of capitals."""
        return written_errors(plain_reference(self.trace.reference), self.trace.text, self.trace.language)

    @cached_property
    def word_times(self) -> tuple[WordTimes, ...]:
        """The moments of each final word; case and punctuation do not count as a change."""
        return word_times(self.trace)

    @cached_property
    def exact_word_times(self) -> tuple[WordTimes, ...]:
        """The moments of each final word; case and punctuation count as a change."""
        return word_times(self.trace, str.strip)

    @cached_property
    def stability(self) -> Stability:
        """How many words were shown and changed."""
        return stability(self.trace)

    @cached_property
    def finalisation_s(self) -> float | None:
        """From the end of the stream to the last final with words."""
        return finalisation_s(self.trace)

    @cached_property
    def turn(self) -> Turn | None:
        """What came after the end of speech, for a recording of one utterance; None for any other."""
        return turn_of(self.trace)

    @cached_property
    def first_message_counts(self) -> Counts | None:
        """Edits of what a client has at the first message after the end of speech."""
        return None if self.turn is None else self._answer_counts(self.turn.first_message)

    @cached_property
    def first_final_counts(self) -> Counts | None:
        """Edits of what a client has at the first final after the end of speech."""
        return None if self.turn is None else self._answer_counts(self.turn.first_final)

    @cached_property
    def first_shown_s(self) -> float | None:
        """From the onset of the first word until any word is shown; None where nothing was shown.

        The onset is the reference alignment's, else that of the recording's energy, else the system's own.
        """
        shown, onset = self._first_shown_wall_s(), self._onset_s()
        return None if shown is None or onset is None else shown - onset

    @cached_property
    def first_word_shown_s(self) -> float | None:
        """From the end of the first word until any word is shown; None where nothing was shown.

        The end is the reference alignment's, else the system's own for its first word.
        """
        words = self.trace.reference_words or final_words(self.trace)
        shown = self._first_shown_wall_s()
        return None if shown is None or not words else shown - words[0].end_s

    @cached_property
    def endpoints(self) -> Endpoints:
        """The ends of speech that were reported while the stream went on."""
        return endpoints(self.trace)

    @cached_property
    def lags_s(self) -> tuple[tuple[float, float], ...]:
        """For each partial: seconds of audio that were spoken but not yet processed, with and without computation."""
        lags = []
        for entry in self.trace.entries:
            if isinstance(entry.event, Partial):
                processed_s, spoken_s = entry.event.end_s, min(entry.wall_s, self.trace.duration_s)
                lags.append((max(0.0, spoken_s - processed_s), max(0.0, entry.audio_s - processed_s)))
        return tuple(lags)

    def laal_s(self, clock: str = "wall") -> float | None:
        """Length-adaptive average lagging of the whole, see `eval.metrics.average_lagging`; None without words.

        ``clock`` wall gives the computation-aware variant.
        """
        words = self.word_times
        if not words:
            return None
        reference_length = sum(edit.kind != INSERT for edit in self.edits)
        delays_s = [word.committed.wall_s if clock == "wall" else word.committed.audio_s for word in words]
        return laal_s(delays_s, self.trace.duration_s, reference_length)

    def stream_laal_s(self, clock: str = "wall") -> tuple[float, ...]:
        """The average lagging of each reference segment with words."""
        return stream_laal_s(self.trace, self.word_times, clock)

    def _answer_counts(self, answer: Answer | None) -> Counts | None:
        if answer is None:
            return None
        return counts_of(align_texts(self.trace.reference, answer.text, self.trace.language))

    def _first_shown_wall_s(self) -> float | None:
        return next((d.moment.wall_s for d in displays(self.trace) if d.committed or d.tail), None)

    def _onset_s(self) -> float | None:
        if self.trace.reference_words:
            return self.trace.reference_words[0].start_s
        if self.trace.speech_start_s is not None:
            return self.trace.speech_start_s
        starts = [entry.event.at_s for entry in self.trace.entries if isinstance(entry.event, SpeechStarted)]
        onsets = starts or [word.start_s for word in final_words(self.trace)]
        return onsets[0] if onsets else None
