"""A scripted network in place of Whisper's: the probabilities of the next token are written down by the test."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from asr.config import DecodeSettings
from asr.models.base import Window
from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.network import WhisperMemory
from asr.models.whisper.search import Searcher, SearchState

START, END, A, B, C, D, BLANK = range(7)
VOCABULARY = 7
HEAD = [START]
MEMORY: WhisperMemory = None  # type: ignore[assignment]
"""The scripted network looks at no audio."""

Script = Mapping[tuple[int, ...], Mapping[int, float]] | Callable[[tuple[int, ...]], Mapping[int, float]]
"""The text so far -> probabilities of the next token. Tokens that are not listed share 1e-6; an unlisted text ends."""


class ScriptedBatch:
    """The tokens that each row was fed."""

    def __init__(self, rows: int) -> None:
        self.rows: list[list[int]] = [[] for _ in range(rows)]

    def keep(self, rows: Sequence[int]) -> None:
        self.rows = [list(self.rows[i]) for i in rows]


class ScriptedNetwork:
    """The part of `WhisperNetwork` that `Searcher` uses. Its hidden states are the scores themselves.

    Unreal: there is one query and it holds the position, so that a test can tell which queries were kept.
    """

    def __init__(self, script: Script) -> None:
        self._next = script if callable(script) else lambda text: script.get(text, {END: 1.0})
        self.calls = 0

    def batch(self, memories: Sequence[WhisperMemory]) -> ScriptedBatch:
        return ScriptedBatch(len(memories))

    def decode(
        self, batch: ScriptedBatch, tokens: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores ``(B, Q, V)`` as hidden states, positions as queries ``(B, 1, Q, 1)``."""
        self.calls += 1
        scores = torch.zeros(*tokens.shape, VOCABULARY)
        for row, (history, ids, places) in enumerate(zip(batch.rows, tokens.tolist(), positions.tolist(), strict=True)):
            for column, (token, place) in enumerate(zip(ids, places, strict=True)):
                history[place:] = [token]
                if END not in history:  # rows are padded with the end; what follows it is never read
                    scores[row, column] = self._scores(tuple(history[len(HEAD) :]))
        return scores, positions[:, None, :, None].float()

    def _scores(self, text: tuple[int, ...]) -> torch.Tensor:
        scores = torch.full((VOCABULARY,), math.log(1e-6 / VOCABULARY))
        for token, probability in self._next(text).items():
            scores[token] = math.log(probability)
        return scores

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.clone()


def searcher(script: Script) -> tuple[Searcher, ScriptedNetwork]:
    network = ScriptedNetwork(script)
    return Searcher(network, END, [BLANK, END]), network  # type: ignore[arg-type]


def state(
    draft: Sequence[int] = (),
    prefix: Sequence[int] = (),
    budget: int = 30,
    hotwords: Hotwords | None = None,
    held: int = 0,
) -> SearchState:
    """A search with nothing written yet."""
    window = Window(
        torch.zeros(0).numpy(),
        draft=tuple(draft),
        held=held,
        prefix=tuple(prefix),
        settings=DecodeSettings(hold_nats=0.5),
    )
    return SearchState(window, "en", list(HEAD), budget, hotwords)
