"""Where the errors are: the same figure on parts of the data."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eval.metrics.bootstrap import Interval
from eval.metrics.catalogue import WER, estimate
from eval.metrics.edits import confusions
from eval.metrics.scored_trace import Judged
from eval.report.systems import System

LENGTHS_S = (3.0, 6.0, 10.0, 30.0)
SPEEDS = (1.5, 2.5, 3.5)
"""Words a second; people read aloud at about 2.5."""

UNTOLD = frozenset({"licence", "license", "source_repo", "notes", "id", "path"})
"""Attributes that are the recording's papers, not its nature."""
FIRST = ("noise", "snr_db", "condition", "device", "accent", "gender", "age")
MOST = 12
"""Values of an attribute that are shown; the rest is one row."""
OTHER, UNKNOWN = "other", "not told"


@dataclass(frozen=True, slots=True)
class Row:
    """One part: its name, its size, and each system's WER on it (None: the system does not take it)."""

    name: str
    utterances: int
    words: int
    wer: tuple[Interval | None, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """The data cut by one thing."""

    by: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """``said`` was heard as ``heard``, so many times; "" is nothing."""

    said: str
    heard: str
    times: int


def slices(systems: Sequence[System]) -> tuple[Slice, ...]:
    """By length, speed, language and every attribute that cuts the data into at least two parts; none that does not."""
    everything = [judged for system in systems for judged in system.judged]
    told = Counter(name for judged in everything for name, _ in judged.trace.attributes if name not in UNTOLD)
    names = sorted(told, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    cuts: list[tuple[str, Callable[[Judged], str]]] = [
        ("length", _length),
        ("speed of speech", _speed),
        ("language", lambda judged: judged.trace.language or UNKNOWN),
        *((name.replace("_", " "), _attribute(name)) for name in names),
    ]
    found = (_slice(by, part, systems) for by, part in cuts)
    return tuple(cut for cut in found if len(cut.rows) > 1)


def by_dataset(systems: Sequence[System]) -> Slice:
    """Every data set with all that each system took of it."""
    return _slice("data set", lambda judged: judged.trace.dataset, systems, most=1000)


def common_confusions(system: System, most: int = 15) -> tuple[Confusion, ...]:
    """The commonest first; words beside nothing are deletions and insertions."""
    counted: Counter[tuple[str, str]] = Counter()
    for judged in system.judged:
        counted += confusions(judged.edits)
    ordered = sorted(counted.items(), key=_commonest)
    return tuple(Confusion(said, heard, times) for (said, heard), times in ordered[:most])


def changed_confusions(left: System, right: System, most: int = 15) -> tuple[tuple[Confusion, int], ...]:
    """What left does more often than right, on the same recordings, and how often right does it."""
    counted = [Counter(c for j in system.judged for c in confusions(j.edits).elements()) for system in (left, right)]
    more = sorted((counted[0] - counted[1]).items(), key=_commonest)
    return tuple((Confusion(*pair, counted[0][pair]), counted[1][pair]) for pair, _ in more[:most])


def _commonest(item: tuple[tuple[str, str], int]) -> tuple[int, bool, tuple[str, str]]:
    """By number; of equals those where one word was taken for another first, as they say most."""
    pair, times = item
    return -times, "" in pair, pair


def _slice(by: str, part: Callable[[Judged], str], systems: Sequence[System], most: int = MOST) -> Slice:
    parts = [_parts(part, system.judged) for system in systems]
    sizes: Counter[str] = Counter()
    for mine in parts:
        sizes |= Counter({name: len(judged) for name, judged in mine.items()})
    shown = [name for name, _ in sizes.most_common(most)]
    rows = [_row(name, [mine.get(name, []) for mine in parts]) for name in sorted(shown, key=_order)]
    rest = [[j for name, judged in mine.items() if name not in shown for j in judged] for mine in parts]
    return Slice(by, (*rows, *([_row(OTHER, rest)] if any(rest) else [])))


def _parts(part: Callable[[Judged], str], judged: Iterable[Judged]) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for each in judged:
        found.setdefault(part(each), []).append(each)
    return found


def _row(name: str, judged: Sequence[Sequence[Judged]]) -> Row:
    largest = max(judged, key=len)
    words = sum(j.counts.reference_length for j in largest)
    return Row(name, len(largest), words, tuple(estimate(WER, mine) if mine else None for mine in judged))


def _order(name: str) -> tuple[int, float, str]:
    """Numbers by size, then texts, then what is not told."""
    try:
        return 0, float(name.split()[0]), name
    except ValueError:
        return 2 if name == UNKNOWN else 1, 0.0, name


def _attribute(name: str) -> Callable[[Judged], str]:
    return lambda judged: dict(judged.trace.attributes).get(name, UNKNOWN)


def _length(judged: Judged) -> str:
    return _bin(judged.trace.duration_s, LENGTHS_S, "s")


def _speed(judged: Judged) -> str:
    """Words, or characters where no spaces are written, per second of the recording."""
    if judged.silent or not judged.trace.duration_s:
        return UNKNOWN
    return _bin(judged.counts.reference_length / judged.trace.duration_s, SPEEDS, "a second")


def _bin(value: float, edges: Sequence[float], unit: str) -> str:
    below = next((edge for edge in edges if value < edge), None)
    if below is None:
        return f"{edges[-1]:g} {unit} and more"
    index = edges.index(below)
    return f"{edges[index - 1]:g} to {below:g} {unit}" if index else f"0 to {below:g} {unit}"
