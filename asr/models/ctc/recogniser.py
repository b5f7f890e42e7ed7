"""CTC recognition: windows -> words from a lattice of frames, batched, each frame decoded once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.models.base import Finality, Hypothesis, ModelMemory, Piece, Placed, Window
from asr.models.ctc.forced_align import place
from asr.models.ctc.network import Step, StreamState, Wav2Vec2
from asr.models.ctc.search import Found, Search, search
from asr.models.ctc.vocabulary import Decoding, Vocabulary

UPDATE_MS = 320
"""A chunk: a frame is computed right / chunk times over, so much shorter costs more than it brings."""
_PLACING_S, _PLACING_CONTEXT_S = 20.0, 4.0
"""Alignment goes through a long recording in steps of so much, with so much context on both sides."""
RIGHT_S = 0.64
"""The future that a frame must hear where neither settings nor model say: half of what published models' positional
convolution sees."""
_LM_WORDS = 4
_BEAM = 8


@dataclass(frozen=True, slots=True)
class Memory(ModelMemory):
    """What a recogniser remembers of an utterance.

    ``open``: log-probabilities ``(n, V)`` of the settled frames since the last settled word; ``said``: the last words.
    """

    network: StreamState = field(default_factory=StreamState)
    open: torch.Tensor | None = None
    said: tuple[str, ...] = ()


class CtcRecogniser:
    """`asr.models.base.Recogniser` for CTC models."""

    aligner = "CTC"
    longest_placed_s = 120.0
    places_silence = True
    finality = Finality.SETTLED

    def __init__(
        self,
        name: str,
        architecture: str,
        weights_sha256: str,
        network: Wav2Vec2,
        vocabulary: Vocabulary,
        decoding: Decoding | None = None,
    ) -> None:
        self.name, self.architecture, self.weights_sha256 = name, architecture, weights_sha256
        self.precision, self.update_ms = network.precision, UPDATE_MS
        self.languages: tuple[str, ...] = ()
        self._network, self._vocabulary = network, vocabulary
        self._decoding = decoding or Decoding()
        self._hop = network.waveform.hop
        self._hop_s = self._hop / SAMPLE_RATE_HZ
        self._overlap_s = (network.waveform.receptive - self._hop) / 2 / SAMPLE_RATE_HZ

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """None: CTC looks at no text from before."""
        return ()

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis a window: all words since the last settled one."""
        memories = [window.memory if isinstance(window.memory, Memory) else Memory() for window in windows]
        steps = self._network.step(
            [window.samples for window in windows],
            [memory.network for memory in memories],
            [self._right(window) for window in windows],
            [self._frames(window.settings.ctc.left_s) for window in windows],
        )
        return [self._hypothesis(*three) for three in zip(windows, memories, steps, strict=True)]

    def _hypothesis(self, window: Window, memory: Memory, step: Step) -> Hypothesis:
        lattice = step.logprobs if memory.open is None else torch.cat([memory.open, step.logprobs])
        settled_frames = len(lattice) - len(step.logprobs) + step.settled
        behind = len(lattice) - step.consumed // self._hop  # frames before the window's first sample
        words = search(lattice, self._vocabulary, self._how(window), memory.said)
        settled = 0
        while settled < len(words) and words[settled].until < settled_frames:
            settled += 1
        kept = words[settled - 1].until if settled else 0
        said = (*memory.said, *(word.text.strip() for word in words[:settled]))[-_LM_WORDS:]
        return Hypothesis(
            pieces=tuple(self._piece(word, behind) for word in words),
            language=window.language or "",
            memory=Memory(step.state, lattice[kept:settled_frames], said),
            settled=settled,
            released=step.consumed,
        )

    def _right(self, window: Window) -> int:
        """Frames that a frame must hear behind it."""
        return self._frames(window.settings.ctc.right_s or self._decoding.settings.right_s or RIGHT_S)

    def _how(self, window: Window) -> Search:
        """The search that the stream asks for, with what it leaves to the model."""
        told, own, beams = window.settings.ctc, self._decoding, window.settings.beam_size
        if not told.lm:
            left = own.settings
            told = replace(told, lm=left.lm, lm_weight=left.lm_weight, word_bonus=left.word_bonus)
        wanted = _BEAM if told.lm or window.hotwords else 1
        return Search(beams if beams > 1 else own.beam or wanted, window.hotwords, told)

    def _piece(self, word: Found, behind: int) -> Piece:
        start_s = (word.first - behind) * self._hop_s + self._overlap_s
        end_s = (word.last + 1 - behind) * self._hop_s + self._overlap_s
        return Piece(word.text, word.tokens, start_s, end_s, word.confidence)

    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        """When each word of a text is said, and each of its letters, by the best path through the lattice.

        Raises `CallerError` for letters that the model cannot write, and for more of them than there are frames.
        """
        lattice = self._lattice(samples)
        return place(lattice, text, self._vocabulary, self._hop_s, self._overlap_s)

    def _lattice(self, samples: np.ndarray) -> torch.Tensor:
        """Log-probabilities ``(n, V)`` of a whole recording, in steps with context, so that memory stays flat."""
        state, at, parts = StreamState(), 0, [torch.zeros(0, self._network.classes)]
        context = self._frames(_PLACING_CONTEXT_S)
        for end in range(round(_PLACING_S * SAMPLE_RATE_HZ), len(samples), round(_PLACING_S * SAMPLE_RATE_HZ)):
            step = self._network.step([samples[at:end]], [state], [context], [context])[0]
            parts.append(step.logprobs[: step.settled])
            state, at = step.state, at + step.consumed
        parts.append(self._network.step([samples[at:]], [state], [context], [context])[0].logprobs)
        return torch.cat(parts)

    def _frames(self, seconds: float) -> int:
        return max(0, round(seconds / self._hop_s))
