"""What a session keeps of its stream, addressed by sample number: the samples and the speech probabilities."""

import math

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SHORTEST_PAUSE_S
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES, silent_runs

_SHORTEST_PAUSE_FRAMES = math.ceil(SHORTEST_PAUSE_S / FRAME_S)
_INITIAL_SAMPLES = 64 * FRAME_SAMPLES


class AudioBuffer:
    """The samples from `start` to `end` of a stream.

    Appending costs amortised constant time: the memory grows by doubling, and `forget` makes room in it.
    """

    def __init__(self) -> None:
        self._data = np.zeros(_INITIAL_SAMPLES, np.float32)
        self.start = 0
        self.end = 0

    def __getstate__(self) -> tuple[np.ndarray, int, int]:
        """For pickles: what is held, without the room behind it."""
        return self.slice(self.start, self.end), self.start, self.end

    def __setstate__(self, state: tuple[np.ndarray, int, int]) -> None:
        held, self.start, self.end = state
        self._data = np.zeros(max(_INITIAL_SAMPLES, 2 * len(held)), np.float32)
        self._data[: len(held)] = held

    def append(self, samples: np.ndarray) -> None:
        """Add samples ``(n,)`` at the end."""
        held = self.end - self.start
        if held + len(samples) > len(self._data):
            grown = np.zeros(max(2 * len(self._data), held + len(samples)), np.float32)
            grown[:held] = self._data[:held]
            self._data = grown
        self._data[held : held + len(samples)] = samples
        self.end += len(samples)

    def slice(self, start: int, end: int) -> np.ndarray:
        """A copy of the samples from `start` to `end`: ``(end - start,)``. Both must be held."""
        return self._data[start - self.start : end - self.start].copy()

    def forget(self, before: int) -> None:
        """Drop the samples before this one, once they are at least half of what is held: the rest must be copied."""
        dropped = min(before, self.end) - self.start
        held = self.end - self.start
        if dropped <= 0 or 2 * dropped < held:
            return
        rest = self._data[dropped:held].copy()
        self._data = np.zeros(max(_INITIAL_SAMPLES, 2 * len(rest)), np.float32)
        self._data[: len(rest)] = rest
        self.start += dropped


class SpeechCurve:
    """The speech probability of each frame of a stream. All positions are samples."""

    def __init__(self) -> None:
        self._probabilities: list[float] = []
        self._first = 0

    def append(self, probability: float) -> None:
        """Add the probability of the next frame."""
        self._probabilities.append(probability)

    def quietest(self, start: int, end: int) -> int:
        """The middle of the 160 ms between `start` and `end` with the least probable speech; the later of equals."""
        first, last = start // FRAME_SAMPLES, end // FRAME_SAMPLES
        part = np.array(self._probabilities[max(0, first - self._first) : last - self._first])
        smooth = np.convolve(part, np.ones(5), mode="same")[: len(part)]
        best = len(smooth) - 1 - int(smooth[::-1].argmin())
        return (max(first, self._first) + best) * FRAME_SAMPLES + FRAME_SAMPLES // 2

    def longest_pause(self, start: int, end: int, least_s: float) -> int | None:
        """The middle of the longest silence between `start` and `end`, the later of equals; None if all are shorter
        than `least_s`. A silence that crosses an edge counts as far as it is inside."""
        pauses = [(min(stop, end) - max(begin, start), stop) for begin, stop in self.pauses(start, end)]
        length, stop = max(pauses, default=(0, end))
        return min(stop, end) - length // 2 if length >= max(1.0, least_s * SAMPLE_RATE_HZ) else None

    def speech_s(self, start: int, end: int) -> float:
        """Seconds of speech between two samples: of frames with a speech probability of at least 0.5."""
        first, last = start // FRAME_SAMPLES - self._first, end // FRAME_SAMPLES - self._first
        return sum(probability >= 0.5 for probability in self._probabilities[first:last]) * FRAME_S

    def likeliest(self, start: int, end: int) -> float:
        """The highest speech probability of the frames between two samples; 0 without frames."""
        first, last = start // FRAME_SAMPLES - self._first, end // FRAME_SAMPLES - self._first
        return max(self._probabilities[max(0, first) : last], default=0.0)

    def pauses(self, start: int, end: int) -> list[tuple[int, int]]:
        """Start and end of the silences between two samples that are too long to be part of a word."""
        first, last = start // FRAME_SAMPLES - self._first, -(-end // FRAME_SAMPLES) - self._first
        runs = silent_runs(np.array(self._probabilities[max(0, first) : max(0, last)]))
        offset = self._first + max(0, first)
        return [
            ((offset + begin) * FRAME_SAMPLES, (offset + stop) * FRAME_SAMPLES)
            for begin, stop in runs
            if stop - begin >= _SHORTEST_PAUSE_FRAMES
        ]

    def forget(self, before: int) -> None:
        """Drop the frames before this sample, once they are more than half of what is held."""
        gone = before // FRAME_SAMPLES - self._first
        if gone > len(self._probabilities) // 2:
            del self._probabilities[:gone]
            self._first += gone
