"""Any number of channels -> mono, without losing speech that only some of them carry.

The mean of the channels is right for ordinary stereo, and silence for a mis-wired cable, whose second channel is the
first one with its sign changed. So the mixer watches, in blocks of 20 ms, whether channels cancel each other, and
changes the sign of those that do. Where a layout names the channels, the centre counts most, because films and
broadcasts have speech there, and the bass channel (LFE) not at all.

Every decision depends on a position in the stream and on the audio up to there, so audio in pieces gives the same bits
as audio in one call.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from asr.audio.pcm import AudioForm, checked_clipped
from asr.errors import AudioError

_BLOCK_S = 0.02
_CANCELS = -0.7
"""A block whose balance (see `_balance`) is lower cancels: the other mix has more than five times its power."""
_CANCELS_ON_AVERAGE = -0.3
"""The same for the average of about a second, which finds channels that are only partly in opposite phase."""
_BLOCKS_TO_TURN = 3
"""Consecutive loud blocks that cancel change the mix, and are held back until that is decided. One block is not enough:
between distant microphones a short part of a vowel may be in opposite phase."""
_MIN_AVERAGED = 25
"""Loud blocks before the average decides."""
_AVERAGE_KEPT = 0.98
"""The average's share that is kept at each loud block: a time constant of one second."""
_PEAK_KEPT = 0.998
"""The same for the peak power: ten seconds."""
_LOUD = 0.01
"""A block more than 20 dB below the peak decides nothing: noise in a pause may have any phase."""
_MIN_POWER = 1e-9
"""Nor does one below -90 dBFS, the last bit of 16."""
_SPEECH_HZ = (100, 4000)
"""What decides. Below lies hum; above, the phase between two microphones a few centimetres apart is any."""
_BAND_BINS = 4
"""Bins of the spectrum of a block in one band: 200 Hz."""
_WHITENING = 0.7
"""Each band's power is divided by itself to this exponent: with 1 bands of noise would count as much as any."""
_FADE_S = 0.005
"""The mix changes over this time, so that there is no click."""
_CENTRE, _BASS = "FC", ("LFE", "LFE2")
_CENTRE_WEIGHT = 3.0
"""The other channels have 1, so in 5.1 each keeps 1/7, about as much as in the mean."""
_NOTICE_S = 0.5
"""Loud audio in which channels cancelled, from which on a notice is worth its words."""


