"""What a session must say or decode, in the order of audio time, as voice activity finds it out.

The agenda depends on samples alone: not on how they were cut into chunks, nor on when steps come. It runs ahead of
decoding and is worked off by `asr.streaming.session`.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.events import Ended, SpeechEnded, SpeechStarted
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES, Activity, Endpointer, Turn


class Kind(Enum):
    """Why the window is decoded."""

    UPDATE = "update"
    PAUSE = "pause"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Decode:
    """An entry of the agenda: decode the utterance up to this sample."""

    kind: Kind
    until: int
    ends_utterance: bool = False
    from_finalize: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """An entry of the agenda: an utterance begins at this sample."""

    start: int


@dataclass(frozen=True, slots=True)
class Say:
    """An entry of the agenda: an event whose turn comes when all before it has been said."""

    event: SpeechStarted | SpeechEnded | Ended


Entry = Decode | Open | Say


class Agenda:
    """The entries not yet worked off, and the rules that write them."""

    def __init__(self, settings: SessionSettings) -> None:
        self._vad = settings.vad
        self._update_samples = _samples(settings.stream.update_ms)
        self._endpointer = Endpointer(settings.vad)
        self._entries: deque[Entry] = deque()
        self._marks: deque[int] = deque()
        self._planned_end = 0
        self._next_update = 0
        self.heard = 0
        """Samples that voice activity has seen."""

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def head(self) -> Entry | None:
        """The entry whose turn it is."""
        return self._entries[0] if self._entries else None

    def pop(self) -> None:
        """The head is done."""
        self._entries.popleft()

    @property
    def marked(self) -> bool:
        """Whether a mark waits for frames before it to be heard."""
        return bool(self._marks)

    @property
    def due(self) -> int:
        """The sample up to which nothing is left to decode."""
        waiting = (entry.until for entry in self._entries if isinstance(entry, Decode))
        return min(next(waiting, self.heard), self.heard)

    @property
    def oldest(self) -> int:
        """No utterance that is planned or may yet be begins before this sample."""
        run = self._endpointer.run_frames * FRAME_SAMPLES
        starts = (entry.start for entry in self._entries if isinstance(entry, Open))
        return min(self.heard - run - _samples(self._vad.pad_before_ms), *starts, self.heard)

    def thin(self) -> int:
        """Forget the updates that are due, except the newest; returns how many."""
        updates = [entry for entry in self._entries if isinstance(entry, Decode) and entry.kind is not Kind.FINAL]
        thinned = set(map(id, updates[:-1]))
        self._entries = deque(entry for entry in self._entries if id(entry) not in thinned)
        return len(thinned)

    def hear(self, probability: float) -> None:
        """The next frame's probability of speech."""
        self.heard += FRAME_SAMPLES
        for turn in self._endpointer.feed(self.heard // FRAME_SAMPLES - 1, probability):
            self._entries.extend(self._turn(turn))
        self._plan_update()
        self._plan_marks()

    def mark(self, sample: int) -> None:
        """All speech before this sample shall become final as soon as it has been heard."""
        self._marks.append(sample)
        self._plan_marks()

    def end(self, sample: int) -> None:
        """The stream ends at this sample."""
        if self._endpointer.in_speech:
            last_s = (self._endpointer.last_speech_frame + 1) * FRAME_S
            self._entries.append(Decode(Kind.FINAL, sample, ends_utterance=True))
            self._entries.append(Say(SpeechEnded(min(last_s, sample / SAMPLE_RATE_HZ))))
        self._entries.append(Say(Ended(sample / SAMPLE_RATE_HZ)))

    def _turn(self, turn: Turn) -> Iterator[Entry]:
        since = turn.since_frame * FRAME_SAMPLES
        since_s = since / SAMPLE_RATE_HZ
        if turn.activity is Activity.STARTED:
            self._next_update = since + self._update_samples
            yield Say(SpeechStarted(since_s))
            yield Open(max(since - _samples(self._vad.pad_before_ms), self._planned_end))
        elif turn.activity is Activity.PAUSED:
            self._next_update = self.heard + self._update_samples
            yield Decode(Kind.PAUSE, self.heard)
        else:
            # Where the pause was decoded, so that nothing is decoded twice.
            self._planned_end = since + self._endpointer.pause_frames * FRAME_SAMPLES
            yield Decode(Kind.FINAL, self._planned_end, ends_utterance=True)
            yield Say(SpeechEnded(since_s))

    def _plan_update(self) -> None:
        if self._endpointer.in_speech and not self._endpointer.pausing and self.heard >= self._next_update:
            self._entries.append(Decode(Kind.UPDATE, self.heard))
            self._next_update = self.heard + self._update_samples

    def _plan_marks(self) -> None:
        """A mark is due when no whole frame is left before it."""
        while self._marks and self.heard + FRAME_SAMPLES > self._marks[0]:
            mark = self._marks.popleft()
            self._entries.append(Decode(Kind.FINAL, mark, from_finalize=True))
            if self._endpointer.in_speech:
                self._entries.append(Open(mark))
            self._planned_end = mark


def _samples(ms: float) -> int:
    return round(ms / 1000 * SAMPLE_RATE_HZ)
