"""The shadow: a share of the live streams, heard again by another release, and what that differs in.

    shadow.follow(...)      a stream opens; returns a witness for each of its channels, none if it is not in the sample

Texts stay in memory until they are compared. What goes on are numbers (`asr.ledger.values.Pair`), and a stream of which
something is missing is dropped whole and counted.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asr.aliases import SHADOW
from asr.errors import AsrError
from asr.events import Word
from server.access.logs import without_values
from server.canary import point
from server.ledger_writer import LedgerWriter
from server.metrics import Metrics
from server.shadow.hearing import OpenSession, hear
from server.shadow.recording import UNUSED, Memory, Recording, Said
from server.shadow.turns import Turns
from server.streams.scheduler import Scheduler
from server.streams.witness import Witness
from server.wires.base import Cause

if TYPE_CHECKING:
    from server.shadow.comparison import Difference

_log = logging.getLogger("steadyword.server")

LOOK_S = 0.5
"""How often recordings are looked at that are too late, or whose release is the shadow no more."""
OnHeard = Callable[[list[list[Word]]], None]
"""Is given the shadow's words of each channel."""
DRAW_WORDS = 10.0
"""A stream whose texts differ by this many words is always drawn for labelling, one with half of it in every second
case: labels are worth most where the two texts differ."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is known of a stream before any audio."""

    model: str
    champion: int
    challenger: int
    """The numbers of the two releases."""
    stream_id: str
    client: str
    language: str | None
    """The one that the client asked for."""


@dataclass(eq=False, slots=True)
class _Heard:
    """A recording and the release that hears it."""

    stream: Followed
    recording: Recording
    scheduler: Scheduler
    is_wanted: Callable[[], bool]
    on_heard: OnHeard | None = None
    task: asyncio.Task[None] | None = None


class Shadow:
    """The second hearing of one server. It runs on the event loop."""

    def __init__(
        self, *, max_bytes: int, max_lag_s: float, metrics: Metrics, turns: Turns, writer: LedgerWriter
    ) -> None:
        self._memory, self._max_lag_s = Memory(max_bytes), max_lag_s
        self._metrics, self._turns, self._writer = metrics, turns, writer
        self._heard: set[_Heard] = set()
        self._looking: asyncio.Task[None] | None = None
        metrics.shadow_lag_s.set_function(lambda: max((h.recording.lag_s for h in self._heard), default=0.0))
        metrics.shadow_bytes.set_function(lambda: float(self._memory.held_bytes))

    def start(self) -> None:
        """Starts looking after the recordings."""
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Drops all recordings."""
        if self._looking:
            self._looking.cancel()
        tasks = [heard.task for heard in self._heard if heard.task]
        for heard in list(self._heard):
            heard.recording.drop("stopped")
        await asyncio.gather(*tasks, return_exceptions=True)

    def follow(
        self,
        stream: Followed,
        channels: int,
        scheduler: Scheduler,
        open_session: OpenSession,
        is_wanted: Callable[[], bool],
        on_heard: OnHeard | None = None,
    ) -> Sequence[Witness]:
        """A witness for each channel of a stream that is in the sample.

        `is_wanted`: whether the scheduler's release is still the shadow. Once it is not, the recording is dropped.
        `on_heard` gets the second text, for a stream that agreed to be kept.
        """
        recording = Recording(channels, self._memory)
        heard = _Heard(stream, recording, scheduler, is_wanted, on_heard)
        recording.on_drop = lambda reason: self._dropped(heard, reason)
        self._heard.add(heard)
        heard.task = asyncio.create_task(self._hear(heard, open_session))
        return recording.channels

    async def _hear(self, heard: _Heard, open_session: OpenSession) -> None:
        recording = heard.recording
        try:
            said = await hear(recording, heard.scheduler, open_session, self._turns)
            text = [channel.said for channel in recording.channels]
            difference = await asyncio.to_thread(_difference, text, said, heard.stream.language)
        except asyncio.CancelledError:  # by `_dropped`, or by the scheduler, which ends steps that wait when it stops
            recording.drop("withdrawn")
        except AsrError as error:
            reason = without_values(str(error))
            _log.warning("the shadow %s/%d failed on a stream: %s", heard.stream.model, heard.stream.challenger, reason)
            self._fail(heard)
        except Exception:  # noqa: BLE001 - logged; a stream that is watched must not fail of it
            _log.exception("the second hearing of a stream failed")
            self._fail(heard)
        else:
            if not recording.is_dropped:
                self._add(heard, difference)
                if heard.on_heard:
                    heard.on_heard([[word for one in channel for word in one.words] for channel in said])
        finally:
            self._heard.discard(heard)

    def _fail(self, heard: _Heard) -> None:
        """The release would have failed a client: that is an outcome, by which `asr monitor` stops it."""
        from asr.ledger.values import Outcome

        stream, recording = heard.stream, heard.recording
        if recording.is_dropped:
            return
        recording.drop("failed")
        outcome = Outcome(
            at_s=time.time(),
            name=stream.model,
            release=stream.challenger,
            arm=SHADOW,
            stream_id=stream.stream_id,
            client=stream.client,
            audio_s=max(channel.audio_s for channel in recording.channels),
            words=0,
            delay_p95_s=None,
            cause=Cause.INTERNAL.name.lower(),
        )
        self._writer.put(outcome)

    def _dropped(self, heard: _Heard, reason: str) -> None:
        if reason != UNUSED:
            self._metrics.shadow_dropped.labels(heard.stream.model, reason).inc()
        if heard.task:
            heard.task.cancel()

    def _add(self, heard: _Heard, difference: "Difference") -> None:
        from asr.ledger.values import Pair

        stream, metrics = heard.stream, self._metrics
        probability = min(1.0, difference.distance / DRAW_WORDS)
        pair = Pair(
            at_s=time.time(),
            name=stream.model,
            champion=stream.champion,
            challenger=stream.challenger,
            stream_id=stream.stream_id,
            client=stream.client,
            language=difference.language,
            audio_s=max(channel.audio_s for channel in heard.recording.channels),
            words=difference.words,
            challenger_words=difference.challenger_words,
            distance=difference.distance,
            draw_probability=probability,
            is_drawn=point("draw", stream.stream_id) < probability,
        )
        labels = (stream.model, f"{stream.model}/{stream.champion}", f"{stream.model}/{stream.challenger}")
        metrics.pairs.labels(*labels).inc()
        metrics.pair_words.labels(*labels).inc(difference.words)
        metrics.pair_distance.labels(*labels).inc(difference.distance)
        self._writer.put(pair)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for heard in list(self._heard):
                if not heard.is_wanted():
                    heard.recording.drop("withdrawn")
                elif heard.recording.lag_s > self._max_lag_s:
                    heard.recording.drop("late")


def _difference(champion: list[list[Said]], challenger: list[list[Said]], language: str | None) -> "Difference":
    from server.shadow.comparison import compare  # its dictionaries take memory and a moment, in a thread

    return compare(champion, challenger, language)
