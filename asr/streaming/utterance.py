"""The state of the utterance that is being spoken. Positions are samples of the stream; times are its seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.events import Word
from asr.models.base import ModelMemory, Piece


@dataclass(slots=True)
class Utterance:
    """Where the window begins, the committed words in it, and the words that may still change.

    `asr.streaming.commit` reads it and decides; only `asr.streaming.session` changes it.
    """

    window_start: int
    language: str | None = None
    prefix: tuple[Piece, ...] = ()
    """Committed words whose audio is still in the window."""
    tail: tuple[Piece, ...] = ()
    """The words after the prefix in the last accepted hypothesis. They may change."""
    decoded_until: int = -1
    """The end of the window that gave the tail; -1 before the first."""
    draft: tuple[Piece, ...] = ()
    """The words after the prefix in the newest hypothesis, early ones included. Decoding starts from them."""
    early_until: int = -1
    """The end of the last window that was decoded early; -1 before the first."""
    flushed_at: int = -1
    """Up to this sample all words were committed in a pause; -1 if none were, or words followed."""
    doubts: int = 0
    """Hypotheses in a row that were doubted because they ended early (see `asr.streaming.commit`)."""
    shown: str = ""
    """The text of the last partial."""
    shortened: bool = False
    """The window has lost its oldest words since it was last decoded. The rest may be in another language."""
    rest_until: int = 0
    """The utterance begins with the rest of a window that ended here, and its first window ends here too."""
    gap_until: int = 0
    """It begins in a gap that ends here (see `asr.streaming.unread`)."""
    alone_until: int = 0
    """Its window ends here, so that the gap is decoded without the words behind it; 0: it does not."""
    memory: ModelMemory | None = None
    """The model's memory of the last decoded window. None after the window's start moved."""


def words_of(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Pieces in stream time as the words of an event: times in whole milliseconds, confidences to four digits."""
    return tuple(Word(p.text, round(p.start_s, 3), round(p.end_s, 3), round(p.confidence, 4)) for p in pieces)
