"""Where a recording has speech, and where pauses: voice activity over the whole of it."""

from dataclasses import dataclass

import numpy as np

from asr.config import SHORTEST_PAUSE_S
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES, SILENT, SileroVad, VadState, silent_runs

_FRAMES_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Pause:
    """A silence. Where speech has no silence it is the quietest moment, with start equal to end."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2


@dataclass(frozen=True, slots=True)
class SpeechRuns:
    """Silero's probability of speech for each frame of 32 ms ``(n,)``."""

    probabilities: np.ndarray

    def pause(self, start_s: float, end_s: float) -> Pause:
        """The silence with the longest part between two times; the result is all of it, also the parts outside."""
        first, last = self._frames(start_s, end_s)
        part = self.probabilities[first:last]
        runs = silent_runs(part)
        if not runs:
            quietest_s = (first + int(part.argmin()) + 0.5) * FRAME_S if len(part) else start_s
            return Pause(quietest_s, quietest_s)
        begin, end = max(runs, key=lambda run: run[1] - run[0])
        return self._whole(first + begin, first + end)

    def _whole(self, begin: int, end: int) -> Pause:
        """The silence that contains the silent frames from `begin` to `end`, up to the speech on both sides."""
        loud = np.flatnonzero(self.probabilities >= SILENT)
        before, behind = loud[loud < begin], loud[loud >= end]
        start = before[-1] + 1 if len(before) else 0
        stop = behind[0] if len(behind) else len(self.probabilities)
        return Pause(float(start * FRAME_S), float(stop * FRAME_S))

    def trim(self, start_s: float, end_s: float) -> tuple[float, float]:
        """The span without silence at its ends, in seconds; unchanged if all of it is silent."""
        first, last = self._frames(start_s, end_s)
        loud = np.flatnonzero(self.probabilities[first:last] >= SILENT)
        if not len(loud):
            return start_s, end_s
        begins_s, ends_s = (first + loud[0]) * FRAME_S, (first + loud[-1] + 1) * FRAME_S
        return (
            begins_s if begins_s - start_s > SHORTEST_PAUSE_S else start_s,
            ends_s if end_s - ends_s > SHORTEST_PAUSE_S else end_s,
        )

    def _frames(self, start_s: float, end_s: float) -> tuple[int, int]:
        first = min(int(start_s / FRAME_S), len(self.probabilities))
        return first, min(max(first + 1, int(np.ceil(end_s / FRAME_S))), len(self.probabilities))


def speech_runs(samples: np.ndarray) -> SpeechRuns:
    """Voice activity over the samples of a whole recording, mono float32 ``(n,)`` at 16 kHz."""
    vad, state = SileroVad(), VadState()
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
    step = _FRAMES_AT_ONCE * FRAME_SAMPLES
    parts = [vad.probabilities([state], [padded[i : i + step]])[0] for i in range(0, len(padded), step)]
    return SpeechRuns(np.concatenate(parts) if parts else np.zeros(0, np.float32))
