"""What rooms, lines and devices do to sound: pure functions of mono float32 samples ``(n,)`` at 16 kHz -> ``(n,)``.

Speech keeps its place in time, so an alignment of the clean recording stays valid.
"""

import io
from dataclasses import dataclass
from typing import cast

import av
import numpy as np

from asr.audio.files import read_blocks
from asr.audio.resample import StreamResampler
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError

TELEPHONE_BAND_HZ = (300.0, 3400.0)
"""The pass band of a telephone line (ITU-T G.712)."""
TELEPHONE_RATE_HZ = 8_000
_TAPS = 511
"""Length of the band-pass filter. With a Kaiser window of beta 8 it falls by 80 dB within 160 Hz (Kaiser 1974)."""
_KAISER_BETA = 8.0


@dataclass(frozen=True, slots=True)
class Codec:
    """FFmpeg's container and encoder, the sample rate it works at, its usual bit rate.

    ``delay_s`` is the encoder's look-ahead, for containers that do not record it.
    """

    container: str
    encoder: str
    rate_hz: int
    kbit_s: float | None
    delay_s: float = 0.0


CODECS = {
    "mulaw": Codec("wav", "pcm_mulaw", TELEPHONE_RATE_HZ, None),
    "alaw": Codec("wav", "pcm_alaw", TELEPHONE_RATE_HZ, None),
    "amr": Codec("amr", "libopencore_amrnb", TELEPHONE_RATE_HZ, 12.2, delay_s=0.005),
    "opus": Codec("ogg", "libopus", SAMPLE_RATE_HZ, 16),
    "mp3": Codec("mp3", "libmp3lame", SAMPLE_RATE_HZ, 32),
}


def power(samples: np.ndarray) -> float:
    """Mean square of samples ``(n,)``; 0 if there are none."""
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Samples ``(n,)`` plus noise ``(n,)``, scaled so that the ratio of their mean powers is ``snr_db``.

    Both powers are means over the whole recording, pauses included (as in `torchaudio.functional.add_noise`). If the
    sum would clip, all of it is attenuated, which keeps the ratio. If recording or noise is silent, nothing is added.
    """
    if not (signal_power := power(samples)) or not (noise_power := power(noise)):
        return samples
    scale = np.sqrt(signal_power / noise_power / 10 ** (snr_db / 10))
    return _unclipped(samples + np.float32(scale) * noise)


def cut_noise(noise: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """``(length,)`` samples of noise ``(m,)`` from a random position, repeating from its start at its end."""
    start = int(generator.integers(len(noise)))
    return np.take(noise, np.arange(start, start + length), mode="wrap")


def telephone(samples: np.ndarray) -> np.ndarray:
    """300 to 3400 Hz at 8 kHz, then back to 16 kHz with the resampler that live telephone streams use."""
    narrow = _convolved(samples, _band_pass(*TELEPHONE_BAND_HZ), _TAPS // 2)[::2]
    resampler = StreamResampler(TELEPHONE_RATE_HZ)
    return _fitted(np.concatenate([resampler.process(narrow), resampler.flush()]), len(samples))


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Samples ``(n,)`` in a room with this impulse response ``(m,)``; loudness and direct sound keep their place.

    Reverberation after the recording's end is cut off. Raises `AudioError` for a silent response.
    """
    if not power(response):
        raise AudioError("found an impulse response that is silent, wanted the echo of a room")
    wet = _convolved(samples, response, int(np.argmax(np.abs(response))))
    loudness = np.sqrt(power(samples) / power(wet)) if power(wet) else 1.0
    return _unclipped(np.float32(loudness) * wet)


def gain(samples: np.ndarray, gain_db: float) -> np.ndarray:
    """Samples ``(n,)`` louder or softer, clipped at full scale as a sound card does."""
    louder: np.ndarray = np.clip(samples * np.float32(10 ** (gain_db / 20)), -1, 1)
    return louder


def coded(samples: np.ndarray, codec: Codec, kbit_s: float | None = None) -> np.ndarray:
    """Samples ``(n,)`` encoded and decoded again, by the reader that the product uses for such files.

    Raises `AudioError` if the codec refuses the bit rate.
    """
    if not len(samples):
        return samples
    file = io.BytesIO()
    rate = kbit_s or codec.kbit_s
    try:
        with av.open(file, "w", format=codec.container) as container:
            _encode(container, samples, codec, rate)
    except av.error.FFmpegError as error:
        raise AudioError(f"found {codec.encoder} refusing {rate} kbit/s ({error}), wanted a rate that it has") from None
    file.seek(0)
    decoded = np.concatenate(list(read_blocks(file)))
    return _fitted(decoded[round(codec.delay_s * SAMPLE_RATE_HZ) :], len(samples))


def _encode(container: "av.container.OutputContainer", samples: np.ndarray, codec: Codec, rate: float | None) -> None:
    stream = cast("av.audio.stream.AudioStream", container.add_stream(codec.encoder, rate=codec.rate_hz, layout="mono"))
    if rate:
        stream.bit_rate = round(1000 * rate)
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE_HZ
    for piece in (frame, None):
        container.mux(stream.encode(piece))


def _band_pass(low_hz: float, high_hz: float) -> np.ndarray:
    """A symmetric windowed-sinc filter ``(taps,)``: -6 dB at both ends of the band."""
    n = np.arange(_TAPS) - _TAPS // 2

    def low_pass(hz: float) -> np.ndarray:
        return np.asarray(2 * hz / SAMPLE_RATE_HZ * np.sinc(2 * hz / SAMPLE_RATE_HZ * n))

    return np.asarray((low_pass(high_hz) - low_pass(low_hz)) * np.kaiser(_TAPS, _KAISER_BETA), np.float64)


def _convolved(samples: np.ndarray, response: np.ndarray, ahead: int) -> np.ndarray:
    """Samples ``(n,)`` convolved with the response ``(m,)``: ``n`` samples from position ``ahead`` on."""
    size = len(samples) + len(response) - 1
    padded = 1 << (size - 1).bit_length()
    product = np.fft.rfft(samples, padded) * np.fft.rfft(response, padded)
    whole = np.fft.irfft(product, padded)
    return np.asarray(whole[ahead : ahead + len(samples)], np.float32)


def _unclipped(samples: np.ndarray) -> np.ndarray:
    peak = float(np.abs(samples).max(initial=0.0))
    quiet: np.ndarray = samples / np.float32(peak) if peak > 1 else samples
    return quiet


def _fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples cut, or padded with zeros, to ``(length,)``."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
