"""Made-up populations of speakers with a known truth: what two recognisers get wrong on them, and how late they are.

Speakers have error rates of their own; how well each system suits a speaker differs too (`model_sd`), and recordings
differ. The systems of a world have the same true error rate and delay, unless `advantage` says otherwise.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, stats

WORDS = (4, 16)
"""Words of a recording, drawn evenly."""
LATE_S = 0.6
"""Median delay of a word."""
WORD_SD = 0.5
"""Of the log delay, between the words of one recording."""


@dataclass(frozen=True, slots=True)
class World:
    """A population and how it is sampled. Standard deviations of errors are in logits, of delays in log seconds.

    Attributes:
        name: The world in words.
        speakers: Number of speakers.
        recordings: Mean number of recordings of each.
        unequal: Coefficient of variation of that number (log-normal); 0: all have the same number.
        giant: The first speaker has as many recordings as all others together.
        ranked: The number of a speaker's recordings falls as one over the speaker's rank: a half, a third ...
        sets: Number of data sets; speakers belong to them in turn.
        set_sd: Between sets, common to both systems; the sets themselves are the same in each sample.
        unlabelled: Number of recordings without a speaker's label, taken from the speakers in turn; each is a unit.
        base_rate: Error rate of a system on the median speaker and recording.
        made_up: Words that a system inserts for each reference word, on the median speaker and recording.
        speaker_sd: Between speakers, common to both systems.
        model_sd: Between speakers, of each system alone.
        recording_sd: Between recordings, common to both systems.
        heavy_tails: Speakers' effects are drawn from Student's t with 3 degrees of freedom, scaled to these deviations.
        shared: Share of the words on which both systems stumble together.
        loops: Share of recordings in which a system loops.
        one_loops: Share of recordings in which the first system alone loops; the second has as many errors, each by
            itself.
        loop_words: Words that a looping decoder inserts into one recording.
        empty: Share of recordings for which a system writes nothing.
        whole: Recordings are entirely right or entirely wrong.
        advantage: Logits by which the second system is better.
        slice_share: Share of the speakers for whom the first system is worse, by `slice_logits`; for all others it is
            better, by so much that both have the same errors on the whole.
        slice_logits: See there. Delays of both systems are longer by this, in log seconds, for these speakers.
        opposite: Logits by which the second system is better on one half of the speakers and the first one on the
            other half, as in two data sets that disagree.
    """

    name: str
    speakers: int
    recordings: int
    unequal: float = 0.0
    giant: bool = False
    ranked: bool = False
    sets: int = 1
    set_sd: float = 0.0
    unlabelled: int = 0
    base_rate: float = 0.15
    made_up: float = 0.0
    speaker_sd: float = 0.6
    model_sd: float = 0.25
    recording_sd: float = 0.6
    heavy_tails: bool = False
    shared: float = 0.5
    loops: float = 0.0
    one_loops: float = 0.0
    loop_words: int = 30
    empty: float = 0.0
    whole: bool = False
    advantage: float = 0.0
    slice_share: float = 0.0
    slice_logits: float = 0.0
    opposite: float = 0.0

    @property
    def units(self) -> int:
        """Speakers, and recordings without a label."""
        return self.speakers + self.unlabelled


WORLDS = (
    World("10 speakers x 20", 10, 20),
    World("12 speakers, unequal (CV 1)", 12, 20, unequal=1.0),
    World("20 speakers x 10", 20, 10),
    World("20 speakers, unequal (CV 1)", 20, 10, unequal=1.0),
    World("50 speakers, unequal (CV 1)", 50, 6, unequal=1.0),
    World("76 speakers, very unequal (CV 1.8)", 76, 4, unequal=1.8),
    World("200 speakers, unequal (CV 1)", 200, 3, unequal=1.0),
    World("20 speakers, models differ by speaker (0.5)", 20, 10, model_sd=0.5),
    World("10 speakers, models do not differ by speaker", 10, 20, model_sd=0.0),
    World("20 speakers, loops", 20, 10, loops=0.005),
    World("50 speakers, unequal, loops", 50, 6, unequal=1.0, loops=0.005),
    World("12 speakers, heavy tails (0.5)", 12, 15, model_sd=0.5, heavy_tails=True),
    World("12 speakers, one with half of all", 12, 6, giant=True),
    World("20 speakers, recordings all right or all wrong", 20, 10, whole=True),
    World("20 speakers, empty transcripts", 20, 10, empty=0.03),
    World("20 speakers, systems independent", 20, 10, shared=0.0),
    World("11 speakers, unequal, heavy tails, loops", 11, 18, unequal=1.0, model_sd=0.5, heavy_tails=True, loops=0.005),
    World("15 speakers, very unequal (CV 2)", 15, 13, unequal=2.0, model_sd=0.5),
    World("40 speakers, one with half of all, heavy tails", 40, 5, giant=True, model_sd=0.5, heavy_tails=True),
    World("20 speakers, one system loops", 20, 10, one_loops=0.003),
    World("40 speakers, unequal, one system loops", 40, 5, unequal=1.0, model_sd=0.5, one_loops=0.005),
    World("100 speakers, one system loops", 100, 3, one_loops=0.003),
    World("200 speakers, one system loops", 200, 3, one_loops=0.003),
    World("10 speakers, one system loops in 0.5 %", 10, 20, one_loops=0.005),
    World("20 speakers, one system loops in 0.5 %", 20, 10, one_loops=0.005),
    World("40 speakers, one system loops in 0.5 %", 40, 5, one_loops=0.005),
    World("100 speakers, one system loops in 0.5 %", 100, 3, one_loops=0.005),
    World("10 speakers, one system loops in 1 %", 10, 20, one_loops=0.01),
    World("20 speakers, one system loops in 1 %", 20, 10, one_loops=0.01),
    World("40 speakers, one system loops in 1 %", 40, 5, one_loops=0.01),
    World("100 speakers, one system loops in 1 %", 100, 3, one_loops=0.01),
    World("200 speakers x 1, one system loops in 1 %", 200, 1, one_loops=0.01),
    World("200 speakers x 1, one system loops in 2 %", 200, 1, one_loops=0.02),
    World("10 speakers x 100, models differ by speaker (0.5)", 10, 100, model_sd=0.5),
    World("15 speakers, very unequal, heavy tails, loops", 15, 13, 1.8, model_sd=0.5, heavy_tails=True, loops=0.01),
    World("20 speakers, nearly the same errors", 20, 10, model_sd=0.05, shared=0.95),
    World("20 speakers, two halves that disagree", 20, 10, opposite=0.5),
    World("20 speakers, WER of 2 %", 20, 10, base_rate=0.013),
    World("50 speakers, WER of 0.5 %", 50, 6, base_rate=0.003),
    World("20 speakers, WER above 100 %", 20, 10, base_rate=0.6, made_up=0.5),
    World("20 speakers, one label missing of 200", 20, 10, unlabelled=1),
    World("20 speakers, 60 labels missing of 200", 20, 10, unlabelled=60),
    World("20 speakers, half of 400 labels missing", 20, 20, unlabelled=200),
    World("12 speakers, unequal, 40 labels missing of 240", 12, 20, unequal=1.0, unlabelled=40),
    World("1000 speakers, one recording each", 1000, 1),
    World("10 speakers x 2", 10, 2),
    World("10 speakers, WER of 0.2 %", 10, 20, base_rate=0.0015),
    World("11 speakers, one with half of all, heavy tails, loops", 11, 8, giant=True, heavy_tails=True, loops=0.005),
    World("12 speakers, some with errors ten times as often", 12, 10, speaker_sd=1.5, model_sd=0.5),
    World("14 speakers, very unequal, models differ by speaker (1.0)", 14, 8, unequal=1.8, model_sd=1.0),
    World("10 speakers, very unequal (CV 3)", 10, 15, unequal=3.0, model_sd=0.5),
    World("12 speakers, sizes by rank (1, 1/2, 1/3 ...)", 12, 15, ranked=True, model_sd=0.5),
    World("12 speakers in 3 sets, unequally hard", 12, 15, sets=3, set_sd=1.0),
    World("10 speakers in 5 sets, unequally hard", 10, 20, sets=5, set_sd=1.0),
    World("20 speakers in 10 sets, alike", 20, 10, sets=10),
    World("20 speakers, loops of 100 words in 3 %", 20, 10, loops=0.03, loop_words=100),
    World("12 speakers, one system worse for 30 %, better else", 12, 15, slice_share=0.3, slice_logits=1.0),
    World("20 speakers, one system worse for 20 %, better else", 20, 10, slice_share=0.2, slice_logits=1.0),
    World("50 speakers, one system worse for 10 %, better else", 50, 6, slice_share=0.1, slice_logits=1.0),
)
RARE = (
    World("10 speakers, one system worse for 20 %, better else", 10, 20, slice_share=0.2, slice_logits=1.0),
    World("10 speakers, one system much worse for 10 %, better else", 10, 20, slice_share=0.1, slice_logits=2.0),
    World("20 speakers, one system much worse for 10 %, better else", 20, 10, slice_share=0.1, slice_logits=2.0),
    World("10 speakers, one system loops in 0.5 %, 60 words", 10, 20, one_loops=0.005, loop_words=60),
    World("20 speakers, loops of 100 words in 1 %", 20, 10, loops=0.01, loop_words=100),
    World("50 speakers, one system loops in 0.5 %, 60 words", 50, 6, one_loops=0.005, loop_words=60),
    World("50 speakers, one system loops in 0.5 %, 100 words", 50, 6, one_loops=0.005, loop_words=100),
)
"""Many samples have none of the rare speakers or loops that make both systems equal: nothing in them says so."""
UNKNOWN = (
    World("20 speakers, no label of 200", 20, 10, unlabelled=200),
    World("20 speakers, no label of 800", 20, 40, unlabelled=800),
)
"""Recordings count as speakers here. The verdict says so: it holds only if each is of another speaker."""

FEW = (
    World("4 speakers x 25", 4, 25),
    World("5 speakers, models differ (0.5)", 5, 20, model_sd=0.5),
    World("6 speakers, models differ (0.5)", 6, 20, model_sd=0.5),
    World("9 speakers x 20", 9, 20),
)
APART = (
    *(
        World(f"{speakers} speakers, {advantage}", speakers, 10, advantage=advantage)
        for speakers in (10, 20, 50, 76)
        for advantage in (0.13, 0.27, 0.5)
    ),
    World("12 speakers, unequal (CV 1), 0.27", 12, 20, unequal=1.0, advantage=0.27),
    World("15 speakers, very unequal (CV 2), 0.27", 15, 13, unequal=2.0, model_sd=0.5, advantage=0.27),
    World("12 speakers, heavy tails, 0.5", 12, 15, model_sd=0.5, heavy_tails=True, advantage=0.5),
    World("12 speakers, one with half of all, 0.27", 12, 6, giant=True, advantage=0.27),
    World("50 speakers, unequal, loops, 0.27", 50, 6, unequal=1.0, loops=0.005, advantage=0.27),
    World("20 speakers, recordings all right or all wrong, 0.27", 20, 10, whole=True, advantage=0.27),
    World("20 speakers, WER of 2 %, 0.5", 20, 10, base_rate=0.013, advantage=0.5),
)
"""The second system is better, by the logits at the end of each name."""
DELAY_WORLDS = (
    World("10 speakers x 10", 10, 10, speaker_sd=0.3, model_sd=0.1, recording_sd=0.4),
    World("12 speakers, unequal (CV 1)", 12, 10, unequal=1.0, speaker_sd=0.3, model_sd=0.1, recording_sd=0.4),
    World("20 speakers x 8", 20, 8, speaker_sd=0.3, model_sd=0.1, recording_sd=0.4),
    World("50 speakers, unequal (CV 1)", 50, 4, unequal=1.0, speaker_sd=0.3, model_sd=0.1, recording_sd=0.4),
    World("10 speakers, a factor of 2 apart", 10, 10, speaker_sd=0.69, model_sd=0.1, recording_sd=0.4),
    World("20 speakers, a factor of 2 apart", 20, 8, speaker_sd=0.69, model_sd=0.1, recording_sd=0.4),
    World("12 speakers, unequal, a factor of 2 apart", 12, 10, 1.0, speaker_sd=0.69, model_sd=0.1, recording_sd=0.4),
    World("12 speakers, heavy tails", 12, 10, speaker_sd=0.4, model_sd=0.1, recording_sd=0.4, heavy_tails=True),
    World("15 speakers, one with half of all", 15, 8, giant=True, speaker_sd=0.4, model_sd=0.1, recording_sd=0.4),
    World("10 speakers, models differ by speaker (0.3)", 10, 10, speaker_sd=0.3, model_sd=0.3, recording_sd=0.4),
    World("20 speakers, 10 % of them 3 times as late", 20, 8, 0.0, speaker_sd=0.3, slice_share=0.1, slice_logits=1.1),
    World("20 speakers, very unequal (CV 3)", 20, 8, 3.0, speaker_sd=0.3, model_sd=0.1, recording_sd=0.4),
)
LATER = 0.2
"""Log seconds by which the first system is later where a difference in delay is true: 22 %."""


@dataclass(frozen=True, slots=True)
class Errors:
    """What the systems get wrong.

    Attributes:
        errors: Errors by system, sample of the world and unit ``(systems, samples, units)``.
        words: Reference words ``(samples, units)``.
        nameless: So many of the last units are recordings without a speaker's label.
        sets: Number of data sets; speakers belong to them in turn.
    """

    errors: np.ndarray
    words: np.ndarray
    nameless: int = 0
    sets: int = 1

    @property
    def change(self) -> np.ndarray:
        """Errors of the first system minus those of the last ``(samples, units)``."""
        difference: np.ndarray = self.errors[0] - self.errors[-1]
        return difference


def draw_errors(world: World, samples: int, seed: int, systems: int = 2) -> Errors:
    """This many independent samples of the population; the last system has the world's advantage."""
    rng = np.random.default_rng(seed)
    sizes, effects = _sizes(world, samples, rng), _effects(world, (systems, samples, world.speakers), rng)
    effects[-1] -= world.advantage
    effects[-1, :, ::2] -= world.opposite
    effects[0, :, 1::2] -= world.opposite
    if world.slice_share:
        is_in_slice = rng.random((samples, world.speakers)) < world.slice_share
        effects[0] += world.slice_logits * is_in_slice
        effects[1] += _logits_elsewhere(world) * ~is_in_slice
    errors, words = np.zeros((systems, samples, world.units)), np.zeros((samples, world.units))
    for place in range(sizes.max()):
        sample, speaker = np.nonzero(sizes > place)
        number = place * world.speakers + speaker
        unit = sample, np.where(number < world.unlabelled, world.speakers + number, speaker)
        count = rng.integers(WORDS[0], WORDS[1] + 1, len(sample))
        logits = effects[:, sample, speaker] + world.recording_sd * rng.normal(size=len(count))
        words[unit] += count
        for system, wrong in enumerate(_wrong(world, logits, count, rng)):
            errors[system][unit] += wrong
        errors[0][unit] += world.loop_words * (rng.random(len(count)) < world.one_loops)
        errors[1][unit] += rng.poisson(world.loop_words * world.one_loops, len(count))
    spoken = np.asarray(words.any(axis=0))  # a speaker without any label left is no unit
    return Errors(errors[:, :, spoken], words[:, spoken], int(np.count_nonzero(spoken[world.speakers :])), world.sets)


