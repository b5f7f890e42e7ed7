"""Finds recordings, texts and speakers that two sets share: a score on training data says nothing."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from asr.normalisation.normalise import normalise, units
from eval.data.types import Utterance

MIN_UNITS = 5
"""Shorter texts ("yes", "good morning") are said by many people."""

Pair = tuple[Utterance, Utterance]
Key = Callable[[Utterance], Hashable]
Index = Mapping[Hashable, list[Utterance]]
"""Utterances by a key, such as their text."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What two sets share. ``kind``: recording, file name, text, text within a longer one, speaker.

    ``left`` and ``right`` count the utterances concerned in each set; ``pairs`` has one pair for each shared thing, for
    the first few.
    """

    kind: str
    sets: tuple[str, str]
    shared: int
    left: int
    right: int
    pairs: tuple[Pair, ...]


def split_of(utterance: Utterance) -> str:
    """The name of the utterance's set: its data set, with the split if the data set has several."""
    split = dict(utterance.attributes).get("split", "")
    return f"{utterance.dataset}/{split}" if split else utterance.dataset


def leaks(utterances: Sequence[Utterance], sounds: Mapping[tuple[str, str], str], limit: int = 8) -> tuple[Leak, ...]:
    """Everything that any two sets share. ``sounds``: (data set, utterance id) -> hash of the decoded samples."""
    sets: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        sets[split_of(utterance)].append(utterance)

    def sound(utterance: Utterance) -> str:
        return sounds.get((utterance.dataset, utterance.id), "")

    keys: dict[str, Key] = {"recording": sound, "file name": _file_name, "text": _text}
    found: list[Leak] = []
    for left, right in combinations(sets, 2):
        names, a, b = (left, right), sets[left], sets[right]
        for kind, key in keys.items():
            found += _shared(kind, names, _index(a, key), _index(b, key), limit)
        found += _within(names, a, b, limit)
        found += _shared("speaker", names, _index(a, _speaker), _index(b, _speaker), limit)
    return tuple(found)


def _index(utterances: Iterable[Utterance], key: Key) -> Index:
    """The utterances by key, without those whose key is empty."""
    index: dict[Hashable, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if value := key(utterance):
            index[value].append(utterance)
    return index


def _file_name(utterance: Utterance) -> str:
    """The file's name without its suffix; "" for names that many files have ("1", "audio")."""
    name = utterance.clips[0].audio.stem
    return name if len(name) >= 8 and any(map(str.isdigit, name)) else ""


def _text(utterance: Utterance) -> tuple[str, ...]:
    text = _units(utterance)
    return text if len(text) >= MIN_UNITS else ()


def _speaker(utterance: Utterance) -> str:
    return utterance.speaker


def _units(utterance: Utterance) -> tuple[str, ...]:
    return units(normalise(utterance.text, utterance.language), utterance.language)


def _shared(kind: str, sets: tuple[str, str], left: Index, right: Index, limit: int) -> list[Leak]:
    """One leak; [] if the two have no key in common."""
    common = [key for key in left if key in right]
    if not common:
        return []
    pairs = tuple((left[key][0], right[key][0]) for key in common[:limit])
    counts = [sum(len(index[key]) for key in common) for index in (left, right)]
    return [Leak(kind, sets, len(common), counts[0], counts[1], pairs)]


def _within(sets: tuple[str, str], a: Sequence[Utterance], b: Sequence[Utterance], limit: int) -> list[Leak]:
    """Texts that are part of a longer text of the other set, in either direction."""
    pairs = [(x, y) for x, y in _contained(a, b)] + [(y, x) for x, y in _contained(b, a)]
    if not pairs:
        return []
    left, right = ({pair[side].id for pair in pairs} for side in (0, 1))
    return [Leak("text within a longer one", sets, len(pairs), len(left), len(right), tuple(pairs[:limit]))]


def _contained(short: Sequence[Utterance], long: Sequence[Utterance]) -> list[Pair]:
    """Pairs of a text and a longer one that contains it word for word; by an index of `MIN_UNITS` words in a row."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    texts = [_units(utterance) for utterance in long]
    for number, text in enumerate(texts):
        for start in range(len(text) - MIN_UNITS + 1):
            places[text[start : start + MIN_UNITS]].append((number, start))
    pairs = []
    for utterance in short:
        text = _units(utterance)
        for number, start in places.get(text[:MIN_UNITS], ()) if len(text) >= MIN_UNITS else ():
            if len(texts[number]) > len(text) and texts[number][start : start + len(text)] == text:
                pairs.append((utterance, long[number]))
                break
    return pairs
