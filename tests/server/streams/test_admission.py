"""Admission: places, refusals, the drain at shutdown."""

import asyncio

import pytest

from server.metrics import Metrics
from server.streams.admission import Admission, Unavailable


def test_streams_are_counted_refused_and_drained() -> None:
    """Over the limit and while draining nobody is admitted; those inside are asked to end, and waited for."""

    async def visit() -> list[str]:
        admission = Admission(1, 0.9, Metrics())
        log: list[str] = []
        leave = asyncio.Event()

        def asked() -> None:
            log.append("asked")
            leave.set()

        async def inside() -> None:
            with admission.place(asked):
                await leave.wait()
            log.append("left")

        task = asyncio.create_task(inside())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="all 1 places are taken"):
            admission.check()
        await admission.drain(30.0)
        with pytest.raises(Unavailable, match="shutting down"):
            admission.check()
        await task
        return log

    assert asyncio.run(visit()) == ["asked", "left"]


def test_each_stream_holds_a_place() -> None:
    """Those with the same `end` too, as all uploads have."""
    admission = Admission(2, 0.9, Metrics())

    def end() -> None:
        """Does nothing."""

    with admission.place(end):
        admission.check()
        with admission.place(end), pytest.raises(Unavailable):
            admission.check()
        admission.check()


def test_a_drain_ends_at_its_timeout() -> None:
    """A stream that does not end when asked is left behind, still in its place, and nobody else is admitted."""
    asked: list[str] = []

    async def drain() -> None:
        admission = Admission(2, 0.9, Metrics())
        with admission.place(lambda: asked.append("end")):
            await asyncio.wait_for(admission.drain(0.01), 30.0)
            assert admission.open_streams == 1
            with pytest.raises(Unavailable, match="shutting down"):
                admission.check()

    asyncio.run(drain())
    assert asked == ["end"]
