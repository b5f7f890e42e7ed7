"""A champion, a shadow and a ledger without a server around them."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr.audio.streams import StreamDecoder
from asr.config import SessionSettings
from asr.events import Word
from asr.ledger.ledger import open_ledger
from asr.ledger.values import Pair
from server.config import load_settings
from server.ledger_writer import LedgerWriter
from server.metrics import Metrics
from server.shadow.hearing import hear
from server.shadow.recording import Memory, Recording, Said, said_in
from server.shadow.shadow import Followed, Shadow
from server.shadow.turns import Turns
from server.streams.scheduler import Scheduler
from server.streams.stream import Stream
from server.wires.base import StreamRequest
from server.workers.contract import StreamEngine, StreamSession
from server.workers.messages import Call, StreamOptions, apply
from tests.server.fakes import WORD_S, ScriptedEngine, ScriptedSession
from tests.server.running import PATIENCE

REQUEST = StreamRequest("linear16", 16_000, partials=True)
SETTINGS, OPTIONS = SessionSettings(), StreamOptions(partials=True)
FOLLOWED = Followed("scripted-1", 1, 2, "stream-1", "c" * 32, None)


def word(place: int) -> str:
    """A word without digits: a number would be as many words as it has digits."""
    return f"zq{chr(97 + place // 26)}{chr(97 + place % 26)}"


class LetterSession(ScriptedSession):
    """Says `word` in each place."""

    def _words(self, start: int, end: int) -> tuple[Word, ...]:
        return tuple(Word(f" {self.said(i)}", i * WORD_S, (i + 1) * WORD_S, 0.9) for i in range(start, end))

    def said(self, place: int) -> str:
        return word(place)


class OtherSession(LetterSession):
    """Says another word in every third place."""

    def said(self, place: int) -> str:
        return "Zqother" if place % 3 == 2 else word(place)


class LetterEngine(ScriptedEngine):
    """The champion's release."""

    session: type[LetterSession] = LetterSession

    def open(self, settings: SessionSettings, options: StreamOptions) -> ScriptedSession:
        super().open(settings, options)
        self.opened[-1] = self.session(settings, options.language or "en", options.partials)
        return self.opened[-1]


class OtherEngine(LetterEngine):
    """A release with another text."""

    session = OtherSession


class Rig:
    """Everything runs on one event loop. The live lane is as busy as `load` says."""

    def __init__(
        self,
        folder: Path,
        champion: StreamEngine | None = None,
        challenger: StreamEngine | None = None,
        *,
        max_bytes: int = 1 << 26,
        max_lag_s: float = 600.0,
    ) -> None:
        self.metrics, self.ledger = Metrics(), open_ledger(folder / "ledger.sqlite")
        self.champion = Scheduler([champion or LetterEngine()], 8, self.metrics, patience=PATIENCE)
        self.challenger = Scheduler([challenger or OtherEngine()], 8, Metrics(), patience=PATIENCE)
        self.writer = LedgerWriter(self.ledger, self.metrics)
        self.load, self.is_shadow = 0.0, True
        turns = Turns(lambda: [self])
        self.shadow = Shadow(
            max_bytes=max_bytes, max_lag_s=max_lag_s, metrics=self.metrics, turns=turns, writer=self.writer
        )

    async def __aenter__(self) -> "Rig":
        self.champion.start()
        self.challenger.start()
        self.shadow.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shadow.stop()
        await self.champion.stop()
        await self.challenger.stop()
        await asyncio.to_thread(self.writer.stop)
        self.ledger.close()

    def busy(self) -> float:
        return self.load

    def queue_age_s(self) -> float:
        return 0.0

    async def open(
        self, channels: int = 1, *, followed: Followed = FOLLOWED, options: StreamOptions = OPTIONS
    ) -> list[Stream]:
        """A live stream that the shadow follows: one for each channel."""

        async def open_session() -> StreamSession:
            return await self.challenger.open(SETTINGS, options, live=False)

        witnesses = self.shadow.follow(followed, channels, self.challenger, open_session, lambda: self.is_shadow)
        return [await self._stream(witness, options) for witness in witnesses]

    async def _stream(self, witness: Any, options: StreamOptions) -> Stream:
        session = await self.champion.open(SETTINGS, options)
        parts = {"limits": load_settings(), "metrics": self.metrics, "witnesses": [witness]}
        return Stream(session, StreamDecoder("linear16", 16_000, 1), REQUEST, scheduler=self.champion, **parts)  # type: ignore[arg-type]

    async def heard(self) -> None:
        """Returns when no hearing is left."""
        while self.shadow._heard:
            await asyncio.sleep(0.01)

    async def pairs(self) -> list[Pair]:
        """All that were written, after those that wait."""
        await asyncio.to_thread(self.writer.stop)
        return self.ledger.pairs("scripted-1", 1, 2)

    def dropped(self, reason: str) -> float:
        return self.metric("asr_shadow_dropped_total", model="scripted-1", reason=reason)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


async def speak(stream: Stream, *parts: bytes | None, cause: str = "finished", end: bool = True) -> str:
    """A live stream to its end, or closed without one: bytes are audio, None asks for a final. Its text."""
    text = ""
    for part in parts:
        if part is None:
            stream.receive_finalize()
        else:
            await stream.receive_audio(part)
        text += await step(stream)
    if end:
        stream.receive_end()
        text += await step(stream)
    stream.close(cause)
    return text


async def step(stream: Stream) -> str:
    """Steps until nothing is left to do."""
    text = ""
    while stream.ready:
        await stream.step()
        text += "".join(event.text for event in stream.take_events() if hasattr(event, "from_finalize"))
    return text


def live_text(engine: StreamEngine, options: StreamOptions, calls: Sequence[Call]) -> str:
    """What the engine says when it hears the calls as they come, each stepped at once."""
    session = engine.open(SETTINGS, options)
    said: list[Said] = []
    for call in calls:
        apply(call, session)
        while session.ready:
            engine.step([session])
        said += said_in(session.take_events())
    return "".join(one.text for one in said)


def second_hearing(engine: StreamEngine, options: StreamOptions, calls: Sequence[Call], load: list[float]) -> str:
    """What the shadow hears of the calls; before each look at the live lane its load is taken from `load`."""

    class Live:
        def busy(self) -> float:
            return load.pop(0) if load else 0.0

        def queue_age_s(self) -> float:
            return 0.0

    async def run() -> str:
        scheduler = Scheduler([engine], 8, Metrics(), patience=PATIENCE)
        scheduler.start()
        recording = Recording(1, Memory(1 << 28))

        async def open_session() -> StreamSession:
            return await scheduler.open(SETTINGS, options, live=False)

        hearing = asyncio.create_task(hear(recording, scheduler, open_session, Turns(lambda: [Live()])))
        rng = random.Random(1)
        [channel] = recording.channels
        for call in calls:
            channel.receive(call)
            if rng.random() < 0.3:
                await asyncio.sleep(0)
        channel._has_ended = True
        channel.close("finished")
        [said] = await hearing
        await scheduler.stop()
        return "".join(one.text for one in said)

    return asyncio.run(run())
