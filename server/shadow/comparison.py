"""Two texts of one stream -> numbers, by the rules that score texts in `eval`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from asr.normalisation.normalise import normalise, units
from server.shadow.recording import Said


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two texts are apart, in units of the language: words, or characters where no spaces are written."""

    language: str
    words: int
    challenger_words: int
    distance: int


def compare(
    champion: Sequence[Sequence[Said]], challenger: Sequence[Sequence[Said]], language: str | None
) -> Difference:
    """The difference of the two normalised texts, channel by channel, summed.

    `language` is the one that the client asked for; without one it is that of most of the champion's finals. The
    distance is Levenshtein's on the normalised units and nothing else. So it is a metric, and the errors of the two
    against any text, counted in the same way, differ by no more. (`eval.equivalents` also joins compounds as the
    reference writes them; that is no metric.)
    """
    chosen = language or _most(champion) or _most(challenger)
    pairs = [(_units(one, chosen), _units(other, chosen)) for one, other in zip(champion, challenger, strict=True)]
    return Difference(
        chosen,
        sum(len(one) for one, _ in pairs),
        sum(len(other) for _, other in pairs),
        sum(Levenshtein.distance(one, other) for one, other in pairs),
    )


def _units(said: Sequence[Said], language: str) -> tuple[str, ...]:
    return units(normalise("".join(one.text for one in said), language), language)


def _most(channels: Sequence[Sequence[Said]]) -> str:
    languages = Counter(one.language for channel in channels for one in channel if one.language)
    return languages.most_common(1)[0][0] if languages else ""
