"""Admission: places, refusals, the drain at shutdown."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import numpy as np
import pytest

from asr.config import SessionSettings
from server.metrics import Metrics
from server.streams.admission import Admission, Unavailable
from server.streams.scheduler import Scheduler
from server.workers.messages import StreamOptions
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, PATIENCE, eventually, pcm, running, transcript, until_closed, wav


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


def test_uploads_take_no_place_from_live_streams() -> None:
    """They fill all places, and a live stream still gets one; an upload gets none beside as many live ones."""
    admission = Admission(2, 0.9, Metrics())

    def end() -> None:
        """Does nothing."""

    with admission.place(end, live=False), admission.place(end, live=False):
        with pytest.raises(Unavailable):
            admission.check(live=False)
        with admission.place(end), admission.place(end):
            assert admission.open_streams == 4
            with pytest.raises(Unavailable):
                admission.check()
        admission.check()
    with admission.place(end), admission.place(end), pytest.raises(Unavailable):
        admission.check(live=False)
    assert admission.open_streams == 0


def test_uploads_take_no_time_from_live_streams() -> None:
    """Their steps fill an engine, and wait for each other: no other upload fits there, but a live stream does."""
    engine = ScriptedEngine(step_s=0.1)

    async def run() -> tuple[bool, bool]:
        scheduler = Scheduler([engine], 1, Metrics(), patience=PATIENCE)
        scheduler.calibrate(0.3)
        scheduler.start()
        uploads = [await scheduler.open(SessionSettings(), StreamOptions(), live=False) for _ in range(6)]
        for session in uploads:
            session.receive_audio(np.zeros(16_000, np.float32))
        await asyncio.gather(*(scheduler.step(session) for session in uploads))
        fits = scheduler.fits(0.9, live=True), scheduler.fits(0.9, live=False)
        for session in uploads:
            scheduler.close(session)
        await scheduler.stop()
        return fits

    assert asyncio.run(run()) == (True, False)


def test_live_streams_keep_each_other_out() -> None:
    """What their own load leaves no time for is refused as before."""

    async def run() -> bool:
        scheduler = Scheduler([ScriptedEngine()], 1, Metrics(), patience=PATIENCE)
        scheduler.calibrate(0.3)
        live = [await scheduler.open(SessionSettings(), StreamOptions()) for _ in range(3)]
        fits = scheduler.fits(0.9)
        for session in live:
            scheduler.close(session)
        assert scheduler.fits(0.9)
        await scheduler.stop()
        return fits

    assert not asyncio.run(run())


@pytest.mark.slow
def test_a_live_stream_is_admitted_beside_uploads_that_fill_the_server() -> None:
    """Over the wires: a server of two places with two uploads that wait at the model, and a live stream."""
    engine = ScriptedEngine()
    with running(engine, max_streams=2) as server, ThreadPoolExecutor(3) as clients:
        engine.gate.clear()
        upload = partial(httpx.post, f"{server.url}/v1/listen", content=wav(2.0), timeout=60)
        uploads = [clients.submit(upload) for _ in range(2)]
        eventually(lambda: server.metric("asr_open_streams") == 2)
        assert upload().status_code == 503
        opening = clients.submit(server.listen, open_timeout=60)
        eventually(lambda: server.service.schedulers[engine.name].seats == 3)
        engine.gate.set()
        with opening.result() as live:
            live.send(pcm(2.0))
            live.send(CLOSE)
            messages, code = until_closed(live)
        assert [one.result().status_code for one in uploads] == [200, 200]
    assert (transcript(messages), code) == (words(4), 1000)


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
