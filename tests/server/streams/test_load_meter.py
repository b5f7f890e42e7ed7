"""The measurement of load, on a clock of its own."""

import pytest

from server.streams.load_meter import HORIZON_S, USUAL_COST, Lateness, LoadMeter, realtime_share


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def working(clock: Clock, load: LoadMeter, share: float, seconds: float, waited_s: float = 0.0) -> None:
    """So much of each tenth of a second in steps."""
    for _ in range(round(seconds * 10)):
        clock.now_s += 0.1
        load.add(share / 10, waited_s)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_measurement_comes_to_what_is_worked(share: float) -> None:
    """After five times its horizon, within a hundredth; then it fades as fast."""
    clock = Clock()
    load = LoadMeter(clock)
    working(clock, load, share, 5 * HORIZON_S)
    assert load.busy == pytest.approx(share, rel=0.02)
    clock.now_s += HORIZON_S
    assert load.busy == pytest.approx(share / 2.718, rel=0.02)


def test_streams_are_admitted_until_the_next_would_not_fit() -> None:
    """Ten streams of 0.08 each: with 0.9 as the limit an eleventh fits, a twelfth does not."""
    clock = Clock()
    load = LoadMeter(clock)
    streams = [object() for _ in range(11)]
    for stream in streams[:10]:
        load.open(stream)
    working(clock, load, 0.8, 8 * HORIZON_S)
    assert load.fits(0.9)
    load.open(streams[10])
    working(clock, load, 0.88, 8 * HORIZON_S)
    assert not load.fits(0.9)
    load.close(streams[0])
    load.close(streams[1])
    working(clock, load, 0.72, 8 * HORIZON_S)
    assert load.fits(0.9)


def test_streams_that_are_too_young_to_be_measured_count_all_the_same() -> None:
    """A crowd that comes in one moment is not let in whole because the engine still idles."""
    load = LoadMeter(Clock())
    load.calibrate(0.2)
    admitted = 0
    while load.fits(0.9) and admitted < 100:
        load.open(object())
        admitted += 1
    assert admitted == 4


def test_a_crowd_that_leaves_makes_room_for_the_next_at_once() -> None:
    """What it took is not counted against those who come."""
    clock = Clock()
    load = LoadMeter(clock)
    streams = [object() for _ in range(8)]
    for stream in streams:
        load.open(stream)
    working(clock, load, 0.8, 5 * HORIZON_S)
    load.close(streams[0])
    assert load.busy == pytest.approx(0.7, rel=0.02)
    for stream in streams[1:]:
        load.close(stream)
    assert load.busy == pytest.approx(0.0, abs=1e-9)
    load.open(object())
    assert load.fits(0.9)


def test_silent_streams_make_room() -> None:
    """Their measured cost is what counts, not what speech costs."""
    clock = Clock()
    load = LoadMeter(clock)
    load.calibrate(0.2)
    for _ in range(4):
        load.open(object())
    assert not load.fits(0.9)
    working(clock, load, 0.02, 5 * HORIZON_S)
    assert load.fits(0.9)


def test_nobody_is_let_in_where_steps_are_waited_for() -> None:
    """A queue that grows says more than any share; without streams there is none."""
    clock = Clock()
    load = LoadMeter(clock)
    stream = object()
    load.open(stream)
    working(clock, load, 0.1, 10.0, waited_s=2.0)
    assert not load.fits(0.9)
    load.close(stream)
    assert load.fits(0.9)


def test_nobody_is_let_in_beside_a_stream_that_is_late() -> None:
    """Until it is no more."""
    load = LoadMeter(Clock())
    late = object()
    load.open(late)
    load.mark_late(late, True)
    assert not load.fits(0.9)
    load.mark_late(late, False)
    assert load.fits(0.9)


def test_of_late_streams_the_youngest_is_given_up_and_then_time_is_given() -> None:
    """One end may be all that was needed."""
    clock = Clock()
    load = LoadMeter(clock)
    old, young = object(), object()
    for stream in (old, young):
        clock.now_s += 1.0
        load.open(stream)
        load.mark_late(stream, True)
    assert not load.must_give_way(old, 5.0)
    assert load.must_give_way(young, 5.0)
    load.close(young)
    assert not load.must_give_way(old, 5.0)
    clock.now_s += 5.0
    assert load.must_give_way(old, 5.0)


def test_an_engine_that_was_not_measured_has_the_usual_cost() -> None:
    """And is empty."""
    load = LoadMeter(Clock())
    assert (load.busy, load.demand, load.cost) == (0.0, 0.0, USUAL_COST)


def late_after(clock: Clock, lateness: Lateness, lag_s: float, pace: float, seconds: float) -> bool:
    """Whether a stream with this lag, decoded at this pace, is too late after so many seconds."""
    decoded_s, seen = 0.0, False
    for _ in range(round(seconds)):
        seen = lateness.update(lag_s, decoded_s)
        clock.now_s += 1.0
        decoded_s += pace
    return seen


@pytest.mark.parametrize(
    ("lag_s", "pace", "seconds", "late"),
    [
        (9.0, 0.5, 15, True),
        (9.0, 0.5, 10, False),
        (7.0, 0.5, 60, False),
        (60.0, 5.0, 60, False),
        (60.0, 1.0, 60, False),
    ],
)
def test_late_is_what_lags_for_long_and_is_slower_than_speech(
    lag_s: float, pace: float, seconds: float, late: bool
) -> None:
    """Not what lags for a moment, a little, or because it was sent at once."""
    clock = Clock()
    assert late_after(clock, Lateness(8.0, 10.0, clock), lag_s, pace, seconds) == late


def test_what_a_recording_takes_beyond_the_pace_of_speech_is_not_counted() -> None:
    """A tenth of a second of speech beside nine of a file: a step is to a tenth and a little for speech."""
    assert realtime_share([0.1], [0.1]) == 1.0
    assert realtime_share([0.1, 9.9], [0.1, 0.4]) == pytest.approx(0.05)
    assert realtime_share([0.0, 0.0], [0.1, 0.1]) == 1.0
