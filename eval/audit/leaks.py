"""Leaks: the same recording, text or speaker in two sets. A score on what was trained on is no score."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from eval.data.types import Utterance
from eval.normalise import normalise, units

MIN_UNITS = 5
"""Shorter texts ("yes", "good morning") are said by many people."""

Pair = tuple[Utterance, Utterance]
Key = Callable[[Utterance], Hashable]
Found = Mapping[Hashable, list[Utterance]]


@dataclass(frozen=True, slots=True)
class Leak:
    """What two sets share. ``kind``: recording, file name, text, text within a longer one, speaker.

    ``left`` and ``right`` count the utterances concerned; ``pairs`` are some of them, of each shared thing one.
    """

    kind: str
    sets: tuple[str, str]
    shared: int
    left: int
    right: int
    pairs: tuple[Pair, ...]


def split_of(utterance: Utterance) -> str:
    """The set that an utterance is of: its data set, and where that holds several splits, which."""
    split = dict(utterance.attributes).get("split", "")
    return f"{utterance.dataset}/{split}" if split else utterance.dataset


def leaks(utterances: Sequence[Utterance], sounds: Mapping[tuple[str, str], str], limit: int = 8) -> tuple[Leak, ...]:
    """Everything that any two of the sets share; ``sounds`` are the hashes of what could be decoded, by set and id."""
    sets: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        sets[split_of(utterance)].append(utterance)

    def sound(utterance: Utterance) -> str:
        return sounds.get((utterance.dataset, utterance.id), "")

    found = []
    for left, right in combinations(sets, 2):
        names, a, b = (left, right), sets[left], sets[right]
        found += _shared("recording", names, _by(a, sound), _by(b, sound), limit)
        found += _shared("file name", names, _by(a, _name), _by(b, _name), limit)
        found += _shared("text", names, _by(a, _text), _by(b, _text), limit)
        found += _within(names, a, b, limit)
        found += _shared("speaker", names, _by(a, _speaker), _by(b, _speaker), limit)
    return tuple(found)


def _by(utterances: Iterable[Utterance], key: Key) -> dict[Hashable, list[Utterance]]:
    """By a key; those whose key is empty are left out."""
    found: dict[Hashable, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if told := key(utterance):
            found[told].append(utterance)
    return found


def _name(utterance: Utterance) -> str:
    """The file's name without its suffix, where it is one that could not be anybody's ("1", "audio")."""
    name = utterance.clips[0].audio.stem
    return name if len(name) >= 8 and any(map(str.isdigit, name)) else ""


def _text(utterance: Utterance) -> tuple[str, ...]:
    told = _units(utterance)
    return told if len(told) >= MIN_UNITS else ()


def _speaker(utterance: Utterance) -> str:
    return utterance.speaker


def _units(utterance: Utterance) -> tuple[str, ...]:
    return units(normalise(utterance.text, utterance.language), utterance.language)


def _shared(kind: str, sets: tuple[str, str], left: Found, right: Found, limit: int) -> list[Leak]:
    """One leak, or none where no key is in both."""
    both = [key for key in left if key in right]
    if not both:
        return []
    pairs = tuple((left[key][0], right[key][0]) for key in both[:limit])
    concerned = [sum(len(found[key]) for key in both) for found in (left, right)]
    return [Leak(kind, sets, len(both), concerned[0], concerned[1], pairs)]


def _within(sets: tuple[str, str], a: Sequence[Utterance], b: Sequence[Utterance], limit: int) -> list[Leak]:
    """Texts that are a part of a longer text of the other set, either way round."""
    pairs = [(x, y) for x, y in _contained(a, b)] + [(y, x) for x, y in _contained(b, a)]
    if not pairs:
        return []
    left, right = ({pair[side].id for pair in pairs} for side in (0, 1))
    return [Leak("text within a longer one", sets, len(pairs), len(left), len(right), tuple(pairs[:limit]))]


def _contained(short: Sequence[Utterance], long: Sequence[Utterance]) -> list[Pair]:
    """Pairs of a text and a longer one that it is in, word for word; by an index of the first `MIN_UNITS` words."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    texts = [_units(utterance) for utterance in long]
    for number, text in enumerate(texts):
        for start in range(len(text) - MIN_UNITS + 1):
            places[text[start : start + MIN_UNITS]].append((number, start))
    found = []
    for utterance in short:
        text = _units(utterance)
        for number, start in places.get(text[:MIN_UNITS], ()) if len(text) >= MIN_UNITS else ():
            if len(texts[number]) > len(text) and texts[number][start : start + len(text)] == text:
                found.append((utterance, long[number]))
                break
    return found