class Downmix:
    """Frames of one form -> mono. Call `process` any number of times, then `flush` once.

    Mono passes without delay. Of other audio, a block of 20 ms waits until it is complete, and up to three blocks wait
    while channels begin to cancel.
    """

    def __init__(self, form: AudioForm, channels: int) -> None:
        self.form, self._channels = form, channels
        self._block = max(1, round(form.rate_hz * _BLOCK_S))
        self._fade = np.linspace(0, 1, max(1, round(form.rate_hz * _FADE_S)), dtype=np.float32)[:, None]
        self._weights = _weights(form.names, channels)
        self._signs = np.ones(channels)
        self._faded_signs: np.ndarray | None = None
        """The signs before, until the fade from them is mixed."""
        self._kept = np.zeros((0, channels), np.float32)
        """Blocks that wait for a decision, then an incomplete block."""
        self._waiting: list[np.ndarray] = []
        """The covariances of the waiting blocks."""
        self._average = np.zeros((channels, channels))
        self._averaged = 0
        self._peak = 0.0
        self.cancelled_s = 0.0
        """Loud audio so far whose channels would have cancelled each other."""

    def takes(self, form: AudioForm, frames: np.ndarray) -> bool:
        """Whether frames of this form are in the stream that this mixer began."""
        return form == self.form and frames.shape[1] == self._channels

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Mono ``(m,)`` of what these frames ``(n, channels)`` decide. Raises `AudioError` for NaN or infinite ones."""
        frames = checked_clipped(frames)
        if self._channels == 1:
            return frames[:, 0]
        kept = np.concatenate([self._kept, frames])
        blocks = kept[: len(kept) // self._block * self._block].reshape(-1, self._block, self._channels)
        mixed: list[np.ndarray] = []
        begin = 0
        first = len(self._waiting)
        covariances = _covariances(blocks[first:], self.form.rate_hz)
        powers = blocks[first:].var(axis=1).mean(axis=1)
        for index, (covariance, power) in enumerate(zip(covariances, powers.tolist(), strict=True), start=first):
            signs = self._decide(covariance, power)
            if signs is not None:
                turn = (index + 1) * self._block - max(1, len(self._waiting)) * self._block
                mixed.append(self._mixed(kept[begin:turn]))
                begin, self._faded_signs, self._signs, self._waiting = turn, self._signs, signs, []
        end = (len(blocks) - len(self._waiting)) * self._block
        mixed.append(self._mixed(kept[begin:end]))
        self._kept = kept[end:].copy()
        return np.concatenate(mixed)

    def flush(self) -> np.ndarray:
        """The rest ``(m,)``, mixed as the audio before it. Do not call `process` afterwards."""
        return self._mixed(self._kept) if self._channels > 1 else self._kept[:, 0]

    def _decide(self, covariance: np.ndarray, power: float) -> np.ndarray | None:
        """Takes in the next block. The new signs if they change, for the waiting blocks and this one; else None."""
        if not self._is_loud(power):
            self._waiting = []
            return None
        self._average = self._average * _AVERAGE_KEPT + covariance
        self._averaged += 1
        if (self._signs < 0).any():
            self.cancelled_s += _BLOCK_S
        if self._balance(covariance) < _CANCELS:
            self._waiting.append(covariance)
            return self._turned() if len(self._waiting) == _BLOCKS_TO_TURN else None
        self._waiting = []
        if self._averaged >= _MIN_AVERAGED and self._balance(self._average) < _CANCELS_ON_AVERAGE:
            return self._best_signs(self._average)
        return None

    def _turned(self) -> np.ndarray:
        """The best signs for the waiting blocks. The average begins again, or it would change them back."""
        self._average, self._averaged = np.sum(self._waiting, axis=0), len(self._waiting)
        return self._best_signs(self._average)

    def _is_loud(self, power: float) -> bool:
        self._peak = max(self._peak * _PEAK_KEPT, power)
        return power > max(_MIN_POWER, self._peak * _LOUD)

    def _balance(self, covariance: np.ndarray) -> float:
        """The power of the present mix against that of the best one: 0 if it is the best, -1 if it is silent."""
        present = self._power(covariance, self._signs)
        best = self._power(covariance, self._best_signs(covariance))
        return (present - best) / (present + best) if best > present else 0.0

    def _power(self, covariance: np.ndarray, signs: np.ndarray) -> float:
        gains = self._weights * signs
        return float(gains @ covariance @ gains)

    def _best_signs(self, covariance: np.ndarray) -> np.ndarray:
        """The sign of each channel that makes it add to the strongest one; most weight is positive."""
        strongest = int((covariance.diagonal() * self._weights).argmax())
        signs = np.where(covariance[strongest] < 0, -1.0, 1.0)
        weight = float(signs @ self._weights)
        return signs if weight > 0 or (weight == 0 and signs[0] > 0) else -signs

    def _mixed(self, frames: np.ndarray) -> np.ndarray:
        """Mono ``(n,)`` of frames ``(n, channels)`` with the present signs, faded in after a change."""
        mono = _mix(frames, self._weights, self._signs)
        if self._faded_signs is not None and len(frames):
            length = min(len(self._fade), len(frames))
            gain, old = self._fade[:length, 0], _mix(frames[:length], self._weights, self._faded_signs)
            mono[:length] = mono[:length] * gain + old * (1 - gain)
            self._faded_signs = None
        return mono


class StreamDownmix:
    """Frames whose form may change -> mono: a new `Downmix` for each form. Call `process`, then `flush` once."""

    def __init__(self) -> None:
        self._mixer: Downmix | None = None
        self._cancelled_s = 0.0

    def process(self, form: AudioForm, frames: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Pairs of a rate in hertz and mono samples ``(m,)``. Raises `AudioError` for NaN or infinite ones."""
        ended: list[tuple[int, np.ndarray]] = []
        if self._mixer is None or not self._mixer.takes(form, frames):
            ended = self.flush()
            self._mixer = Downmix(form, frames.shape[1])
        return [*ended, (form.rate_hz, self._mixer.process(frames))]

    def flush(self) -> list[tuple[int, np.ndarray]]:
        """What the mixer still holds."""
        mixer, self._mixer = self._mixer, None
        if mixer is None:
            return []
        self._cancelled_s += mixer.cancelled_s
        return [(mixer.form.rate_hz, mixer.flush())]

    @property
    def notice(self) -> str:
        """A sentence if channels cancelled so far, else ""."""
        cancelled_s = self._cancelled_s + (self._mixer.cancelled_s if self._mixer else 0.0)
        if cancelled_s < _NOTICE_S:
            return ""
        return "the channels are in opposite phase and would cancel each other; took their difference in such parts"


