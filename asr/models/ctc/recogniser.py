"""CTC recognition: windows -> words, by a search in the lattice of their frames; batched, each frame decoded once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.models.base import Finality, Hypothesis, ModelMemory, Piece, Placed, Window
from asr.models.ctc.forced_align import place
from asr.models.ctc.network import CtcNetwork, StepOutput, StreamState
from asr.models.ctc.search import LatticeWord, SearchOptions, search
from asr.models.ctc.vocabulary import Decoding, Vocabulary

UPDATE_MS = 320
"""A chunk. Each frame is computed (right context / chunk) times, so a much shorter chunk costs more than it gains."""
RIGHT_S = 0.64
"""Right context, if neither the settings nor the model state one: half of what the positional convolution of published
models sees."""
_ALIGNMENT_CHUNK_S, _ALIGNMENT_CONTEXT_S = 20.0, 4.0
"""A long recording is aligned in chunks of this length, with this much context on both sides."""
_LM_CONTEXT_WORDS = 4
"""Committed words that the language model sees before a window; n-gram models are rarely longer than this."""
_BEAM = 8
"""Beam width with a language model or hotwords, if neither the settings nor the model state one."""


@dataclass(frozen=True, slots=True)
class CtcMemory(ModelMemory):
    """What a recogniser keeps of an utterance between two windows.

    ``open``: log-probabilities ``(n, V)`` of the settled frames since the last settled word. ``last_words``: the last
    settled words, the language model's context.
    """

    network: StreamState = field(default_factory=StreamState)
    open: torch.Tensor | None = None
    last_words: tuple[str, ...] = ()


class CtcRecogniser:
    """`asr.models.base.Recogniser` for CTC models. Stateless: a stream's state is in its `CtcMemory`."""

    aligner = "CTC"
    longest_placed_s = 120.0
    translates = False
    places_silence = True
    finality = Finality.SETTLED

    def __init__(
        self,
        name: str,
        architecture: str,
        weights_sha256: str,
        network: CtcNetwork,
        vocabulary: Vocabulary,
        decoding: Decoding | None = None,
    ) -> None:
        self.name, self.architecture, self.weights_sha256 = name, architecture, weights_sha256
        self.precision, self.update_ms = network.precision, UPDATE_MS
        self.languages: tuple[str, ...] = ()
        self._network, self._vocabulary = network, vocabulary
        self._decoding = decoding or Decoding()
        self._hop_samples = network.encoder.hop_samples
        self._hop_s = self._hop_samples / SAMPLE_RATE_HZ
        # A frame stands for the middle of the samples that it sees.
        self._offset_s = (network.encoder.receptive_samples - self._hop_samples) / 2 / SAMPLE_RATE_HZ

    def compile(self) -> None:
        """Nothing: the network is a few large operations for each window."""

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """No tokens: CTC has no text context."""
        return ()

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis for each window: all words since the last settled one.

        Raises `ConfigError` for a language model that cannot be loaded.
        """
        memories = [window.memory if isinstance(window.memory, CtcMemory) else CtcMemory() for window in windows]
        outputs = self._network.step(
            [window.samples for window in windows],
            [memory.network for memory in memories],
            [self.right_frames(window) for window in windows],
            [self._frames(window.settings.ctc.left_s) for window in windows],
        )
        return [self._hypothesis(*row) for row in zip(windows, memories, outputs, strict=True)]

    def _hypothesis(self, window: Window, memory: CtcMemory, output: StepOutput) -> Hypothesis:
        lattice = output.logprobs if memory.open is None else torch.cat([memory.open, output.logprobs])
        settled_frames = len(lattice) - len(output.logprobs) + output.settled
        frames_before = len(lattice) - output.consumed // self._hop_samples  # before the window's first sample
        words = search(lattice, self._vocabulary, self.search_options(window), memory.last_words)
        settled = 0
        while settled < len(words) and words[settled].until < settled_frames:
            settled += 1
        open_from = words[settled - 1].until if settled else 0
        last_words = (*memory.last_words, *(word.text.strip() for word in words[:settled]))[-_LM_CONTEXT_WORDS:]
        return Hypothesis(
            pieces=tuple(self._piece(word, frames_before) for word in words),
            language=window.language or "",
            memory=CtcMemory(output.state, lattice[open_from:settled_frames], last_words),
            settled=settled,
            released=output.consumed,
        )

    def right_frames(self, window: Window) -> int:
        """How many frames must follow a frame before it is settled."""
        return self._frames(window.settings.ctc.right_s or self._decoding.settings.right_s or RIGHT_S)

    def search_options(self, window: Window) -> SearchOptions:
        """The stream's search settings, with the model's own values where they are open."""
        settings, beam = window.settings.ctc, window.settings.beam_size
        if not settings.lm:
            own = self._decoding.settings
            settings = replace(settings, lm=own.lm, lm_weight=own.lm_weight, word_bonus=own.word_bonus)
        default = _BEAM if settings.lm or window.hotwords else 1
        return SearchOptions(beam if beam > 1 else self._decoding.beam or default, window.hotwords, settings)

    def _piece(self, word: LatticeWord, frames_before: int) -> Piece:
        start_s = (word.first - frames_before) * self._hop_s + self._offset_s
        end_s = (word.last + 1 - frames_before) * self._hop_s + self._offset_s
        return Piece(word.text, word.tokens, start_s, end_s, word.confidence)

    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        """When each word of a text is spoken in samples ``(n,)``, and each of its letters.

        The times are those of the best path through the lattice that writes the text. Raises `CallerError` for letters
        that the model cannot write, and for more letters than there are frames.
        """
        return place(self.lattice(samples), text, self._vocabulary, self._hop_s, self._offset_s)

    def lattice(self, samples: np.ndarray) -> torch.Tensor:
        """Log-probabilities ``(frames, V)`` of a recording ``(n,)``, computed in chunks of constant memory."""
        state, start, parts = StreamState(), 0, [torch.zeros(0, self._network.classes)]
        context = self._frames(_ALIGNMENT_CONTEXT_S)
        chunk = round(_ALIGNMENT_CHUNK_S * SAMPLE_RATE_HZ)
        for end in range(chunk, len(samples), chunk):
            output = self._network.step([samples[start:end]], [state], [context], [context])[0]
            parts.append(output.logprobs[: output.settled])
            state, start = output.state, start + output.consumed
        parts.append(self._network.step([samples[start:]], [state], [context], [context])[0].logprobs)
        return torch.cat(parts)

    def _frames(self, seconds: float) -> int:
        return max(0, round(seconds / self._hop_s))
