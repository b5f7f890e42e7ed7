"""Voice activity: Silero's probability of speech for each 32 ms frame, and the endpoint rules on top of it.

The network is Silero VAD v6 (package ``silero-vad``, MIT), its 16 kHz weights run by our own forward pass: all frames
of all streams go through the convolutions in one batch; only the recurrent cell needs one frame after the other.
"""

import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F

from asr.config import SAMPLE_RATE_HZ, VadSettings
from asr.errors import ModelError
from asr.installing import pip_install
from asr.streaming.level import Level

FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
_CONTEXT_SAMPLES = 64
_HIDDEN = 128
_PACKAGE = "silero-vad==6.2.3"
WEIGHTS_SHA256 = "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720"
SILENT = 0.35
"""A frame less likely speech than this is silence (`VadSettings.end_threshold`)."""


class _Recurrence:
    """The recurrent state of the network after a frame."""

    def __init__(self) -> None:
        self.hidden = torch.zeros(_HIDDEN)
        self.cell = torch.zeros(_HIDDEN)


class VadState:
    """What is kept of one stream between two frames: its last 64 samples, its level, and the network's states.

    The network runs twice, on the frames as they are and on the amplified ones (`asr.streaming.level`). The gain alone
    would not do: it makes the noise before the first word as loud as the word, which Silero then finds late.
    """

    def __init__(self) -> None:
        self.plain, self.amplified = _Recurrence(), _Recurrence()
        self.level = Level()
        self.context = np.zeros(_CONTEXT_SAMPLES, np.float32)


def _checked_file() -> bytes:
    """The package's weights. TorchScript may run code when it is loaded, so they are compared with a known hash first.

    Raises `ModelError` for other ones.
    """
    path = files("silero_vad").joinpath("data/silero_vad.jit")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        remedy = pip_install("--force-reinstall", "--no-deps", _PACKAGE)
        raise ModelError(f"found {path} damaged (SHA-256 {found[:12]}), wanted {WEIGHTS_SHA256[:12]}; {remedy}")
    return data


