"""A stream as its session was called, kept in memory for the second hearing, and the text that it got."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr.config import SAMPLE_RATE_HZ
from asr.events import Ended, Event, Final, Word
from server.workers.messages import Audio, Call

CALL_BYTES = 200
"""What a call takes beside its samples."""
BLOCK_S = 10.0
"""The hearing waits for so much audio: a step for each 0.1 s message would cost several times as much."""


UNUSED = ""
"""Why a recording without audio is dropped: it was no stream, and nobody counts it."""


class Memory:
    """The bytes that all recordings hold, within a bound."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    def take(self, size_bytes: int) -> bool:
        """False, and nothing taken, where it would be over the bound."""
        if self.held_bytes + size_bytes > self._max_bytes:
            return False
        self.held_bytes += size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Frees what was taken."""
        self.held_bytes -= size_bytes


@dataclass(frozen=True, slots=True)
class Said:
    """What a final said, and in which language. ``words`` have its times; the text is theirs."""

    text: str
    language: str
    words: tuple[Word, ...] = ()


def said_in(events: Sequence[Event]) -> list[Said]:
    """What the finals among the events said."""
    return [
        Said(event.text, event.language, event.words) for event in events if isinstance(event, Final) and event.words
    ]


class Channel:
    """One session's part of a recording; a `server.streams.witness.Witness`."""

    def __init__(self, recording: "Recording") -> None:
        self._recording = recording
        self._calls: deque[tuple[float, Call]] = deque()
        self._unheard_samples = 0
        self._samples = 0
        self.said: list[Said] = []
        self.is_closed = self._has_ended = False

    def receive(self, call: Call) -> None:
        """Keeps the call; where there is no room for it the whole recording is dropped."""
        recording = self._recording
        if recording.is_dropped:
            return
        if not recording.memory.take(_size_bytes(call)):
            return recording.drop("memory")
        self._calls.append((recording.clock(), call))
        if isinstance(call, Audio):
            self._unheard_samples += len(call.samples)
            self._samples += len(call.samples)
        recording.changed.set()

    def say(self, events: Sequence[Event], received_s: float) -> None:
        """Keeps the text."""
        if not self._recording.is_dropped:
            self.said += said_in(events)
            self._has_ended = self._has_ended or any(isinstance(event, Ended) for event in events)

    def close(self, cause: str) -> None:
        """A stream that did not get all of its text has nothing to be compared with."""
        self.is_closed = True
        if not self._has_ended:
            self._recording.drop("unfinished" if self.audio_s else UNUSED)
        self._recording.changed.set()

    @property
    def audio_s(self) -> float:
        """Seconds of audio received."""
        return self._samples / SAMPLE_RATE_HZ

    @property
    def since_s(self) -> float | None:
        """When the oldest call came that is not taken yet."""
        return self._calls[0][0] if self._calls else None

    @property
    def is_due(self) -> bool:
        """Whether there is enough to hear, or all there will be."""
        return bool(self._calls) and (self.is_closed or self._unheard_samples >= BLOCK_S * SAMPLE_RATE_HZ)

    @property
    def is_over(self) -> bool:
        """Whether everything is taken and nothing follows."""
        return self.is_closed and not self._calls

    def take(self) -> list[Call]:
        """The next calls in their order, `BLOCK_S` of audio where there is so much. Frees their memory."""
        calls: list[Call] = []
        samples = 0
        while self._calls and samples < BLOCK_S * SAMPLE_RATE_HZ:
            _, call = self._calls.popleft()
            self._recording.memory.give_back(_size_bytes(call))
            samples += len(call.samples) if isinstance(call, Audio) else 0
            calls.append(call)
        self._unheard_samples -= samples
        return calls

    def forget(self) -> None:
        """Frees everything."""
        self._recording.memory.give_back(sum(_size_bytes(call) for _, call in self._calls))
        self._calls.clear()
        self.said.clear()


class Recording:
    """All channels of one stream. It is heard to the end, or dropped whole."""

    def __init__(self, channels: int, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self.memory, self.clock = memory, clock
        self.changed = asyncio.Event()
        self.is_dropped = False
        self.on_drop: Callable[[str], None] = lambda reason: None
        """Called once, with the reason."""
        self.channels = [Channel(self) for _ in range(channels)]

    def drop(self, reason: str) -> None:
        """Forgets everything. A second call changes nothing."""
        if self.is_dropped:
            return
        self.is_dropped = True
        for channel in self.channels:
            channel.forget()
        self.on_drop(reason)

    @property
    def is_due(self) -> bool:
        """Whether there is enough to hear of one of the channels."""
        return any(channel.is_due for channel in self.channels)

    @property
    def is_over(self) -> bool:
        """Whether everything is taken and nothing follows."""
        return all(channel.is_over for channel in self.channels)

    @property
    def lag_s(self) -> float:
        """How old the oldest call is that waits; 0 where none does."""
        since_s = [channel.since_s for channel in self.channels if channel.since_s is not None]
        return self.clock() - min(since_s) if since_s else 0.0


def _size_bytes(call: Call) -> int:
    return CALL_BYTES + (call.samples.nbytes if isinstance(call, Audio) else 0)
