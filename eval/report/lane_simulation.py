"""Streams that wait for the steps of a lane: a simulation of discrete events, driven by measured step times.

A lane is one worker. Streams are placed on the lane with the fewest, and stay there. Each has new audio at a fixed
interval; the lane steps all that wait in one batch, as `server.streams.replica` does. What is decoded depends on the
audio alone and not on when (`asr.streaming.schedule`), so a stream that is late owes a step for each piece of audio: a
lane with more work than time falls behind for as long as it lasts.
"""

from dataclasses import dataclass

import numpy as np

SIMULATED_S = 60.0
"""Of audio in each stream. A lane that cannot keep up is later the longer streams last."""
WARM_UP = 0.2
"""Share of the audio that does not count: the queue begins empty."""
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
        max_batch: Streams in one step (`max_batch` of the server's settings).
    """

    each_s: float
    factors: np.ndarray
    apart_s: float
    max_batch: int


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


def p95_s(
    streams: int, lanes: int, steps: Steps, measured: Measured, seed: int = 0, audio_s: float = SIMULATED_S
) -> float:
    """The 95th percentile of the words' delay, in seconds: the measured delays, with the change of the waits."""
    rng = np.random.default_rng(seed)
    usual_s = float(_waits(measured.streams, measured.lanes, steps, rng, audio_s).mean())
    delays_s = np.interp(rng.random(DRAWN), QUANTILES, measured.delays_s)
    delays_s += rng.choice(_waits(streams, lanes, steps, rng, audio_s), DRAWN) - usual_s
    return float(np.percentile(delays_s, 95))


def _waits(streams: int, lanes: int, steps: Steps, rng: np.random.Generator, audio_s: float) -> np.ndarray:
    """Waits of audio on all lanes: lanes with as many streams are alike, so one of them is simulated."""
    fewest, fuller = divmod(streams, lanes)
    waits = [np.zeros(0)]
    for on_lane, alike in ((fewest, lanes - fuller), (fewest + 1, fuller)):
        if on_lane and alike:
            drawn = max(1, round(DRAWN * on_lane * alike / streams))
            waits.append(rng.choice(lane_waits(on_lane, steps, rng, audio_s), drawn))
    return np.concatenate(waits)


def lane_waits(streams: int, steps: Steps, rng: np.random.Generator, audio_s: float = SIMULATED_S) -> np.ndarray:
    """From the moment audio is there to the end of its step, in seconds, for each piece of audio of one lane.

    Each stream has `audio_s` seconds of audio; what is still waited for when it has ended is done then.
    """
    due_s = rng.uniform(0.0, steps.apart_s, streams)
    waits: list[np.ndarray] = []
    now_s = 0.0
    while (first_s := float(due_s.min())) < audio_s:
        now_s = max(now_s, first_s)
        waiting = np.flatnonzero(due_s <= min(now_s, audio_s))
        batch = waiting[np.argsort(due_s[waiting], kind="stable")][: steps.max_batch]
        now_s += steps.each_s * len(batch) * float(rng.choice(steps.factors))
        waits.append((now_s - due_s[batch])[due_s[batch] >= WARM_UP * audio_s])
        due_s[batch] += steps.apart_s
    return np.concatenate(waits)
