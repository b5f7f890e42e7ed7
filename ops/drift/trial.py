"""Drift on trial: live streams with a known beginning of a shift, resampled from measured recordings.

Of each trial half of the speakers are the reference's and the other half live. Speakers come again day after day, each
at its own part of the day and of the week. `measured` holds real recordings, recognised once under each condition
(`asr drift conditions`); the rest is drawn, faster than real time.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from asr.errors import ConfigError
from asr.vitals import GROUPS
from eval.measured_vitals import MeasuredSet
from ops.drift.detector import ALPHA, EVENTS, LEVELS, SIGNALS, STAKES, TOLERANCE, Detector, detector_of, signals_of
from ops.drift.nearest import candidates, nearest, shift_of

REFERENCE_UNITS = 500
UNITS_A_DAY = 100
MONTH_DAYS = 30
QUIET_UNITS = 200
"""Live streams before the shift begins."""
MOST_UNITS = 1000
"""Streams after which a shift counts as missed."""
LEAST_SPEAKERS = 30
PARTS = 4
WEEKEND_SHARE = 0.3
"""Of a working day's streams, on a day of the weekend."""

SOUND = GROUPS["acoustic"]
RIGHT: Mapping[str, tuple[str, ...]] = {
    "telephone": ("rolloff_khz", "low_db", "upper_db", "high_db", "top_db", "tilt_db", "holes", "flatness"),
    "noise": ("snr_db", "noise_db", "holes", "modulation", "decay_db", "floor_flatness", "high_db", "top_db"),
    "opus": ("rolloff_khz", "high_db", "top_db", "holes", "upper_db"),
    "reverb": ("snr_db", "modulation", "decay_db", "noise_db", "holes", "rolloff_khz"),
    "accent": GROUPS["pronunciation"],
    "": (*GROUPS["model"], *GROUPS["text"], *GROUPS["behaviour"], *GROUPS["pronunciation"]),
}
"""What a condition is, by the beginning of its name -> the numbers that name it rightly. "": other speech."""