def true_rate(world: World, draws: int = 200_000) -> float:
    """The error rate of the first system over the whole population, by drawing it."""
    rng = np.random.default_rng(0)
    effects = _effects(world, (1, draws), rng)[0] + world.recording_sd * rng.normal(size=draws)
    effects[1::2] -= world.opposite
    effects[: int(world.slice_share * draws)] += world.slice_logits
    rate = float(_logistic(effects).mean()) * (1 - world.empty) + world.empty
    made_up = world.made_up * float(np.exp(effects).mean()) / _odds(world)
    return rate + made_up + (world.loops + world.one_loops) * world.loop_words * 2 / sum(WORDS)


@lru_cache(maxsize=16)
def _logits_elsewhere(world: World, draws: int = 100_000) -> float:
    """By how many logits the second system is worse outside of the slice, so that both have the same errors."""
    rng = np.random.default_rng(0)
    logits = _effects(world, (1, draws), rng)[0] + world.recording_sd * rng.normal(size=draws)
    wanted = world.slice_share * _rise(logits, world.slice_logits) / (1 - world.slice_share)
    found: float = optimize.brentq(lambda by: _rise(logits, by) - wanted, 0.0, world.slice_logits)
    return found


def _rise(logits: np.ndarray, by: float) -> float:
    """By how much the mean error rate rises with the logits."""
    return float((_logistic(logits + by) - _logistic(logits)).mean())


