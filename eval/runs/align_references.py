"""Aligns references with their recordings: when each word was really said, whichever system is measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from asr.errors import CallerError
from asr.normalisation.normalise import base_language
from eval.data.dataset import read
from eval.data.types import Recording, Utterance
from eval.trace import Span

if TYPE_CHECKING:
    from asr.engine import Engine


@dataclass(frozen=True, slots=True)
class References:
    """Word times found by an aligner, by (data set, utterance id)."""

    aligner: str = ""
    words: dict[tuple[str, str], tuple[Span, ...]] = field(default_factory=dict)

    def with_word_times(self, recording: Recording) -> Recording:
        """The recording with its word times, unless its data set has its own or the aligner found none."""
        words = self.words.get((recording.utterance.dataset, recording.utterance.id), ())
        return recording if recording.words or not words else replace(recording, words=words, aligner=self.aligner)


def align_references(utterances: Iterable[Utterance], engine: "Engine", say: Callable[[str], None]) -> References:
    """Aligns all references. Call it before measuring, so that the aligner costs the measured model nothing.

    Calls `say` for each utterance whose text does not fit its recording, or whose recording cannot be read.
    """
    references = References(engine.aligner)
    for utterance in utterances:
        if not utterance.text.strip() or all(clip.words for clip in utterance.clips):
            continue
        try:
            references.words[(utterance.dataset, utterance.id)] = _words(utterance, engine)
        except CallerError as error:
            say(f"{utterance.id} has no word times: {error}")
    return references


def _words(utterance: Utterance, engine: "Engine") -> tuple[Span, ...]:
    from asr.align import align

    language = base_language(utterance.language) or None
    alignment = align(read(utterance).samples, utterance.text, engine, language=language)
    return tuple(Span(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in alignment.words)
