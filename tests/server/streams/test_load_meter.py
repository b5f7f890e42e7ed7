"""The measurement of load, on a clock that the test moves."""

import pytest

from server.streams.load_meter import (
    HORIZON_S,
    MAX_SHOWN_LOAD,
    SHORTEST_SHOW_S,
    USUAL_COST,
    Lateness,
    LoadMeter,
    realtime_share,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def working(clock: Clock, load: LoadMeter, share: float, seconds: float, waited_s: float = 0.0) -> None:
    """Spends this share of each tenth of a second in steps."""
    for _ in range(round(seconds * 10)):
        clock.now_s += 0.1
        load.add(share / 10, waited_s)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_measurement_converges_to_the_share_of_work(share: float) -> None:
    """After five horizons, within two hundredths; without work it decays at the same rate."""
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


def test_words_are_shown_as_early_as_the_time_to_spare_allows() -> None:
    """An idle engine: at the shortest interval. The more streams and work, the longer; a busy one: never."""
    clock = Clock()
    load = LoadMeter(clock)
    streams = [object() for _ in range(4)]
    for _ in range(100):
        load.add_early(0.05)
    load.open(streams[0])
    assert load.show_interval_s == SHORTEST_SHOW_S
    for stream in streams[1:]:
        load.open(stream)
    working(clock, load, 0.3, 5 * HORIZON_S)
    assert load.show_interval_s == pytest.approx(4 * 0.05 / (MAX_SHOWN_LOAD - 0.3), rel=0.02)
    working(clock, load, 0.5, 5 * HORIZON_S)
    assert load.show_interval_s == 0.0
    working(clock, load, 0.7, 5 * HORIZON_S)
    assert load.show_interval_s == 0.0


def test_early_windows_are_no_load() -> None:
    """They give way to a new stream, so they refuse none."""
    clock = Clock()
    load = LoadMeter(clock)
    load.open(object())
    for _ in range(500):
        clock.now_s += 0.1
        load.add_early(0.1)
    assert load.busy == 0.0
    assert load.fits(0.9)


def test_streams_too_young_to_be_measured_count_at_the_usual_cost() -> None:
    """Many that arrive in one moment are not all admitted because the engine is still idle."""
    load = LoadMeter(Clock())
    load.calibrate(0.2)
    admitted = 0
    while load.fits(0.9) and admitted < 100:
        load.open(object())
        admitted += 1
    assert admitted == 4


def test_streams_that_end_make_room_immediately() -> None:
    """Their work is not counted against the next ones."""
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
    """Their measured cost counts, not the usual cost of speech."""
    clock = Clock()
    load = LoadMeter(clock)
    load.calibrate(0.2)
    for _ in range(4):
        load.open(object())
    assert not load.fits(0.9)
    working(clock, load, 0.02, 5 * HORIZON_S)
    assert load.fits(0.9)


def test_no_stream_is_admitted_while_others_wait_long_for_their_steps() -> None:
    """A growing queue matters more than any share; without streams there is no queue."""
    clock = Clock()
    load = LoadMeter(clock)
    stream = object()
    load.open(stream)
    working(clock, load, 0.1, 10.0, waited_s=2.0)
    assert not load.fits(0.9)
    load.close(stream)
    assert load.fits(0.9)


def test_no_stream_is_admitted_beside_one_that_is_late() -> None:
    """Until it has caught up."""
    load = LoadMeter(Clock())
    late = object()
    load.open(late)
    load.mark_late(late, True)
    assert not load.fits(0.9)
    load.mark_late(late, False)
    assert load.fits(0.9)


def test_of_late_streams_the_youngest_gives_way_and_the_next_only_later() -> None:
    """The end of one may be enough for the others."""
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


def test_before_anything_is_measured_streams_are_admitted_at_the_usual_cost() -> None:
    """An empty engine has room for as many streams of the usual cost as its limit holds."""
    load = LoadMeter(Clock())
    while load.fits(0.92) and load.streams < 100:
        load.open(object())
    assert load.streams == int(0.92 / USUAL_COST)


def late_after(clock: Clock, lateness: Lateness, lag_s: float, pace: float, seconds: float) -> bool:
    """Whether a stream with this lag, decoded at this pace, is late after this many seconds."""
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
    """A stream that lags briefly, or a little, or because it was sent as fast as possible, is not."""
    clock = Clock()
    assert late_after(clock, Lateness(8.0, 10.0, clock), lag_s, pace, seconds) == late


def test_work_beyond_the_pace_of_speech_is_not_counted() -> None:
    """0.1 s of live speech in a step with 9.9 s of a file that came 0.4 s ago: 0.5 of 10 s count."""
    assert realtime_share([0.1], [0.1]) == 1.0
    assert realtime_share([0.1, 9.9], [0.1, 0.4]) == pytest.approx(0.05)
    assert realtime_share([0.0, 0.0], [0.1, 0.1]) == 1.0