def draw_delays(world: World, rng: np.random.Generator, later: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The delays of two systems on the same words ``(2, words)``, and the speaker of each word ``(words,)``.

    ``later``: by how many log seconds the first system is later.
    """
    speaker = np.repeat(np.arange(world.speakers), _sizes(world, 1, rng)[0])
    common = world.speaker_sd * _deviates(world, world.speakers, rng)[speaker]
    common += world.recording_sd * rng.normal(size=len(speaker)) + _slow(world, world.speakers, rng)[speaker]
    row = np.repeat(np.arange(len(speaker)), rng.integers(WORDS[0], WORDS[1] + 1, len(speaker)))
    own = world.model_sd * rng.normal(size=(2, world.speakers))[:, speaker[row]]
    words = common[row] + own + WORD_SD * rng.normal(size=(2, len(row))) + np.array([[later], [0.0]])
    return LATE_S * np.exp(words), speaker[row]


def true_delay(world: World, share: float, draws: int = 1_000_000) -> float:
    """The percentile ``share`` of the delays of the second system over the whole population, by drawing them."""
    rng = np.random.default_rng(0)
    others = np.sqrt(world.recording_sd**2 + world.model_sd**2 + WORD_SD**2)
    logs = world.speaker_sd * _deviates(world, draws, rng) + _slow(world, draws, rng) + others * rng.normal(size=draws)
    return float(LATE_S * np.exp(np.quantile(logs, share)))


def _slow(world: World, size: int, rng: np.random.Generator) -> np.ndarray:
    """By how many log seconds each of these speakers is later, with both systems."""
    return world.slice_logits * (rng.random(size) < world.slice_share)


def _deviates(world: World, size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_t(3, size) / np.sqrt(3) if world.heavy_tails else rng.normal(size=size)


def _sizes(world: World, worlds: int, rng: np.random.Generator) -> np.ndarray:
    """Recordings of each speaker ``(worlds, speakers)``."""
    sizes = np.full((worlds, world.speakers), world.recordings)
    if world.unequal:
        sd = np.sqrt(np.log(1 + world.unequal**2))
        factor = np.exp(rng.normal(-(sd**2) / 2, sd, sizes.shape))
        sizes = np.maximum(1, np.round(world.recordings * factor)).astype(int)
    if world.giant:
        sizes[:, 0] = sizes[:, 1:].sum(axis=1)
    if world.ranked:
        parts = 1 / np.arange(1, world.speakers + 1)
        sizes[:] = np.maximum(1, np.round(world.recordings * world.speakers * parts / parts.sum()))
    return sizes


def _effects(world: World, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The logit of each system's error rate on each speaker; the last axes are common to the systems."""

    def effect(size: tuple[int, ...]) -> np.ndarray:
        return rng.standard_t(3, size) / np.sqrt(3) if world.heavy_tails else rng.normal(size=size)

    effects: np.ndarray = np.log(_odds(world)) + world.speaker_sd * effect(shape[1:]) + world.model_sd * effect(shape)
    ranks = (np.arange(world.sets) + 0.5) / world.sets
    effects += world.set_sd * stats.norm.ppf(ranks)[np.arange(shape[-1]) % world.sets]
    return effects


def _wrong(world: World, logits: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors ``(systems, recordings)`` at these logits; on the shared words all systems meet the same luck."""
    rates = _logistic(logits)
    if world.whole:
        wrong = (rng.random(rates.shape) < rates) * count
    else:
        common = rng.binomial(count, world.shared)
        wrong = rng.binomial(count - common, rates) + _stumbles(common, rates, rng)
    wrong = np.where(rng.random(wrong.shape) < world.empty, count, wrong)
    if world.made_up:
        wrong = wrong + rng.poisson(count * world.made_up * np.exp(logits) / _odds(world))
    looped: np.ndarray = wrong + world.loop_words * (rng.random(wrong.shape) < world.loops)
    return looped


def _stumbles(count: np.ndarray, rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors ``(systems, recordings)`` among ``count`` words, each of which is as hard for all systems.

    What a better system gets wrong is wrong in all worse ones: errors add up from the best system to the worst.
    """
    order = rates.argsort(axis=0)
    ordered, wrong, before, so_far = np.take_along_axis(rates, order, 0), np.zeros(rates.shape), 0.0, 0 * count
    for place, rate in enumerate(ordered):
        so_far = so_far + rng.binomial(count - so_far, np.clip((rate - before) / np.maximum(1 - before, 1e-12), 0, 1))
        wrong[place], before = so_far, rate
    return np.take_along_axis(wrong, order.argsort(axis=0), 0)


def _odds(world: World) -> float:
    """Of an error, on the median speaker and recording."""
    return world.base_rate / (1 - world.base_rate)


def _logistic(logits: np.ndarray) -> np.ndarray:
    probabilities: np.ndarray = 1 / (1 + np.exp(-logits))
    return probabilities
