"""Speech that a hypothesis leaves out: voice activity reports it, and no word is long enough to cover it.

Whisper sometimes jumps over a sentence: after a pause, at a change of language, behind a complete sentence. Its word
times hide that, since the alignment stretches a neighbouring word over what was left out. So a word covers no more
speech than a slow speaker needs for its letters (`_longest_s`). What is left out is decoded again in a window that
begins there; `asr.streaming.commit` decides when in a stream, `asr.transcripts.recording` does it in a recording.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from asr.models.base import Piece

SURE = 0.37
"""Words that are read in a gap need this confidence on average: what the model passed over is often no speech. It is
exp(-1), the threshold that OpenAI published with the models."""
_LETTER_S = 0.1
"""Slow speech. One or two recordings in a hundred have a word that is spoken more slowly."""
_SYLLABLE_S = 0.35
"""The same for a character of Chinese, Japanese or Korean."""
_DIGIT_S = 0.5
"""A digit is mostly read as a word: 791 is six."""
_ONSET_S = 0.3
_SHORTEST_WORD_S = 0.16
_AFTER_PAUSE_S = 0.1
"""A word that begins so soon after a pause may be spoken anywhere in a span that is too long for it."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gap:
    """The speech after the first ``words`` words is not read. It ends at ``until_s``, where the next word begins.

    A window that begins at ``at_s`` reads it. If that is where the window began, the new one ends at ``until_s``.
    """

    words: int
    at_s: float
    until_s: float


def first_gap(
    pieces: Sequence[Piece],
    span: Span,
    pauses: Sequence[Span],
    least_s: float,
    *,
    after_s: float = 0.0,
    committed: int = 0,
) -> Gap | None:
    """The first gap with more than `least_s` of speech in the window `span`, at `after_s` or later; None if none.

    The first `committed` pieces cannot be read again. A piece without text covers its span: a placeholder.
    """
    start_s, end_s = span
    if pieces and not committed and start_s >= after_s and _speech_s(start_s, pieces[0].start_s, pauses) > least_s:
        return Gap(0, start_s, _before(start_s, pieces[0].start_s, pauses, least_s))
    for i, piece in enumerate(pieces):
        until_s = pieces[i + 1].start_s if i + 1 < len(pieces) else end_s
        speech_s = _speech_s(piece.start_s, until_s, pauses)
        if piece.text and piece.start_s >= after_s and speech_s - _longest_s(piece.text) > least_s:
            if i == 0 and not committed:
                edge_s = _before(piece.start_s, until_s, pauses, least_s)
                return Gap(0, start_s, edge_s) if edge_s < end_s else None
            return _gap(piece, i, until_s, pauses, may_drop=i >= committed)
    return None


def _gap(piece: Piece, i: int, until_s: float, pauses: Sequence[Span], may_drop: bool) -> Gap:
    """A window begins before the stretched word ``i`` if that may be spoken anywhere in its span, else after it."""
    before = [pause for pause in pauses if 0 <= piece.start_s - pause[1] <= _AFTER_PAUSE_S]
    if before and may_drop:
        return Gap(i, sum(before[-1]) / 2, until_s)
    latest_s = piece.start_s + _longest_s(piece.text)
    behind = [pause for pause in pauses if piece.start_s + _SHORTEST_WORD_S < pause[0] <= latest_s]
    if behind:
        longest = max(behind, key=lambda pause: pause[1] - pause[0])
        return Gap(i + 1, sum(longest) / 2, until_s)
    return Gap(i, piece.start_s, until_s) if may_drop else Gap(i + 1, latest_s, until_s)


def _before(start_s: float, until_s: float, pauses: Sequence[Span], least_s: float) -> float:
    """The last pause with speech before it, between two times; without one the later time."""
    inside = [pause for pause in pauses if start_s + least_s <= pause[0] and pause[1] <= until_s]
    return sum(inside[-1]) / 2 if inside else until_s


def without_doubtful(pieces: Sequence[Piece], until_s: float) -> tuple[Piece, ...]:
    """The pieces of a window that begins in a gap; those that begin before `until_s` only if they are sure."""
    inside = [piece for piece in pieces if piece.start_s < until_s]
    if inside and sum(piece.confidence for piece in inside) < SURE * len(inside):
        return tuple(pieces[len(inside) :])
    return tuple(pieces)


def _speech_s(start_s: float, end_s: float, pauses: Sequence[Span]) -> float:
    return end_s - start_s - sum(max(0.0, min(b, end_s) - max(a, start_s)) for a, b in pauses)


def _longest_s(text: str) -> float:
    """Seconds in which a slow speaker says a word."""
    return _ONSET_S + sum(_letter_s(letter) for letter in text if letter.isalnum())


def _letter_s(letter: str) -> float:
    if letter.isdigit():
        return _DIGIT_S
    return _SYLLABLE_S if letter >= "\u3040" and unicodedata.east_asian_width(letter) == "W" else _LETTER_S
