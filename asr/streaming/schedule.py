"""What a session has to decode and emit, in the order of audio time. Voice activity writes the schedule.

The schedule depends on the samples alone, not on how they were cut into chunks or when the engine steps. It runs ahead
of decoding; `asr.streaming.session` takes the entries from its front.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.events import Ended, SpeechEnded, SpeechStarted
from asr.streaming.vad import (
    FRAME_S,
    FRAME_SAMPLES,
    QUIET_FRAMES,
    Activity,
    Endpointer,
    SoundEnd,
    Transition,
    frames_of,
)


class Kind(Enum):
    """Why a window is decoded: an update, a pause, or the last words of an utterance."""

    UPDATE = "update"
    """`update_ms` of new audio arrived."""
    PAUSE = "pause"
    """The speaker was silent for `pad_after_ms`."""
    FINAL = "final"
    """The utterance ended or paused for `speech_final_ms`, the owner asked to finalize, or the stream ended."""
    SHOW = "show"
    """Early, only to show words sooner. It commits nothing. Never in the queue, see `Schedule.early`."""
    AHEAD = "ahead"
    """Early, the window of a finalize request that may follow. Never in the queue, see `Schedule.early`."""


@dataclass(frozen=True, slots=True)
class Decode:
    """Decode the open utterance up to the sample ``until``."""

    kind: Kind
    until: int
    ends_utterance: bool = False
    from_finalize: bool = False
    is_flush: bool = False
    """The utterance stays open: speech may go on."""
    only_words: bool = False
    """The end was reported before, so a `Final` without words would say nothing."""
    voiced_until: int = field(default=0, compare=False)
    """The end of the last voiced frame, as of `until`."""


@dataclass(frozen=True, slots=True)
class Open:
    """Open a new utterance that begins at the sample ``start``; if it ``resumes``, only where none is open."""

    start: int
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class Emit:
    """Emit the event, now that every entry before it is done."""

    event: SpeechStarted | SpeechEnded | Ended


Entry = Decode | Open | Emit

FLUSH_AHEAD_FRAMES = 2
"""The window of `speech_final` ends this long before it (64 ms) and is decoded meanwhile; decoding takes 60 ms."""


class Schedule:
    """A queue of entries, and the rules that append to it."""

    def __init__(self, settings: SessionSettings) -> None:
        self._vad = settings.vad
        self._ahead_frames = frames_of(settings.vad.ahead_ms)
        self._ahead_samples = self._ahead_frames * FRAME_SAMPLES
        self._ahead_left = math.inf if settings.vad.speech_final_ms else settings.vad.ahead_unused
        self._update_samples = _samples(settings.stream.update_ms)
        self._endpointer = Endpointer(settings.vad)
        self._sound_end = SoundEnd()
        self._entries: deque[Entry] = deque()
        self._finalizes: deque[int] = deque()
        self._planned_end = 0
        self._decoded_until = 0
        self._is_flushed = False
        self._next_update = 0
        self.received = 0
        """Samples whose speech probability was received."""

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def head(self) -> Entry | None:
        """The next entry; None if nothing is due."""
        return self._entries[0] if self._entries else None

    def pop(self) -> None:
        """Remove the head: it is done."""
        self._entries.popleft()

    @property
    def is_urgent(self) -> bool:
        """Whether each frame counts: a finalize request waits for the frames before it, or a pause has begun."""
        return bool(self._finalizes) or self._pause_begins

    @property
    def awaits_finalize(self) -> bool:
        """Whether this client finalizes, asks for `speech_final`, or may still turn out to (see `ahead_unused`)."""
        return self._ahead_left >= 0

    @property
    def done_until(self) -> int:
        """Up to this sample nothing is left to decode."""
        decodes = (entry.until for entry in self._entries if isinstance(entry, Decode))
        return min(next(decodes, self.received), self.received)

    @property
    def voiced_until(self) -> int:
        """The end of the last voiced frame before `done_until`, by the rules that say when speech ends; 0 if none."""
        decodes = (entry.voiced_until for entry in self._entries if isinstance(entry, Decode))
        return next(decodes, self._endpointer.voiced_until)

    @property
    def earliest_start(self) -> int:
        """No utterance that still has to open begins before this sample."""
        run = self._endpointer.run_frames * FRAME_SAMPLES
        starts = (entry.start for entry in self._entries if isinstance(entry, Open))
        return min(self.received - run - _samples(self._vad.pad_before_ms), *starts, self.received)

    def early(self, decoded_until: int, interval_samples: int) -> Decode | None:
        """What may be decoded now although nothing is due; None if nothing is worth it.

        In speech: all of it, once `interval_samples` are new. For a client that may finalize: once the sound seems to
        have ended, so that the last words are shown; then, in the pause, the window of its request.
        """
        if self._entries or not self._endpointer.in_speech:
            return None
        is_pause = self.received >= self._paused_from
        until = self._flushed_until if self._flush_is_near else self._finalized_until(self.received)
        is_quiet = self.awaits_finalize and self._sound_end.is_near
        wanted = 1 if is_pause or is_quiet else interval_samples
        waits = not self.awaits_finalize if is_pause else self._pause_begins and not is_quiet
        if until - decoded_until < wanted or waits:
            return None
        return Decode(Kind.AHEAD if is_pause else Kind.SHOW, until)

    def receive(self, probability: float, level_db: float = 0.0) -> None:
        """Takes the speech probability and the level of the next frame and appends what follows from them."""
        self.received += FRAME_SAMPLES
        self._sound_end.receive(level_db, probability >= self._vad.end_threshold)
        for transition in self._endpointer.receive(self.received // FRAME_SAMPLES - 1, probability):
            self._entries.extend(self._entries_for(transition))
        if self._endpointer.silent_frames == self._ahead_frames:
            self._ahead_left -= 1
        self._plan_update()
        self._plan_finalizes()

    def finalize(self, sample: int) -> None:
        """Make all speech before this sample final as soon as the frames before it are received."""
        self._ahead_left = math.inf
        self._finalizes.append(sample)
        self._plan_finalizes()

    def end(self, sample: int) -> None:
        """End the stream at this sample. No frame follows."""
        if self._endpointer.flushed:
            self._entries.append(self._last_words(self._endpointer.last_speech_frame + 1, sample))
        if self._endpointer.in_speech:
            last_s = (self._endpointer.last_speech_frame + 1) * FRAME_S
            self._entries.append(self._decode(Kind.FINAL, sample, ends_utterance=True))
            self._entries.append(Emit(SpeechEnded(min(last_s, sample / SAMPLE_RATE_HZ))))
        self._entries.append(Emit(Ended(sample / SAMPLE_RATE_HZ)))

    def _entries_for(self, transition: Transition) -> Iterator[Entry]:
        since = transition.since_frame * FRAME_SAMPLES
        since_s = since / SAMPLE_RATE_HZ
        if transition.activity in (Activity.STARTED, Activity.RESUMED):
            self._next_update = since + self._update_samples
            yield Emit(SpeechStarted(since_s))
            self._is_flushed = False
            start = max(since - _samples(self._vad.pad_before_ms), self._planned_end)
            yield Open(start, transition.activity is Activity.RESUMED)
        elif transition.activity is Activity.PAUSED:
            self._next_update = self.received + self._update_samples
            yield self._decode(Kind.PAUSE, self.received)
        elif transition.activity is Activity.ENDED and self._is_flushed:
            self._is_flushed = False
            yield self._last_words(transition.since_frame, self.received)
        else:
            self._is_flushed = transition.activity is Activity.FLUSHED
            # The last window of an utterance that ends is that of its pause, so it is not decoded twice. One that is
            # flushed is decoded again with all of the silence: its text then changes less if speech goes on.
            pause_end = since + self._endpointer.pause_frames * FRAME_SAMPLES
            self._planned_end = self._flushed_until if self._is_flushed else pause_end
            yield self._decode(Kind.FINAL, self._planned_end, ends_utterance=True, is_flush=self._is_flushed)
            yield Emit(SpeechEnded(since_s))

    def _last_words(self, voiced_frames: int, latest: int) -> Decode:
        """The end of an utterance that is flushed: whatever was voiced since, too short or too soft to resume it."""
        voiced_end = (voiced_frames + self._endpointer.pause_frames) * FRAME_SAMPLES
        self._planned_end = min(max(voiced_end, self._planned_end), latest)
        return self._decode(Kind.FINAL, self._planned_end, ends_utterance=True, only_words=True)

    def _decode(self, kind: Kind, until: int, **flags: bool) -> Decode:
        self._decoded_until = until
        return Decode(kind, until, voiced_until=self._endpointer.voiced_until, **flags)

    def _finalized_until(self, sample: int) -> int:
        """Where the window of a finalize request at a sample ends.

        In a pause: where the last window that reaches into it ends, else where the pause was noticed. So the window is
        decoded before the request comes, and the silence that the client waited for changes nothing.
        """
        if not self._endpointer.in_speech or sample < self._paused_from:
            return sample
        return max(self._paused_from, self._decoded_until)

    @property
    def _paused_from(self) -> int:
        """The speaker pauses from this sample on: `ahead_ms` behind the speech, or sooner by the end of its sound."""
        by_voice = self._endpointer.voiced_until + self._ahead_samples
        by_sound = self._sound_end.sample if self.awaits_finalize else None
        return by_voice if by_sound is None else min(by_voice, by_sound)

    @property
    def _pause_begins(self) -> bool:
        """The next frames will show whether the speaker pauses."""
        if self.awaits_finalize and 0 < self._sound_end.quiet_frames < QUIET_FRAMES:
            return True
        return self._endpointer.silent_frames > 0 and not self._endpointer.pausing

    @property
    def _flushed_until(self) -> int:
        """Where the window of `speech_final` ends, if the pause lasts until it."""
        silent = max(self._endpointer.flush_frames - FLUSH_AHEAD_FRAMES, self._endpointer.pause_frames)
        return (self._endpointer.last_speech_frame + 1 + silent) * FRAME_SAMPLES

    @property
    def _flush_is_near(self) -> bool:
        """Whether the window of `speech_final` is whole, and not due yet."""
        return bool(self._endpointer.flush_frames) and self.received >= self._flushed_until

    def _plan_update(self) -> None:
        if self._endpointer.in_speech and not self._endpointer.pausing and self.received >= self._next_update:
            self._entries.append(self._decode(Kind.UPDATE, self.received))
            self._next_update = self.received + self._update_samples

    def _plan_finalizes(self) -> None:
        """A finalize request is due when no whole frame before it is missing."""
        while self._finalizes and self.received + FRAME_SAMPLES > self._finalizes[0]:
            sample = self._finalizes.popleft()
            self._planned_end = self._finalized_until(sample)
            self._entries.append(self._decode(Kind.FINAL, self._planned_end, from_finalize=True))
            if self._endpointer.in_speech:
                self._entries.append(Open(self._planned_end))


def _samples(ms: float) -> int:
    return round(ms / 1000 * SAMPLE_RATE_HZ)
