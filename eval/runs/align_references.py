"""References aligned with their recordings: when each word was really said, whatever system is measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from asr.errors import CallerError
from eval.data.dataset import read
from eval.data.types import Recording, Utterance
from eval.normalise import base_language
from eval.trace import Span

if TYPE_CHECKING:
    from asr.engine import Engine


@dataclass(frozen=True, slots=True)
class References:
    """The words' times that an aligner has found, by data set and utterance."""

    aligner: str = ""
    words: dict[tuple[str, str], tuple[Span, ...]] = field(default_factory=dict)

    def placed(self, recording: Recording) -> Recording:
        """The recording with its words' times, where its data set has none and they are known here."""
        found = self.words.get((recording.utterance.dataset, recording.utterance.id), ())
        return recording if recording.words or not found else replace(recording, words=found, aligner=self.aligner)


def align_references(utterances: Iterable[Utterance], engine: "Engine", say: Callable[[str], None]) -> References:
    """Before anything is measured, so that the aligner costs none of it.

    A reference that does not fit its recording, or a recording that cannot be read, stays without; `say` is told.
    """
    found = References(engine.aligner)
    for utterance in utterances:
        if not utterance.text.strip() or all(clip.words for clip in utterance.clips):
            continue
        try:
            found.words[(utterance.dataset, utterance.id)] = _words(utterance, engine)
        except CallerError as error:
            say(f"{utterance.id} stays without word times: {error}")
    return found


def _words(utterance: Utterance, engine: "Engine") -> tuple[Span, ...]:
    from asr.align import align

    language = base_language(utterance.language) or None
    found = align(read(utterance).samples, utterance.text, engine, language=language)
    return tuple(Span(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in found.words)
