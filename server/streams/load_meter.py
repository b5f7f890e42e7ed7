"""How much of an engine's time its streams take, and whether another one would fit. Pure but for the clock.

A moving measurement with the weight of the last seconds: each step adds what it took, and all of it fades. A stream
that is younger than that is not in it with all of its work yet; what is missing is added at the usual cost of one.
"""

import math
import time
from collections.abc import Callable

HORIZON_S = 10.0
"""How far back the measurement looks: speech and pauses of many streams even out within it."""

USUAL_COST = 0.05
"""A stream's share of an engine's time before anything was measured."""

MOST_COST = 0.5
"""No stream is expected to take more: one is always let in, and what it takes is then measured."""

LONG_WAIT_S = 1.0
"""Who waits longer for a step on average is in a queue that grows."""

WAIT_WEIGHT = 0.1
"""Of the newest step in the mean wait."""

Clock = Callable[[], float]


class Load:
    """The measurement of one engine."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._at_s = clock()
        self._busy = 0.0
        self._wait_s = 0.0
        self._usual_cost = USUAL_COST
        self._opened: dict[object, float] = {}
        self._late: dict[object, float] = {}
        self._last_given_up_s = -math.inf

    def calibrate(self, cost: float) -> None:
        """A stream's share of the engine's time, measured at start: on a machine that was busy just then, too high."""
        self._usual_cost = min(cost, MOST_COST)

    @property
    def streams(self) -> int:
        """Open ones."""
        return len(self._opened)

    def open(self, stream: object) -> None:
        self._opened[stream] = self._clock()

    def close(self, stream: object) -> None:
        """It takes its part of the measurement along: a crowd that leaves makes room for the next one at once."""
        self._late.pop(stream, None)
        if stream in self._opened:
            self._fade()
            seen = self._seen()
            rest = seen - self._seen_of(self._opened.pop(stream))
            self._busy *= max(0.0, rest / seen) if seen > 0.0 else 0.0

    def add(self, took_s: float, waited_s: float = 0.0) -> None:
        """A step that ended now; its streams had waited so long for it."""
        self._fade()
        self._busy += took_s / HORIZON_S
        self._wait_s += (waited_s - self._wait_s) * WAIT_WEIGHT

    @property
    def busy(self) -> float:
        """Share of the last seconds in which the engine worked for streams at the pace of speech."""
        self._fade()
        return self._busy

    @property
    def cost(self) -> float:
        """One stream's share: what is measured, and one more stream of the usual cost."""
        return (self.busy + self._usual_cost) / (self._seen() + 1.0)

    @property
    def demand(self) -> float:
        """The share that the open streams will have, the youngest included."""
        return self.busy + self.cost * (self.streams - self._seen())

    def fits(self, max_load: float) -> bool:
        """Whether another stream would find room: in time, in the queue, and beside streams that are not late."""
        waits = self._wait_s > LONG_WAIT_S and self.streams > 0
        return not waits and not self._late and self.demand + self.cost <= max_load

    # -- streams that cannot keep up -------------------------------------------------------------------------------

    def late(self, stream: object, is_late: bool) -> None:
        """Whether this stream's words come too late, for too long now."""
        if not is_late:
            self._late.pop(stream, None)
        elif stream in self._opened:
            self._late.setdefault(stream, self._opened[stream])

    def gives_up(self, stream: object, apart_s: float) -> bool:
        """Whether this late stream is the one to be closed: the youngest, and not within `apart_s` of another one,
        whose end may be all that was needed."""
        youngest = max(self._late, key=lambda late: self._late[late], default=None)
        if stream is not youngest or self._clock() - self._last_given_up_s < apart_s:
            return False
        self._last_given_up_s = self._clock()
        return True

    def _seen(self) -> float:
        """How many streams the measurement has in it, the young ones in part."""
        return sum(map(self._seen_of, self._opened.values()))

    def _seen_of(self, opened_s: float) -> float:
        return 1.0 - math.exp((opened_s - self._clock()) / HORIZON_S)

    def _fade(self) -> None:
        now_s = self._clock()
        self._busy *= math.exp((self._at_s - now_s) / HORIZON_S)
        self._at_s = now_s


class Lateness:
    """One stream: whether it has come later than `max_lag_s` for `max_lagging_s`, and was slower than speech all along.

    A recording that is sent at once lags too, but is worked off faster than it would be spoken.
    """

    def __init__(self, max_lag_s: float, max_lagging_s: float, clock: Clock = time.monotonic) -> None:
        self._max_lag_s, self._max_lagging_s, self._clock = max_lag_s, max_lagging_s, clock
        self._since: tuple[float, float] | None = None

    def seen(self, lag_s: float, decoded_s: float) -> bool:
        """After a step: the stream's lag, and the audio that was decoded so far."""
        now_s = self._clock()
        if lag_s <= self._max_lag_s:
            self._since = None
            return False
        began_s, decoded_before_s = self._since = self._since or (now_s, decoded_s)
        passed_s = now_s - began_s
        if decoded_s - decoded_before_s >= passed_s > 0.0:
            self._since = (now_s, decoded_s)
            return False
        return passed_s >= self._max_lagging_s


def at_speech_pace(advances_s: list[float], elapsed_s: list[float]) -> float:
    """The share of a step that was for speech as it is spoken: audio of each stream, up to the time that has passed.

    What a recording sent at once takes beyond that would wait for others: it is no reason to refuse a stream.
    """
    total_s = sum(advances_s)
    if total_s <= 0.0:
        return 1.0
    return sum(min(advance, passed) for advance, passed in zip(advances_s, elapsed_s, strict=True)) / total_s
