"""How much of an engine's time its streams take, and whether another stream fits. Pure but for the clock.

The load is a moving measurement with the weight of the last seconds: each step adds the time it took, and all of it
decays. The work of a stream younger than that is measured only in part; the rest is estimated at the usual cost.
"""

import math
import time
from collections.abc import Callable

HORIZON_S = 10.0
"""Time constant of the measurement: within it the speech and the pauses of many streams average out."""

USUAL_COST = 0.05
"""A stream's share of an engine's time before anything was measured."""

MAX_COST = 0.5
"""No stream is expected to take more, so that an idle engine always admits one; its real cost is then measured."""

LONG_WAIT_S = 1.0
"""A mean wait for a step above this means that the queue grows."""

WAIT_WEIGHT = 0.1
"""Weight of the newest step in the mean wait."""

MAX_SHOWN_LOAD = 0.6
"""Words are shown early until the engine is busy for this share of its time. More would make others wait."""

SHORTEST_SHOW_S = 0.64
"""The shortest interval: one early window in the middle between two updates. Two show words 0.08 s earlier and cost a
fifth more CPU (docs/log/decoding.md#one-early-window-between-two-updates)."""

LONGEST_SHOW_S = 1.0
"""A longer interval brings hardly a word before the updates that are due anyway."""

USUAL_EARLY_S = 0.05
"""The engine's time for an early window before one was measured."""

Clock = Callable[[], float]


class LoadMeter:
    """The load of one engine. Streams are any objects, compared by identity."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._at_s = clock()
        self._busy = 0.0
        self._wait_s = 0.0
        self._early_s = USUAL_EARLY_S
        self._usual_cost = USUAL_COST
        self._opened: dict[object, float] = {}
        self._late: dict[object, float] = {}
        self._last_closed_s = -math.inf

    def calibrate(self, cost: float) -> None:
        """Sets a stream's usual share of the engine's time, measured at start (too high on a busy machine)."""
        self._usual_cost = min(cost, MAX_COST)

    @property
    def streams(self) -> int:
        """Number of open streams on this replica."""
        return len(self._opened)

    def open(self, stream: object) -> None:
        """Counts a stream from now on, at the usual cost until its own is measured."""
        self._opened[stream] = self._clock()

    def close(self, stream: object) -> None:
        """A stream ends. Its share leaves the measurement, so its capacity is free immediately."""
        self._late.pop(stream, None)
        if stream in self._opened:
            self._decay()
            measured = self._measured()
            rest = measured - self._measured_of(self._opened.pop(stream))
            self._busy *= max(0.0, rest / measured) if measured > 0.0 else 0.0

    def add(self, took_s: float, waited_s: float = 0.0) -> None:
        """A step that has just ended took this long; its longest waiting stream had waited this long."""
        self._decay()
        self._busy += took_s / HORIZON_S
        self._wait_s += (waited_s - self._wait_s) * WAIT_WEIGHT

    def add_early(self, took_s: float) -> None:
        """A step that has just ended took this long for one early window. It is no load: it gives way to streams."""
        self._early_s += (took_s - self._early_s) * WAIT_WEIGHT

    @property
    def show_interval_s(self) -> float:
        """After how much new speech each stream may show its words early, in the time that is left; 0: never."""
        spare = MAX_SHOWN_LOAD - self.busy
        interval_s = self.streams * self._early_s / spare if spare > 0.0 else LONGEST_SHOW_S
        return max(SHORTEST_SHOW_S, interval_s) if interval_s < LONGEST_SHOW_S else 0.0

    @property
    def busy(self) -> float:
        """Share of the last seconds in which the engine worked on what is due, up to the pace of speech."""
        self._decay()
        return self._busy

    @property
    def cost(self) -> float:
        """One stream's share: the mean of what was measured and of one more stream at the usual cost."""
        return (self.busy + self._usual_cost) / (self._measured() + 1.0)

    @property
    def demand(self) -> float:
        """The share that all open streams will take, the youngest included."""
        return self.busy + self.cost * (self.streams - self._measured())

    def fits(self, max_load: float) -> bool:
        """Whether there is room for another stream: in time, in the queue, and without a stream that is late."""
        waits = self._wait_s > LONG_WAIT_S and self.streams > 0
        return not waits and not self._late and self.demand + self.cost <= max_load

    # -- streams that cannot keep up -------------------------------------------------------------------------------

    def mark_late(self, stream: object, is_late: bool) -> None:
        """Notes whether this stream's words have come too late for too long."""
        if not is_late:
            self._late.pop(stream, None)
        elif stream in self._opened:
            self._late.setdefault(stream, self._opened[stream])

    def must_give_way(self, stream: object, apart_s: float) -> bool:
        """Whether this late stream is to be closed now. True starts the wait of `apart_s` for the next one.

        It is the youngest late stream that goes, and only if the last one to go is `apart_s` ago: that may have been
        enough for the others to catch up.
        """
        youngest = max(self._late, key=lambda late: self._late[late], default=None)
        if stream is not youngest or self._clock() - self._last_closed_s < apart_s:
            return False
        self._last_closed_s = self._clock()
        return True

    def _measured(self) -> float:
        """How many streams the measurement contains; young ones count in part."""
        return sum(map(self._measured_of, self._opened.values()))

    def _measured_of(self, opened_s: float) -> float:
        return 1.0 - math.exp((opened_s - self._clock()) / HORIZON_S)

    def _decay(self) -> None:
        now_s = self._clock()
        self._busy *= math.exp((self._at_s - now_s) / HORIZON_S)
        self._at_s = now_s


class Lateness:
    """Whether one stream has lagged more than `max_lag_s` for `max_lagging_s`, recognised slower than it is spoken.

    A recording that is sent all at once lags too, but is recognised faster than it would be spoken.
    """

    def __init__(self, max_lag_s: float, max_lagging_s: float, clock: Clock = time.monotonic) -> None:
        self._max_lag_s, self._max_lagging_s, self._clock = max_lag_s, max_lagging_s, clock
        self._since: tuple[float, float] | None = None

    def update(self, lag_s: float, decoded_s: float) -> bool:
        """After a step, with the stream's lag and all its audio decoded so far: whether it is late."""
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


def realtime_share(advances_s: list[float], elapsed_s: list[float]) -> float:
    """The part of a step that was for audio at the pace of speech: per stream at most as much audio as time has passed.

    The rest is catching up on recordings sent all at once. It can wait, so it is no reason to refuse a stream.
    """
    total_s = sum(advances_s)
    if total_s <= 0.0:
        return 1.0
    return sum(min(advance, passed) for advance, passed in zip(advances_s, elapsed_s, strict=True)) / total_s
