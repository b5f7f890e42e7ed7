"""Words -> subtitle cues that can be read: two lines of 42 characters at most, 7 s at most, time enough to read."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asr.events import Word

LINE_CHARS = 42
MAX_LINES = 2
MAX_CUE_S = 7.0
MIN_CUE_S = 5 / 6
READING_CHARS_PER_S = 20
"""Lines, characters and seconds as broadcasters' guidelines have them (Netflix Timed Text Style Guide, English)."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines without control characters, shown from ``start_ms`` to ``end_ms``; cues of a transcript do not overlap."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def cues_of(segments: Iterable[Sequence[Word]]) -> list[Cue]:
    """Each segment's words -> its cues, in order; a cue never reaches over a segment's end."""
    cues: list[Cue] = []
    for words in segments:
        for group in _groups([piece for word in words for piece in _pieces(word)]):
            cues.append(_cue(group, cues[-1].end_ms if cues else 0))
    return [_readable(cue, after) for cue, after in zip(cues, (*cues[1:], None), strict=False)]


def _readable(cue: Cue, after: Cue | None) -> Cue:
    """The cue shown on until it can have been read, where the next one leaves the time."""
    wanted_s = max(MIN_CUE_S, sum(map(len, cue.lines)) / READING_CHARS_PER_S)
    until_ms = cue.start_ms + round(min(wanted_s, MAX_CUE_S) * 1000)
    latest_ms = until_ms if after is None else min(until_ms, after.start_ms)
    return replace(cue, end_ms=max(cue.end_ms, latest_ms))


def spread_words(text: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    """Words for a text that has none, their times in proportion to their letters."""
    parts = one_line(text).split(" ")
    texts = [part if index == 0 else f" {part}" for index, part in enumerate(parts)]
    return tuple(_timed(texts, Word(text, start_s, end_s, 0.0)))


def one_line(text: str) -> str:
    """The text on one line, without control characters, and encodable as UTF-8."""
    shown = "".join(char for char in " ".join(text.split()) if unicodedata.category(char) != "Cc")
    return encodable(shown)


def encodable(text: str) -> str:
    """The text with lone surrogates, which no file can hold, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _groups(pieces: Sequence[Word]) -> Iterator[list[Word]]:
    """As many pieces together as fit one cue."""
    group: list[Word] = []
    for piece in pieces:
        if group and not _fits([*group, piece]):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _fits(group: Sequence[Word]) -> bool:
    return group[-1].end_s - group[0].start_s <= MAX_CUE_S and len(_wrapped(group)) <= MAX_LINES


def _wrapped(group: Sequence[Word]) -> tuple[str, ...]:
    """Lines, broken only between pieces."""
    lines: list[str] = []
    for piece in group:
        if lines and len(lines[-1]) + len(piece.text) <= LINE_CHARS:
            lines[-1] += piece.text
        else:
            lines.append(piece.text.lstrip())
    return tuple(lines)


def _cue(group: Sequence[Word], not_before_ms: int) -> Cue:
    start_ms = max(not_before_ms, round(group[0].start_s * 1000))
    end_ms = min(round(group[-1].end_s * 1000), start_ms + round(MAX_CUE_S * 1000))
    return Cue(start_ms, max(end_ms, start_ms + 1), _wrapped(group))


def _pieces(word: Word) -> Iterator[Word]:
    """A word on one line, its leading space kept; one longer than a line (a text without spaces) in parts."""
    text = one_line(word.text)
    if not text:
        return
    parts = []
    while text:
        cut = _cut(text)
        parts.append(text[:cut])
        text = text[cut:]
    space = " " if word.text[0].isspace() else ""
    yield from _timed([space + parts[0], *parts[1:]], word)


def _cut(text: str) -> int:
    """Where a line of this text ends: not before a mark that belongs to the letter on its left."""
    if len(text) <= LINE_CHARS:
        return len(text)
    cut = LINE_CHARS
    while cut > 1 and (unicodedata.category(text[cut])[0] == "M" or "\u200d" in text[cut - 1 : cut + 1]):
        cut -= 1
    return cut if cut > 1 else LINE_CHARS


def _timed(texts: Sequence[str], whole: Word) -> Iterator[Word]:
    """The parts of a word, with their share of its time."""
    total = sum(map(len, texts)) or 1
    per_char_s = (whole.end_s - whole.start_s) / total
    done = 0
    for text in texts:
        start_s = whole.start_s + done * per_char_s
        done += len(text)
        yield Word(text, start_s, whole.start_s + done * per_char_s, whole.confidence)
