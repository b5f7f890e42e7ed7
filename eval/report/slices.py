"""Where the errors are: WER on parts of the data, and the commonest confusions."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eval.metrics.catalogue import WER
from eval.metrics.estimates import estimate, unit_of, units_of_traces
from eval.metrics.resampling import Interval
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.significance import too_few_units
from eval.metrics.word_errors import confusions
from eval.report.systems import System
from eval.trace import KEYWORDS

LENGTHS_S = (3.0, 6.0, 10.0, 30.0)
SPEEDS = (1.5, 2.5, 3.5)
"""Words per second; people read aloud at about 2.5."""

NOT_SLICED = frozenset({"licence", "license", "source_repo", "notes", "id", "path", KEYWORDS})
"""Attributes about the origin of a recording, not about its sound: no slice is made of them."""
FIRST = ("noise", "snr_db", "condition", "device", "accent", "gender", "age")
"""Attributes whose slices come first."""
MAX_VALUES = 12
"""Values of an attribute that are shown; the others share one row."""
RARE = 6
"""Values of an attribute with fewer recordings share that row too, if there are two of them."""
OTHER, UNKNOWN = "other", "not given"
DECADES = ("under ten", "teens", "twenties", "thirties", "fourties", "fifties", "sixties", "seventies", "eighties")
"""Ages in years by decade, with the names (and the spelling) of Common Voice, so that sets can be put together."""


@dataclass(frozen=True, slots=True)
class Row:
    """One part of the data.

    Attributes:
        name: The value that the part's recordings share.
        utterances: Its recordings.
        words: Its reference words, or characters where no spaces are written; None where it has both.
        wer: Each system's WER on it; None for a system that did not run it.
        has_too_few_speakers: True where WER has no interval for that reason.
    """

    name: str
    utterances: int
    words: int | None
    wer: tuple[Interval | None, ...]
    has_too_few_speakers: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """The data cut by one attribute."""

    by: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """``said`` in the reference was recognised as ``heard`` this many ``times``; "" stands for nothing."""

    said: str
    heard: str
    times: int


@dataclass(frozen=True, slots=True)
class ChangedConfusion(Confusion):
    """A confusion of one system; ``there``: how often the other system has it on the same recordings."""

    there: int


BINNED = ("length", "speed of speech", "language")
"""Cuts whose parts all stay, however small."""
Cut = tuple[str, Callable[[ScoredTrace], str]]
"""What the data is cut by, and the part that a recording belongs to."""


def slices(systems: Sequence[System]) -> tuple[Slice, ...]:
    """By length, speed, language and every attribute; only those that cut the data into at least two parts."""
    made = (_slice(by, part, systems, folds=by not in BINNED) for by, part in cuts_of(systems))
    return tuple(cut for cut in made if len(cut.rows) > 1)


def cuts_of(systems: Sequence[System]) -> list[Cut]:
    """By length, speed, language and every attribute that a recording has."""
    everything = [scored for system in systems for scored in system.scored]
    attributes = {name for s in everything for name, _ in s.trace.attributes if name not in NOT_SLICED}
    names = sorted(attributes, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return [
        ("length", _length),
        ("speed of speech", _speed),
        ("language", lambda scored: scored.trace.language or UNKNOWN),
        *((name.replace("_", " "), _attribute(name)) for name in names),
    ]


def by_dataset(systems: Sequence[System]) -> Slice:
    """Every data set with all recordings of it that each system ran."""
    return _slice("data set", lambda scored: scored.trace.dataset, systems, max_values=1000)


def common_confusions(system: System, count: int = 15) -> tuple[Confusion, ...]:
    """The commonest confusions, most frequent first; a word beside "" is a deletion or an insertion."""
    ordered = sorted(_confusions(system).items(), key=_commonest)
    return tuple(Confusion(said, heard, times) for (said, heard), times in ordered[:count])


def changed_confusions(left: System, right: System, count: int = 15) -> tuple[ChangedConfusion, ...]:
    """What left confuses more often than right on the same recordings, largest excess first."""
    mine, theirs = _confusions(left), _confusions(right)
    more = sorted((mine - theirs).items(), key=_commonest)
    return tuple(ChangedConfusion(*pair, mine[pair], theirs[pair]) for pair, _ in more[:count])


def _confusions(system: System) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for scored in system.scored:
        counts.update(confusions(scored.edits))
    return counts


def _commonest(item: tuple[tuple[str, str], int]) -> tuple[int, bool, tuple[str, str]]:
    """Orders by number; among equals substitutions come first, as they say most."""
    pair, times = item
    return -times, "" in pair, pair


def _slice(
    by: str,
    part: Callable[[ScoredTrace], str],
    systems: Sequence[System],
    max_values: int = MAX_VALUES,
    *,
    folds: bool = False,
) -> Slice:
    """``folds``: rare values share a row."""
    parts = [_parts(part, system.scored) for system in systems]
    sizes: Counter[str] = Counter()
    for mine in parts:
        sizes |= Counter({name: len(scored) for name, scored in mine.items()})
    rare = [name for name, size in sizes.items() if folds and size < RARE and name != UNKNOWN]
    shown = [name for name, _ in sizes.most_common() if len(rare) < 2 or name not in rare][:max_values]
    rows = [_row(name, [mine.get(name, []) for mine in parts]) for name in sorted(shown, key=_order)]
    rest = [[s for name, scored in mine.items() if name not in shown for s in scored] for mine in parts]
    other = f"{OTHER} ({len(sizes) - len(shown)} values)"
    return Slice(by, (*rows, *([_row(other, rest)] if any(rest) else [])))


def _parts(part: Callable[[ScoredTrace], str], scored: Iterable[ScoredTrace]) -> dict[str, list[ScoredTrace]]:
    parts: dict[str, list[ScoredTrace]] = {}
    for each in scored:
        parts.setdefault(part(each), []).append(each)
    return parts


def _row(name: str, scored: Sequence[Sequence[ScoredTrace]]) -> Row:
    largest = max(scored, key=len)
    mixed = " and " in unit_of(largest)
    words = None if mixed else sum(s.counts.reference_length for s in largest)
    wer = tuple(estimate(WER, mine) if mine else None for mine in scored)
    return Row(name, len(largest), words, wer, too_few_units(units_of_traces(largest).count))


def _order(name: str) -> tuple[int, float, str]:
    """Numbers and decades by size, then texts, then unknown values."""
    if name in DECADES:
        return 0, float(DECADES.index(name)), name
    try:
        return 0, float(name.split()[0]), name
    except ValueError:
        return 2 if name == UNKNOWN else 1, 0.0, name


def _attribute(name: str) -> Callable[[ScoredTrace], str]:
    if name == "age":
        return lambda scored: _age(dict(scored.trace.attributes).get(name, UNKNOWN))
    return lambda scored: dict(scored.trace.attributes).get(name, UNKNOWN)


def _age(text: str) -> str:
    """An age in years by decade; other texts as they are."""
    return DECADES[min(int(text) // 10, len(DECADES) - 1)] if text.isascii() and text.isdigit() else text


def _length(scored: ScoredTrace) -> str:
    return _bin(scored.trace.duration_s, LENGTHS_S, "s")


def _speed(scored: ScoredTrace) -> str:
    """Words, or characters where no spaces are written, per second of the recording."""
    if scored.is_silent or not scored.trace.duration_s:
        return UNKNOWN
    unit = "a second" if unit_of([scored]) == "words" else "characters a second"
    return _bin(scored.counts.reference_length / scored.trace.duration_s, SPEEDS, unit)


def _bin(value: float, edges: Sequence[float], unit: str) -> str:
    below = next((edge for edge in edges if value < edge), None)
    if below is None:
        return f"{edges[-1]:g} {unit} and more"
    index = edges.index(below)
    return f"{edges[index - 1]:g} to {below:g} {unit}" if index else f"0 to {below:g} {unit}"
