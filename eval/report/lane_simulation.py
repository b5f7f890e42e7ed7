"""Streams that wait for the steps of a lane: a simulation of discrete events, driven by measured step times.

A lane is one worker. Streams are placed on the lane with the fewest, and stay there. Each has new audio at a fixed
interval; the lane steps all that wait in one batch, as `server.streams.replica` does, and audio that arrives meanwhile
is in the stream's next step.
"""

from dataclasses import dataclass

import numpy as np

SIMULATED_S = 60.0
MAX_BATCH = 16
WARM_UP = 0.2
"""Share of the simulated time that does not count: the queue begins empty."""
DRAWN = 20_000
"""Words that are drawn for a percentile."""
QUANTILES = (0.0, 0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Steps:
    """What the steps of a lane take. A batch of twice as many streams takes twice the time: no gain is assumed.

    Attributes:
        each_s: Seconds of a step for each stream in it.
        factors: Measured step times over their mean ``(n,)``; each step draws one.
        apart_s: Seconds of audio between two steps of a stream.
    """

    each_s: float
    factors: np.ndarray
    apart_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A level whose delays were measured: the simulation starts from it.

    Attributes:
        streams: Streams at the same time.
        lanes: Lanes that served them.
        delays_s: Delay of the words at `QUANTILES`, in seconds.
    """

    streams: int
    lanes: int
    delays_s: tuple[float, ...]


def p95_s(streams: int, lanes: int, steps: Steps, measured: Measured, seed: int = 0) -> float:
    """The 95th percentile of the words' delay, in seconds: the measured delays, with the change of the waits."""
    rng = np.random.default_rng(seed)
    usual_s = float(_waits(measured.streams, measured.lanes, steps, rng).mean())
    delays_s = np.interp(rng.random(DRAWN), QUANTILES, measured.delays_s)
    delays_s += rng.choice(_waits(streams, lanes, steps, rng), DRAWN) - usual_s
    return float(np.percentile(delays_s, 95))


def _waits(streams: int, lanes: int, steps: Steps, rng: np.random.Generator) -> np.ndarray:
    """Waits of audio on all lanes: lanes with as many streams are alike, so one of them is simulated."""
    fewest, fuller = divmod(streams, lanes)
    waits = [np.zeros(0)]
    for on_lane, alike in ((fewest, lanes - fuller), (fewest + 1, fuller)):
        if on_lane and alike:
            drawn = max(1, round(DRAWN * on_lane * alike / streams))
            waits.append(rng.choice(lane_waits(on_lane, steps, rng), drawn))
    return np.concatenate(waits)


def lane_waits(streams: int, steps: Steps, rng: np.random.Generator) -> np.ndarray:
    """From the moment audio is there to the end of its step, in seconds, for each piece of audio of one lane."""
    due_s = rng.uniform(0.0, steps.apart_s, streams)
    waits: list[np.ndarray] = []
    now_s = 0.0
    while now_s < SIMULATED_S:
        now_s = max(now_s, float(due_s.min()))
        waiting = np.flatnonzero(due_s <= now_s)
        batch = waiting[np.argsort(due_s[waiting], kind="stable")][:MAX_BATCH]
        pieces = 1 + np.floor((now_s - due_s[batch]) / steps.apart_s).astype(int)
        began_s, first_s = now_s, np.repeat(due_s[batch], pieces)
        later = np.arange(pieces.sum()) - np.repeat(pieces.cumsum() - pieces, pieces)
        now_s += steps.each_s * len(batch) * float(rng.choice(steps.factors))
        due_s[batch] += pieces * steps.apart_s
        if began_s >= WARM_UP * SIMULATED_S or not waits:
            waits.append(now_s - first_s - later * steps.apart_s)
    return np.concatenate(waits)
