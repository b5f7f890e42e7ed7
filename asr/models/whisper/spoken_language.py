"""Which language is spoken, and where it changes: Whisper's language tokens, for a window and for spans between pauses.

A span needs no encoder run of its own: the decoder sees only the window's states of that span, which names the language
about as often as a window of the span alone (docs/log/decoding.md#speech-left-out-and-languages-that-change).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.models.base import Window
from asr.models.whisper.features import FRAME_S
from asr.models.whisper.network import WhisperMemory, WhisperNetwork

PAUSE_S = 0.15
"""The language changes only at a pause of at least this length."""
CHANGE_PENALTY = 2.0
"""A change needs this much more log-probability than no change (natural logarithm). With less, recordings of one
language are split; with more, changes are missed."""
_SILENT_SPAN_S = 0.5
_FULL_SPAN_S = 1.5
"""The evidence of a span grows from none at the first length to its own at the second: of short ones Whisper often
says English."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The language at a window's start, and where another begins, in seconds from its start; None: nowhere."""

    language: str
    end_s: float | None = None


class LanguageDetector:
    """The language tokens of one multilingual model. `start`: the token before them; `languages`: their ids by code."""

    def __init__(self, network: WhisperNetwork, start: int, languages: dict[str, int]) -> None:
        self._network, self._start = network, start
        self._codes = list(languages)
        self._ids = torch.tensor(list(languages.values()), dtype=torch.int64)

    def languages(self, memories: Sequence[WhisperMemory], usual: Sequence[str | None]) -> list[str]:
        """The language of each window: the most probable one, or the `usual` one of its talk unless that is far less
        probable (`CHANGE_PENALTY`)."""
        scores = self._scores(memories).cpu()
        for row, code in zip(scores, usual, strict=True):
            if code in self._codes:
                row[self._codes.index(code)] += CHANGE_PENALTY
        return [self._codes[int(row.argmax())] for row in scores]

    def first_run(self, memory: WhisperMemory, window: Window, language: str) -> FirstRun:
        """How far the language reaches. `language`: of the window's prefix, else of the window as a whole.

        The words of the prefix are not looked at again.
        """
        spans = spans_between(window.pauses, window.prefix_end_s, len(window.samples) / SAMPLE_RATE_HZ)
        if not spans or (len(spans) == 1 and not window.prefix):
            return FirstRun(language)
        parts = [self._network.part(memory, int(a / FRAME_S), round(b / FRAME_S)) for a, b in spans]
        logprobs = self._scores(parts).log_softmax(-1).cpu().numpy()
        weights = np.array([(b - a - _SILENT_SPAN_S) / (_FULL_SPAN_S - _SILENT_SPAN_S) for a, b in spans])
        known = [self._codes.index(language)] if window.prefix else []
        usual = [self._codes.index(code) for code in (window.usual_language,) if code in self._codes]
        path = [*known, *likeliest_path(logprobs * weights.clip(0, 1)[:, None], CHANGE_PENALTY, *(known or usual))]
        change = next((i for i in range(1, len(path)) if path[i] != path[i - 1]), None)
        if change is None:
            return FirstRun(language)
        begin_s = spans[change - len(known)][0]
        pause = next((pause for pause in reversed(window.pauses) if pause[1] <= begin_s), None)
        return FirstRun(self._codes[path[0]], sum(pause) / 2) if pause else FirstRun(language)

    def _scores(self, memories: Sequence[WhisperMemory]) -> torch.Tensor:
        """Scores ``(B, languages)`` of the language tokens."""
        tokens = torch.full((len(memories), 1), self._start)
        hidden, _ = self._network.decode(self._network.batch(memories), tokens, torch.zeros_like(tokens))
        return self._network.scores(hidden[:, 0], self._ids)


def spans_between(pauses: Sequence[Span], start_s: float, end_s: float) -> list[Span]:
    """The spans of speech that begin at `start_s` or later, and, unless that is 0, behind a pause."""
    long = [pause for pause in pauses if pause[1] - pause[0] >= PAUSE_S]
    begins = [0.0, *(b for _, b in long)]
    ends = [*(a for a, _ in long), end_s]
    at_s = start_s - PAUSE_S if start_s else 0.0
    return [(a, b) for a, b in zip(begins, ends, strict=True) if b - a > FRAME_S and a >= at_s]


def likeliest_path(logprobs: np.ndarray, penalty: float, before: int | None = None) -> list[int]:
    """Log-probabilities ``(spans, languages)`` -> the language of each span, by the Viterbi algorithm.

    Each change costs `penalty`, the one from the language `before` too.
    """
    score = logprobs[0].astype(np.float64)
    if before is not None:
        score -= penalty
        score[before] += penalty
    back = []
    for row in logprobs[1:]:
        best = int(score.argmax())
        changes = score[best] - penalty > score
        back.append(np.where(changes, best, np.arange(len(score))))
        score = np.where(changes, score[best] - penalty, score) + row
    path = [int(score.argmax())]
    for origins in reversed(back):
        path.append(int(origins[path[-1]]))
    return path[::-1]