class OneChannel:
    """Frames -> one of their channels, counted from 0. It has the methods of `StreamDownmix`, and mixes nothing.

    `channels` is how many there must be; None: any number that has this one.
    """

    notice = ""

    def __init__(self, index: int, channels: int | None = None) -> None:
        self._index, self._channels = index, channels

    def process(self, form: AudioForm, frames: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """A pair of a rate in hertz and samples ``(n,)``. Raises `AudioError` for another number of channels."""
        found = frames.shape[1]
        if found <= self._index or (self._channels is not None and found != self._channels):
            wanted = f"{self._channels}, as was said" if self._channels is not None else f"at least {self._index + 1}"
            raise AudioError(f"found audio with {found} channel{'s'[: found != 1]}; wanted {wanted}")
        return [(form.rate_hz, checked_clipped(frames[:, self._index]))]

    def flush(self) -> list[tuple[int, np.ndarray]]:
        """Nothing is held back."""
        return []


def mixed_down(
    pieces: Iterable[tuple[AudioForm, np.ndarray]], mixer: StreamDownmix | OneChannel
) -> Iterable[tuple[int, np.ndarray]]:
    """All pieces -> pairs of a rate in hertz and mono samples ``(m,)``."""
    for form, frames in pieces:
        yield from mixer.process(form, frames)
    yield from mixer.flush()


def _mix(frames: np.ndarray, weights: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """The weighted sum ``(n,)``; with equal weights the mean, to the bit."""
    if (weights == weights[0]).all():
        mean: np.ndarray = (frames if (signs > 0).all() else frames * signs.astype(np.float32)).mean(axis=1)
        return mean
    total: np.ndarray = (frames * (weights * signs).astype(np.float32)).sum(axis=1)  # a matrix product's bits vary
    return total


def _weights(names: Sequence[str], channels: int) -> np.ndarray:
    """The weight of each channel; they sum to 1."""
    weights = np.ones(channels)
    if len(names) == channels and channels > 2:
        weights = np.array([0.0 if name in _BASS else _CENTRE_WEIGHT if name == _CENTRE else 1.0 for name in names])
    return weights / weights.sum() if weights.any() else np.full(channels, 1 / channels)


def _covariances(blocks: np.ndarray, rate_hz: int) -> np.ndarray:
    """Blocks ``(k, n, channels)`` -> ``(k, channels, channels)``, summed over bands of speech that count alike.

    Without the bands, a microphone that is a millisecond farther away would look like one in opposite phase whenever a
    vowel has most of its power at 500 Hz. An opposite phase shows in all bands.
    """
    size, channels = blocks.shape[1:]
    spectra = np.fft.rfft(blocks * np.hanning(size)[:, None].astype(np.float32), axis=1)
    first, last = (round(hz * size / rate_hz) for hz in _SPEECH_HZ)
    bins = spectra[:, first : min(last, size // 2)]
    count = bins.shape[1] // _BAND_BINS
    bins = bins[:, : count * _BAND_BINS].reshape(len(blocks), count, _BAND_BINS, channels)
    bands = np.einsum("kbni,kbnj->kbij", bins, bins.conj()).real / size**2
    power = np.trace(bands, axis1=2, axis2=3)[..., None, None]
    whitened: np.ndarray = (bands / np.maximum(power, 1e-20) ** _WHITENING).sum(axis=1)
    return whitened
