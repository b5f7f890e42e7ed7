"""What is known of the speech being heard, and what is asked of its words. Pure; times are the stream's, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr.events import Word
from asr.models.base import Piece

_KNOWN_S = 2.0
"""Committed speech whose words' times are looked for again: they lead the alignment to those that follow."""


@dataclass(slots=True)
class Utterance:
    """One utterance: its window, its committed words that the window still holds, and the changing rest."""

    window_start: int
    language: str | None = None
    prefix: tuple[Piece, ...] = ()
    """Committed words whose audio is still in the window."""
    tail: tuple[Piece, ...] = ()
    tail_until: int = -1
    """The sample up to which the tail was decoded."""
    doubts: int = 0
    """So many hypotheses in a row ended so early that the one before them was kept."""
    shown: str = ""
    moved: bool = False
    """The window has just been shortened: in what is left of it another language may be spoken."""
    memory: object | None = None
    """The model's, of the window as it was decoded last; void when the window begins elsewhere."""


def words_of(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    return tuple(Word(p.text, round(p.start_s, 3), round(p.end_s, 3), round(p.confidence, 4)) for p in pieces)


def placed(pieces: Sequence[Piece], window_start_s: float, floor_s: float) -> tuple[Piece, ...]:
    """The pieces in stream time; none begins before what is committed, whose times can no longer move."""
    placed = []
    for piece in pieces:
        start_s = max(window_start_s + piece.start_s, floor_s)
        placed.append(replace(piece, start_s=start_s, end_s=max(window_start_s + piece.end_s, start_s)))
    return tuple(placed)


def cut_place(prefix: Sequence[Piece], overlap_s: float) -> int:
    """The index of the committed word at which a shortened window should begin; 0 for none.

    At the end of a sentence where there is one, else at the longest gap, always `overlap_s` before the last word's end.
    """
    latest_s = prefix[-1].end_s - overlap_s if prefix else 0.0
    places = [i for i in range(1, len(prefix)) if prefix[i].start_s <= latest_s]
    if not places:
        return 0
    sentence_ends = [i for i in places if prefix[i - 1].text.rstrip().endswith((".", "?", "!", "。", "？", "！"))]
    if sentence_ends:
        return sentence_ends[-1]
    return max(places[len(places) // 2 :], key=lambda i: prefix[i].start_s - prefix[i - 1].end_s)


def known_words(prefix: Sequence[Piece]) -> Sequence[Piece]:
    """The committed words whose times need not be looked for again."""
    count = len(prefix)
    while count and prefix[count - 1].end_s > prefix[-1].end_s - _KNOWN_S:
        count -= 1
    return prefix[:count]