class SileroVad:
    """Silero VAD: speech probabilities of frames, batched across streams. Stateless; see `VadState`."""

    def __init__(self) -> None:
        # The package's TorchScript file holds v6; its safetensors file is an older version with other probabilities.
        weights = torch.jit.load(io.BytesIO(_checked_file()), "cpu")._model.state_dict()
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
        """For each stream: samples of whole frames ``(n * 512,)`` -> probabilities ``(n,)``. Advances the states.

        Where the audio is quiet, the higher of two: of the frame as it is and of the amplified one.
        """
        frames = [_frames(state, chunk) for state, chunk in zip(states, chunks, strict=True)]
        amplified, quiet = zip(*(s.level.amplified(f) for s, f in zip(states, frames, strict=True)), strict=True)
        features = self._encode(torch.from_numpy(np.concatenate(frames)))  # (sum n, 128)
        louder = features
        if (gained := np.concatenate(quiet)).any():  # a frame without gain is the same frame, and most have none
            louder = features.clone()
            louder[torch.from_numpy(gained)] = self._encode(torch.from_numpy(np.concatenate(amplified)[gained]))
        counts = [len(part) for part in frames]
        rows = [state.plain for state in states] + [state.amplified for state in states]
        scores = self._scores(rows, [*features.split(counts), *louder.split(counts)])
        pairs = zip(scores[: len(states)], scores[len(states) :], quiet, strict=True)
        return [np.where(is_quiet, np.maximum(plain, louder), plain) for plain, louder, is_quiet in pairs]

    def _scores(self, states: Sequence[_Recurrence], parts: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """For each row: features of its frames ``(n, 128)`` -> speech probabilities ``(n,)``. Advances the states."""
        counts = [len(part) for part in parts]
        scores: list[np.ndarray] = [np.zeros(0, np.float32)] * len(states)
        for count in set(counts) - {0}:  # rows with the same number of frames share the recurrent steps
            rows = [i for i, n in enumerate(counts) if n == count]
            batch = self._recur([states[i] for i in rows], torch.stack([parts[i] for i in rows], dim=1))
            for row, i in enumerate(rows):
                scores[i] = batch[row]
        return scores

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        """Frames with their context ``(N, 576)`` -> features ``(N, 128)``."""
        x = F.pad(x, (0, _CONTEXT_SAMPLES), mode="reflect")  # (N, 640)
        x = x.unfold(1, 256, 128) @ self._stft.t()  # (N, 4, 258)
        real, imaginary = x.chunk(2, dim=-1)
        x = (real.square() + imaginary.square()).sqrt().flatten(1)  # (N, 4 * 129)
        for weight, bias in self._layers:
            x = F.linear(x, weight, bias).relu()
        return x  # (N, 128)

    def _recur(self, states: Sequence[_Recurrence], x: torch.Tensor) -> np.ndarray:
        """Encoded frames ``(n, B, 128)`` of `B` streams -> probabilities ``(B, n)``; advances the states."""
        hidden, cell = (torch.stack(parts)[None] for parts in zip(*((s.hidden, s.cell) for s in states), strict=True))
        y, hidden, cell = torch.lstm(  # type: ignore[call-overload]
            x, (hidden, cell), self._lstm, True, 1, 0.0, False, False, False
        )
        for state, h, c in zip(states, hidden[0], cell[0], strict=True):
            state.hidden, state.cell = h, c
        probabilities: np.ndarray = F.linear(y.relu(), *self._out).sigmoid()[:, :, 0].t().numpy()
        return probabilities


def _dense(
    weight: torch.Tensor, bias: torch.Tensor, stride: int, length: int
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """A convolution of width 3 as one full matrix. With so few positions that is the faster product.

    Weight ``(out, in, 3)`` and bias ``(out,)`` over `length` positions, zeros outside -> matrix
    ``(positions * out, length * in)``, bias ``(positions * out,)``, and the number of output positions.
    """
    out, inputs, _ = weight.shape
    positions = (length - 1) // stride + 1
    dense = torch.zeros(positions, out, length, inputs)
    for position in range(positions):
        for tap in range(3):
            source = position * stride + tap - 1
            if 0 <= source < length:
                dense[position, :, source] = weight[:, :, tap]
    return dense.flatten(2).flatten(0, 1), bias.repeat(positions), positions


def _frames(state: VadState, chunk: np.ndarray) -> np.ndarray:
    """Samples ``(n * 512,)`` -> each frame with the 64 samples before it ``(n, 576)``. Advances the state's context."""
    if not len(chunk):
        return np.zeros((0, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
    padded = np.concatenate([state.context, chunk])
    state.context = padded[-_CONTEXT_SAMPLES:].copy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT_SAMPLES + FRAME_SAMPLES)
    return windows[::FRAME_SAMPLES].astype(np.float32)


def silent_runs(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of silent frames in speech probabilities ``(n,)``."""
    silent = np.concatenate([[False], probabilities < SILENT, [False]])
    edges = np.flatnonzero(np.diff(silent.astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


class Activity(Enum):
    """What the endpoint rules detect."""

    STARTED = "started"
    PAUSED = "paused"
    FLUSHED = "flushed"
    RESUMED = "resumed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of activity: detected at ``frame``, true since ``since_frame``. Both count from the stream's start."""

    activity: Activity
    frame: int
    since_frame: int


class Endpointer:
    """The endpoint rules as a state table. Durations are counted in frames:

    | state    | frame is      | then                                                                           |
    |----------|---------------|--------------------------------------------------------------------------------|
    | silence  | speech        | count it; at `min_speech_ms`: STARTED (since the first of them), state speech   |
    | silence  | not speech    | reset the count of speech frames                                               |
    | speech   | speech        | reset the count of silent frames                                               |
    | speech   | not speech    | count it; at `pad_after_ms`: PAUSED; at `speech_final_ms`: FLUSHED, state      |
    |          |               | flushed; at `endpoint_ms`: ENDED, state silence                                |
    | flushed  | speech        | as in silence, but RESUMED for STARTED                                         |
    | flushed  | not speech    | reset the count of speech frames; at `endpoint_ms` since speech: ENDED         |

    A frame is speech at `start_threshold` in silence and at `end_threshold` in speech (hysteresis). In state flushed it
    is reported as in silence, but counted as voiced as in speech.
    """

    def __init__(self, settings: VadSettings) -> None:
        self._settings = settings
        self._min_speech = frames_of(settings.min_speech_ms)
        self.pause_frames = frames_of(settings.pad_after_ms)
        self._endpoint = max(frames_of(settings.endpoint_ms), self.pause_frames)
        self.flush_frames = (
            max(frames_of(settings.speech_final_ms), self.pause_frames) if settings.speech_final_ms else 0
        )
        self.in_speech = False
        self.flushed = False
        self.last_speech_frame = 0
        self.run_frames = 0
        self.silent_frames = 0
        """Silent frames in a row, while in speech."""

    @property
    def pausing(self) -> bool:
        """In speech, but silent for at least `pad_after_ms`."""
        return self.in_speech and self.silent_frames >= self.pause_frames

    @property
    def voiced_until(self) -> int:
        """The sample at which the last speech frame ends; 0 before the first."""
        return (self.last_speech_frame + 1) * FRAME_SAMPLES if self.last_speech_frame else 0

    def receive(self, frame: int, probability: float) -> Iterator[Transition]:
        """Takes the next frame's speech probability. Yields no, one or two transitions."""
        if self.in_speech or self.flushed:
            yield from self._count_silence(frame, probability)
        if not self.in_speech:
            yield from self._count_speech(frame, probability)

    def _count_speech(self, frame: int, probability: float) -> Iterator[Transition]:
        """In silence, or flushed: whether speech begins."""
        self.run_frames = self.run_frames + 1 if probability >= self._settings.start_threshold else 0
        if self.run_frames >= self._min_speech:
            activity = Activity.RESUMED if self.flushed else Activity.STARTED
            self.in_speech, self.flushed, self.silent_frames, self.last_speech_frame = True, False, 0, frame
            yield Transition(activity, frame, frame - self.run_frames + 1)

    def _count_silence(self, frame: int, probability: float) -> Iterator[Transition]:
        """In speech, or flushed: whether it pauses or ends."""
        if probability >= self._settings.end_threshold:
            self.silent_frames, self.last_speech_frame = 0, frame
            return
        self.silent_frames += 1
        since = self.last_speech_frame + 1
        if self.in_speech and self.silent_frames == self.pause_frames:
            yield Transition(Activity.PAUSED, frame, since)
        if self.silent_frames >= self._endpoint:
            self.in_speech, self.flushed, self.run_frames = False, False, 0
            yield Transition(Activity.ENDED, frame, since)
        elif self.in_speech and self.silent_frames == self.flush_frames:
            self.in_speech, self.flushed, self.run_frames = False, True, 0
            yield Transition(Activity.FLUSHED, frame, since)


QUIET_DB = 30.0
"""A frame this much below loud speech has no sound of it: the end of speech that an aligner finds, on the median."""
QUIET_FRAMES = 3
"""This number of quiet frames in a row ends a sound (96 ms). After two, windows ended too near to the last word: a
quarter of a point more errors."""
NEARLY_QUIET_FRAMES = 2
"""After this number of quiet frames words are shown. Errors of that are mended soon, before they are final."""
_LEAST_POWER = 1e-12
_FALL_DB = 0.1
"""How fast the level of loud speech falls, a voiced frame: 3 dB a second."""
_LATE_FRAMES = 6
"""Silero may report speech this long behind the last sound (0.19 s; half of that on the median). What it reports
later is soft speech, and no sound has ended."""


def levels_db(samples: np.ndarray) -> np.ndarray:
    """Samples of whole frames ``(n * 512,)`` -> their RMS around the mean, in dB of full scale ``(n,)``."""
    power = samples.reshape(-1, FRAME_SAMPLES).var(axis=1, dtype=np.float64)
    levels: np.ndarray = 10 * np.log10(np.maximum(power, _LEAST_POWER))
    return levels


class SoundEnd:
    """Where the last sound ended, by energy. It is known before Silero reports silence.

    Figures: docs/log/decoding.md#the-end-of-a-sound-by-its-energy.
    """

    def __init__(self) -> None:
        self._loud_db = -math.inf
        self._voiced_frame = -1
        self._frame = -1
        self.quiet_frames = 0
        """Quiet frames in a row."""

    @property
    def sample(self) -> int | None:
        """`QUIET_FRAMES` behind the last sound; None while there is one."""
        first = self._frame - self.quiet_frames + 1
        if self.quiet_frames < QUIET_FRAMES or self._voiced_frame - first >= _LATE_FRAMES:
            return None
        return (first + QUIET_FRAMES) * FRAME_SAMPLES

    @property
    def is_near(self) -> bool:
        """Whether the next frame will show that the last sound has ended."""
        return NEARLY_QUIET_FRAMES <= self.quiet_frames < QUIET_FRAMES

    def receive(self, level_db: float, is_voiced: bool) -> None:
        """Takes the next frame's level, in dB, and whether voice activity counts it as speech."""
        self._frame += 1
        if is_voiced:
            self._voiced_frame = self._frame
            self._loud_db = max(self._loud_db - _FALL_DB, level_db)
        self.quiet_frames = self.quiet_frames + 1 if level_db < self._loud_db - QUIET_DB else 0


def frames_of(ms: int) -> int:
    """The number of frames nearest to a duration in milliseconds, at least one."""
    return max(1, round(ms / 1000 / FRAME_S))