@dataclass(frozen=True, slots=True)
class Found:
    """One trial: streams from the shift to the alarm (None: missed), and whether signal and nearest are right."""

    delay: int | None
    signal: str = ""
    is_signal_right: bool = False
    nearest: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Of all trials of one shift."""

    name: str
    trials: int
    median: float
    p90: float
    missed: float
    signal_right: float
    nearest_right: float
    early: int
    signals: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.median:.0f} streams to the alarm, 90 % within {self.p90:.0f}; "
            f"missed {self.missed:.1%}; signal right {self.signal_right:.0%}, nearest right {self.nearest_right:.0%}; "
            f"{self.early} of {self.trials} had an alarm before"
        )


class Pool:
    """The recordings of one kind: numbers ``(n, len(SIGNALS))`` by speaker."""

    def __init__(self, sets: Sequence[MeasuredSet]) -> None:
        self.values = signals_of(np.concatenate([each.numbers for each in sets]))
        names = np.concatenate([np.char.add(f"{each.data} ", each.speakers) for each in sets])
        self.speakers, self.of = np.unique(names, return_inverse=True)
        self.rows = [np.flatnonzero(self.of == number) for number in range(len(self.speakers))]

    def halves(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the speakers of the reference, and of the others."""
        order = generator.permutation(len(self.speakers))
        return order[: len(order) // 2], order[len(order) // 2 :]

    def draw(
        self, speakers: np.ndarray, places: np.ndarray, weekend: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """A recording of a speaker for each stream ``(n,)``, by the part of the day and whether it is a weekend.

        A third of the speakers speaks at the weekend alone, and each speaks in its own part of the day twice of three
        times: so the mix of speakers has a daily and a weekly rhythm.
        """
        home = speakers % PARTS
        chosen = np.empty(len(places), int)
        for part in range(PARTS):
            for day in (False, True):
                mine = (places == part) & (weekend == day)
                weight = np.where(home == part, 6.0, 1.0) * np.where((speakers % 3 == 0) == day, 3.0, 1.0)
                chosen[mine] = generator.choice(speakers, mine.sum(), p=weight / weight.sum())
        return np.array([generator.choice(self.rows[speaker]) for speaker in chosen])


def calendar(units: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Part of the day, and whether it is a weekend, of each of ``n`` streams ``(n,)`` one after the other."""
    parts, weekend = list[int](), list[bool]()
    day = int(generator.integers(7))
    while len(parts) < units:
        is_weekend = day % 7 >= 5
        count = generator.poisson(UNITS_A_DAY * (WEEKEND_SHARE if is_weekend else 1.0))
        shares = generator.multinomial(count, [0.05, 0.35, 0.4, 0.2])
        parts += np.repeat(np.arange(PARTS), shares).tolist()
        weekend += [is_weekend] * count
        day += 1
    return np.array(parts[:units]), np.array(weekend[:units])


class Trial:
    """Trials on the measured sets. Raises `ConfigError` where the own sets have too few speakers.

    Half of them are the reference's: with a handful each half is a world of its own, and everything has moved.
    """

    def __init__(self, measured: Sequence[MeasuredSet]) -> None:
        self.own = [each for each in measured if each.is_own and not each.condition]
        if not self.own:
            raise ConfigError("found no own set that was measured as recorded, wanted one: asr drift conditions")
        self.pool = Pool(self.own)
        if len(self.pool.speakers) < LEAST_SPEAKERS:
            found = f"found recordings of {len(self.pool.speakers)} speakers in the own sets"
            raise ConfigError(f"{found}, wanted {LEAST_SPEAKERS} or more: measure larger sets (asr drift conditions)")
        self.known = candidates(measured)
        moved = [one for one in measured if one not in self.own]
        self.others = {
            each.name: Pool([one for one in moved if (one.condition or one.data) == each.name]) for each in self.known
        }

    def detector(self, generator: np.random.Generator) -> tuple[Detector, np.ndarray]:
        """A detector for the speakers of the reference, and the others."""
        mine, others = self.pool.halves(generator)
        parts, weekend = calendar(REFERENCE_UNITS, generator)
        rows = self.pool.draw(mine, parts, weekend, generator)
        clients = [str(self.pool.of[row]) for row in rows]
        days = REFERENCE_UNITS / UNITS_A_DAY
        return detector_of(self.pool.values[rows], list(map(str, parts)), days, ALPHA, clients), others

    def digest(self) -> str:
        """Of the recordings and of what the detector is: trials of the same digest and seed have the same end."""
        settings = (EVENTS, STAKES.tolist(), LEVELS, ALPHA, TOLERANCE, REFERENCE_UNITS, UNITS_A_DAY, MONTH_DAYS)
        return blake2b(repr(settings).encode() + self.pool.values.tobytes(), digest_size=8).hexdigest()

    def null_month(self, seed: int) -> bool:
        """Whether a month in which nothing moves has an alarm."""
        detector, values, places = self.world("", seed)
        while places:
            taken = detector.receive(values, places)
            if detector.alarming():
                return True
            values, places = values[taken:], places[taken:]
        return False

    def onset(self, name: str, seed: int, signals: Collection[str] = SIGNALS) -> Found | None:
        """One trial of a shift, with alarms of these signals alone. None: there was an alarm before it."""
        detector, values, places = self.world(name, seed)
        others = [signal for signal in SIGNALS if signal not in signals]
        while places:
            taken = detector.receive(values, places, others)
            if found := [each for each in detector.alarming() if EVENTS[each[1]][0] in signals]:
                return self._found(name, detector, found[0][1]) if detector.units > QUIET_UNITS else None
            values, places = values[taken:], places[taken:]
        return Found(None)

    def world(self, name: str, seed: int) -> tuple[Detector, np.ndarray, list[str]]:
        """A detector that has seen nothing, and live values ``(n, len(SIGNALS))`` of strata ``(n,)``.

        "": a month in which nothing moves. Else `QUIET_UNITS` as before, and then the shift.
        """
        generator = np.random.default_rng([seed, 2 if name else 1])
        detector, others = self.detector(generator)
        parts, weekend = calendar(QUIET_UNITS + MOST_UNITS if name else MONTH_DAYS * UNITS_A_DAY, generator)
        quiet = QUIET_UNITS if name else len(parts)
        values = self.pool.values[self.pool.draw(others, parts[:quiet], weekend[:quiet], generator)]
        if name:
            rows = self.moved(name, others, parts[quiet:], weekend[quiet:], generator)
            values = np.concatenate([values, self.others[name].values[rows]])
        return detector, values, list(map(str, parts))

    def moved(
        self, name: str, speakers: np.ndarray, parts: np.ndarray, weekend: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """A recording of ``others[name]`` for each stream ``(n,)``: of the same speakers under a condition, of another
        set of all its own speakers."""
        pool = self.others[name]
        known = {speaker: number for number, speaker in enumerate(pool.speakers)}
        mine = np.array([known[s] for s in self.pool.speakers[speakers] if s in known], int)
        return pool.draw(mine if len(mine) else np.arange(len(pool.speakers)), parts, weekend, generator)

    def _found(self, name: str, detector: Detector, event: int) -> Found:
        signal = EVENTS[detector.named(event)][0]
        kind = next(each for each in RIGHT if name.startswith(each))
        most_like = nearest(shift_of(detector.since(event), detector.reference), self.known)
        return Found(detector.units - QUIET_UNITS, signal, signal in RIGHT[kind], most_like.name if most_like else "")


def quiet_months(trial: Trial, seeds: Sequence[int], file: Path | None = None) -> int:
    """How many months in which nothing moves have an alarm, one month for each seed.

    ``file``: each month becomes a line of JSON there, and those that it has are not made again: so a long count may be
    interrupted. Lines of other recordings or of another detector do not count.
    """
    of = trial.digest()
    known: dict[int, bool] = {}
    if file is not None and file.is_file():
        rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        known = {row["seed"]: row["alarm"] for row in rows if row["of"] == of}
    for seed in seeds:
        if seed not in known:
            known[seed] = trial.null_month(seed)
            if file is not None:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps({"of": of, "seed": seed, "alarm": known[seed]}) + "\n")
    return sum(known[seed] for seed in seeds)


def summary(name: str, found: Sequence[Found | None]) -> Summary:
    """Of the trials of one shift; trials with an alarm before it are counted apart."""
    mine = [each for each in found if each is not None]
    delays = np.array([MOST_UNITS if each.delay is None else each.delay for each in mine], float)
    seen = [each for each in mine if each.delay is not None]
    counts: dict[str, int] = {}
    for each in seen:
        counts[each.signal] = counts.get(each.signal, 0) + 1
    return Summary(
        name,
        len(found),
        float(np.median(delays)) if len(mine) else float("nan"),
        float(np.quantile(delays, 0.9)) if len(mine) else float("nan"),
        (len(mine) - len(seen)) / max(1, len(mine)),
        sum(each.is_signal_right for each in seen) / max(1, len(seen)),
        sum(each.nearest == name for each in seen) / max(1, len(seen)),
        len(found) - len(mine),
        dict(sorted(counts.items(), key=lambda pair: -pair[1])),
    )
