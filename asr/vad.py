"""Voice activity: Silero's probability of speech for each 32 ms frame, and the endpoint rules on top of it.

The network is Silero VAD v6 (package ``silero-vad``, MIT), its 16 kHz weights run by our own forward pass: all frames
of all streams go through the convolutions in one batch, and only the recurrent cell walks through time.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F

from asr.config import SAMPLE_RATE_HZ, VadSettings

FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
_CONTEXT_SAMPLES = 64
_HIDDEN = 128


class VadState:
    """What one stream carries from frame to frame: the recurrent state and the last 64 samples."""

    def __init__(self) -> None:
        self.hidden = torch.zeros(1, 1, _HIDDEN)
        self.cell = torch.zeros(1, 1, _HIDDEN)
        self.context = np.zeros(_CONTEXT_SAMPLES, np.float32)


class SileroVad:
    """Speech probabilities, batched across streams."""

    def __init__(self) -> None:
        # The package's TorchScript file holds v6; its safetensors file is an older version with other probabilities.
        path = files("silero_vad").joinpath("data/silero_vad.jit")
        weights = torch.jit.load(io.BytesIO(path.read_bytes()), "cpu")._model.state_dict()
        self._stft = weights["stft.forward_basis_buffer"]
        convs = [f"encoder.{i}.reparam_conv" for i in range(4)]
        self._convs = [
            (weights[f"{name}.weight"], weights[f"{name}.bias"], stride)
            for name, stride in zip(convs, (1, 2, 2, 1), strict=True)
        ]
        self._lstm = [weights[f"decoder.rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        self._out = (weights["decoder.decoder.2.weight"], weights["decoder.decoder.2.bias"])

    @torch.inference_mode()
    def probabilities(self, states: Sequence[VadState], chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Per stream: whole frames of samples ``(n * 512,)`` -> probabilities ``(n,)``; advances the states."""
        frames = [_frames(state, chunk) for state, chunk in zip(states, chunks, strict=True)]
        encoded = self._encode(torch.from_numpy(np.concatenate(frames)))  # (sum n, 128)
        results = []
        for state, part in zip(states, encoded.split([len(f) for f in frames]), strict=True):
            results.append(self._recur(state, part))
        return results

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (0, _CONTEXT_SAMPLES), mode="reflect")  # (N, 640)
        x = F.conv1d(x[:, None], self._stft, stride=128)  # (N, 258, 4)
        real, imaginary = x.chunk(2, dim=1)
        x = (real.square() + imaginary.square()).sqrt()  # (N, 129, 4)
        for weight, bias, stride in self._convs:
            x = F.conv1d(x, weight, bias, stride=stride, padding=1).relu()
        return x[:, :, 0]  # (N, 128)

    def _recur(self, state: VadState, x: torch.Tensor) -> np.ndarray:
        if not len(x):
            return np.zeros(0, np.float32)
        y, state.hidden, state.cell = torch.lstm(  # type: ignore[call-overload]
            x[:, None], (state.hidden, state.cell), self._lstm, True, 1, 0.0, False, False, False
        )
        y = F.conv1d(y.relu().permute(0, 2, 1), *self._out)  # (n, 1, 1)
        return y.sigmoid()[:, 0, 0].numpy()


def _frames(state: VadState, chunk: np.ndarray) -> np.ndarray:
    """Each frame with the 64 samples before it: ``(n, 576)``."""
    if not len(chunk):
        return np.zeros((0, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
    padded = np.concatenate([state.context, chunk])
    state.context = padded[-_CONTEXT_SAMPLES:].copy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT_SAMPLES + FRAME_SAMPLES)
    return windows[::FRAME_SAMPLES].astype(np.float32)


class Activity(Enum):
    """What the endpoint rules say about a moment."""

    STARTED = "started"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of activity: noticed at ``frame``, true since ``since_frame`` (both count from the stream's start)."""

    activity: Activity
    frame: int
    since_frame: int


class Endpointer:
    """The endpoint rules as a small state table, in frames:

    | state    | frame is      | then                                                                        |
    |----------|---------------|-----------------------------------------------------------------------------|
    | silence  | speech        | count it; with `min_speech_ms` of it: STARTED (since its first frame)        |
    | silence  | not speech    | forget the count                                                            |
    | speech   | speech        | silence count is zero                                                       |
    | speech   | not speech    | count it; at `pad_after_ms`: PAUSED; at `endpoint_ms`: ENDED, state silence  |

    A frame is speech at `start_threshold` in silence and at `end_threshold` in speech (hysteresis).
    """

    def __init__(self, settings: VadSettings) -> None:
        self._settings = settings
        self._min_speech = _frames_of(settings.min_speech_ms)
        self.pause_frames = _frames_of(settings.pad_after_ms)
        self._endpoint = max(_frames_of(settings.endpoint_ms), self.pause_frames)
        self.in_speech = False
        self.last_speech_frame = 0
        self.run_frames = 0
        self._silence = 0

    @property
    def pausing(self) -> bool:
        """In speech, but silent for a while."""
        return self.in_speech and self._silence >= self.pause_frames

    def feed(self, frame: int, probability: float) -> Iterator[Turn]:
        """The turns that this frame brings about, none or one or two."""
        if self.in_speech:
            yield from self._feed_speech(frame, probability)
        elif probability < self._settings.start_threshold:
            self.run_frames = 0
        else:
            self.run_frames += 1
            if self.run_frames >= self._min_speech:
                self.in_speech, self._silence, self.last_speech_frame = True, 0, frame
                yield Turn(Activity.STARTED, frame, frame - self.run_frames + 1)

    def _feed_speech(self, frame: int, probability: float) -> Iterator[Turn]:
        if probability >= self._settings.end_threshold:
            self._silence, self.last_speech_frame = 0, frame
            return
        self._silence += 1
        if self._silence == self.pause_frames:
            yield Turn(Activity.PAUSED, frame, self.last_speech_frame + 1)
        if self._silence >= self._endpoint:
            self.in_speech, self.run_frames = False, 0
            yield Turn(Activity.ENDED, frame, self.last_speech_frame + 1)


def _frames_of(ms: int) -> int:
    return max(1, round(ms / 1000 / FRAME_S))
