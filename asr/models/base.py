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
    """What the model sees of one utterance; ``speech_s`` seconds of it are speech and
    ``pauses`` its silences (beginnings and ends in seconds from its first sample), as far as that is known.

    ``memory`` is what the model gave back for the window before, if any: a shorter one that began at the same sample,
    or one that began earlier, by the samples that it ``released``. A model may use it to compute only what is new.
    ``prefix`` are committed words whose audio the window still holds: the hypothesis continues them and never changes
    them. ``draft`` is the previous hypothesis after the prefix; checking it costs one forward pass, decoding it anew
    costs one a token, and the text is the same. ``context`` is committed text from before the window. The first
    ``known_tokens`` of the prefix were said before ``known_until_s``: nobody asks when. ``hotwords`` are words to
    expect, preferred where they are likely.
    """

    samples: np.ndarray
    language: str | None = None
    context: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()
    draft: tuple[int, ...] = ()
    hotwords: tuple[str, ...] = ()
    speech_s: float = 0.0
    pauses: tuple[tuple[float, float], ...] = ()
    known_tokens: int = 0
    known_until_s: float = 0.0
    memory: object | None = None
    settings: DecodeSettings = field(default_factory=DecodeSettings)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What may have been said in a window after its prefix.

    ``looped`` tells that the repetition guard cut the text; ``memory`` is for the next, longer window.

    ``settled``: so many leading pieces no future audio can change; the session commits just these, and the model,
    which remembers them, gives them no more. None: the model cannot know, and the session decides by comparing
    hypotheses. ``released``: the model needs so many samples at the window's start no more; the next window begins
    behind them, ``memory`` belongs to that window, and its pieces may begin before it, at negative times.
    """

    pieces: tuple[Piece, ...]
    language: str
    looped: bool = False
    memory: object | None = None
    settled: int | None = None
    released: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A given word and when it is said, in seconds; ``score`` from 0 to 1; ``characters`` with their times if known."""

    text: str
    start_s: float
    end_s: float
    score: float
    characters: tuple[tuple[str, float, float], ...] = ()


class Recogniser(Protocol):
    """A model with its search.

    ``languages`` is empty where the model does not say what it knows. ``update_ms`` is how much new audio it wants
    between two hypotheses, where the settings leave that to the model.

    ``aligner`` names how `place` finds times. It takes audio of at most ``longest_placed_s``, and ``places_silence``
    tells whether the words' spans leave out the silence between them.
    """

    name: str
    architecture: str
    weights_sha256: str
    precision: str
    languages: tuple[str, ...]
    update_ms: int
    aligner: str
    longest_placed_s: float
    places_silence: bool

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis a window; the text of a window does not depend on the others in the batch."""
        ...

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt."""
        ...

    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        """When each word of a text is said in samples ``(n,)``. Raises `CallerError` for a text that does not fit."""
        ...
