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
SILENT = 0.35
"""A frame less likely speech than this is silence (`VadSettings.end_threshold`)."""
SHORTEST_PAUSE_S = 0.09
"""Silence inside a word shorter than this is a closure (the p of "apart"), no pause."""


class VadState:
    """What one stream carries from frame to frame: the recurrent state and the last 64 samples."""

    def __init__(self) -> None:
        self.hidden = torch.zeros(_HIDDEN)
        self.cell = torch.zeros(_HIDDEN)
        self.context = np.zeros(_CONTEXT_SAMPLES, np.float32)


class SileroVad:
    """Speech probabilities, batched across streams."""

    def __init__(self) -> None:
        # The package's TorchScript file holds v6; its safetensors file is an older version with other probabilities.
        path = files("silero_vad").joinpath("data/silero_vad.jit")
        weights = torch.jit.load(io.BytesIO(path.read_bytes()), "cpu")._model.state_dict()
        self._stft = weights["stft.forward_basis_buffer"][:, 0].contiguous()  # (258, 256)
        self._layers = []
        length = 4
        for i, stride in enumerate((1, 2, 2, 1)):
            name = f"encoder.{i}.reparam_conv"
            dense, bias, length = _dense(weights[f"{name}.weight"], weights[f"{name}.bias"], stride, length)
            self._layers.append((dense, bias))
        self._lstm = [weights[f"decoder.rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        self._out = (weights["decoder.decoder.2.weight"][:, :, 0], weights["decoder.decoder.2.bias"])

    @torch.inference_mode()
    def probabilities(self, states: Sequence[VadState], chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Per stream: whole frames of samples ``(n * 512,)`` -> probabilities ``(n,)``; advances the states."""
        frames = [_frames(state, chunk) for state, chunk in zip(states, chunks, strict=True)]
        encoded = self._encode(torch.from_numpy(np.concatenate(frames)))  # (sum n, 128)
        counts = [len(part) for part in frames]
        parts = encoded.split(counts)
        heard: list[np.ndarray] = [np.zeros(0, np.float32)] * len(states)
        for count in set(counts) - {0}:  # streams with as many frames go through time together
            rows = [i for i, n in enumerate(counts) if n == count]
            told = self._recur([states[i] for i in rows], torch.stack([parts[i] for i in rows], dim=1))
            for row, i in enumerate(rows):
                heard[i] = told[row]
        return heard

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (0, _CONTEXT_SAMPLES), mode="reflect")  # (N, 640)
        x = x.unfold(1, 256, 128) @ self._stft.t()  # (N, 4, 258)
        real, imaginary = x.chunk(2, dim=-1)
        x = (real.square() + imaginary.square()).sqrt().flatten(1)  # (N, 4 * 129)
        for weight, bias in self._layers:
            x = F.linear(x, weight, bias).relu()
        return x  # (N, 128)

    def _recur(self, states: Sequence[VadState], x: torch.Tensor) -> np.ndarray:
        """Encoded frames ``(n, B, 128)`` of `B` streams -> probabilities ``(B, n)``; advances the states."""
        hidden, cell = (torch.stack(parts)[None] for parts in zip(*((s.hidden, s.cell) for s in states), strict=True))
        y, hidden, cell = torch.lstm(  # type: ignore[call-overload]
            x, (hidden, cell), self._lstm, True, 1, 0.0, False, False, False
        )
        for state, h, c in zip(states, hidden[0], cell[0], strict=True):
            state.hidden, state.cell = h, c
        heard: np.ndarray = F.linear(y.relu(), *self._out).sigmoid()[:, :, 0].t().numpy()
        return heard


def _dense(
    weight: torch.Tensor, bias: torch.Tensor, stride: int, length: int
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """A convolution of width 3, zeros outside, over so few places that one full matrix is the quicker product.

    ``(out, in, 3)`` over `length` places -> ``(places' * out, length * in)``, its bias, and the places that come out.
    """
    out, inside, _ = weight.shape
    places = (length - 1) // stride + 1
    dense = torch.zeros(places, out, length, inside)
    for place in range(places):
        for tap in range(3):
            at = place * stride + tap - 1
            if 0 <= at < length:
                dense[place, :, at] = weight[:, :, tap]
    return dense.flatten(2).flatten(0, 1), bias.repeat(places), places


def _frames(state: VadState, chunk: np.ndarray) -> np.ndarray:
    """Each frame with the 64 samples before it: ``(n, 576)``."""
    if not len(chunk):
        return np.zeros((0, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
    padded = np.concatenate([state.context, chunk])
    state.context = padded[-_CONTEXT_SAMPLES:].copy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT_SAMPLES + FRAME_SAMPLES)
    return windows[::FRAME_SAMPLES].astype(np.float32)


def silent_runs(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Beginnings and ends of the runs of silent frames in a curve ``(n,)``."""
    silent = np.concatenate([[False], probabilities < SILENT, [False]])
    edges = np.flatnonzero(np.diff(silent.astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


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
