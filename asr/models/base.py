"""The contract that every model keeps with the engine: windows of audio in, hypotheses out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from asr.config import DecodeSettings


@dataclass(frozen=True, slots=True)
class Piece:
    """One word of a hypothesis with the tokens that wrote it; times in seconds from the window's first sample."""

    text: str
    tokens: tuple[int, ...]
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Window:
    """What the model sees of one utterance.

    ``memory`` is what the model gave back for a shorter window that began at the same sample, if any: a model may
    use it to compute only what is new. ``prefix`` are committed words whose audio the window still holds: the
    hypothesis continues them and never changes them. ``draft`` is the previous hypothesis after the prefix;
    checking it costs one forward pass, decoding it anew costs one a token, and the text is the same. ``context`` is
    committed text from before the window.
    """

    samples: np.ndarray
    language: str | None = None
    context: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()
    draft: tuple[int, ...] = ()
    memory: object | None = None
    settings: DecodeSettings = field(default_factory=DecodeSettings)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What may have been said in a window after its prefix.

    ``looped`` tells that the repetition guard cut the text; ``memory`` is for the next, longer window.
    """

    pieces: tuple[Piece, ...]
    language: str
    looped: bool = False
    memory: object | None = None


class Recogniser(Protocol):
    """A model with its search."""

    name: str
    architecture: str
    weights_sha256: str
    precision: str
    languages: tuple[str, ...]

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis a window; the text of a window does not depend on the others in the batch."""
        ...

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt."""
        ...
