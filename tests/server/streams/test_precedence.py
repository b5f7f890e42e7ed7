"""Live streams before uploads, in a scheduler whose engine is held until all of them wait."""

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from server.metrics import Metrics
from server.streams import precedence
from server.streams.precedence import AHEAD_S, Precedence
from server.streams.scheduler import Scheduler
from server.workers.messages import StreamOptions
from tests.server.fakes import ScriptedEngine, ScriptedSession
from tests.server.running import PATIENCE


class NotingEngine(ScriptedEngine):
    """Also notes which sessions were stepped together."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[list[ScriptedSession]] = []

    def step(self, sessions: list[ScriptedSession]) -> bool:  # type: ignore[override]
        result = super().step(sessions)
        self.together.append(list(sessions))
        return result


def batches(live: int, uploads: int, seconds: float = 2.0) -> list[str]:
    """What is stepped together, as in `LL`, `U`, where each session has several steps to do."""

    async def run() -> list[str]:
        engine = NotingEngine()
        scheduler = Scheduler([engine], 8, Metrics(), patience=PATIENCE)
        scheduler.start()
        names = {}
        for name in "U" * uploads + "L" * live:  # uploads come first
            session = await scheduler.open(SessionSettings(), StreamOptions(), live=name == "L")
            session.receive_audio(np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32))
            session.receive_end()
            names[session] = name
        engine.gate.clear()

        async def finish(session: ScriptedSession) -> None:
            while session.ready:
                await scheduler.step(session)
            scheduler.close(session)

        tasks = [asyncio.create_task(finish(session)) for session in names]  # type: ignore[arg-type]
        await asyncio.sleep(0.2)
        engine.gate.set()
        await asyncio.gather(*tasks)
        await scheduler.stop()
        return ["".join(sorted(names[session] for session in batch)) for batch in engine.together]

    return asyncio.run(run())


def test_live_streams_go_before_uploads_and_never_with_them() -> None:
    """Also where the uploads came first. While a live stream is open, an upload is stepped alone."""
    taken = batches(live=2, uploads=3)
    assert all(len(set(batch)) == 1 for batch in taken)
    begin = taken.index("LL")
    assert begin <= 1  # one step may have been running
    rest = taken[begin:]
    while_live = rest[: max(i for i, batch in enumerate(rest) if "L" in batch) + 1]
    assert all(batch in ("L", "LL") for batch in while_live)


def test_uploads_alone_share_batches() -> None:
    """Nobody waits for a word, so they take the model's whole throughput."""
    assert "UUU" in batches(live=0, uploads=3)


def test_a_stream_far_ahead_of_its_speech_is_no_live_one() -> None:
    """It sends a recording: a minute at once, where a second has passed."""
    order = Precedence()
    fast, slow = ScriptedSession(SessionSettings(), "en", False), ScriptedSession(SessionSettings(), "en", False)
    for session, seconds in ((fast, AHEAD_S + 5), (slow, AHEAD_S - 5)):
        order.open(session, live=True)
        session.receive_audio(np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32))
    waiting = [Queued(fast), Queued(slow)]
    assert order.first(waiting) == waiting[1:]
    order.close(slow)
    assert order.first(waiting[:1]) == waiting[:1]


def test_an_upload_is_not_put_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `PATIENCE_S` it is stepped, alone, before the live ones that wait."""
    order = Precedence()
    upload, live = ScriptedSession(SessionSettings(), "en", False), ScriptedSession(SessionSettings(), "en", False)
    order.open(upload, live=False)
    order.open(live, live=True)
    waiting = [Queued(upload), Queued(live)]
    assert order.first(waiting) == waiting[1:]
    monkeypatch.setattr(precedence, "PATIENCE_S", -1.0)
    assert order.first(waiting) == waiting[:1]


@dataclass
class Queued:
    session: ScriptedSession
    since_s: float = field(default_factory=time.perf_counter)
