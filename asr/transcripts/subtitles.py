"""Words -> subtitle cues: at most two lines of 42 characters, at most 7 s, shown long enough to be read.

`server/static/formats.js` has the same limits for the page's downloads; a test compares the two.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asr.events import Word

LINE_CHARS = 42
MAX_LINES = 2
MAX_CUE_S = 7.0
MIN_CUE_S = 5 / 6
READING_CHARS_PER_S = 20
"""From a broadcaster's guideline (Netflix Timed Text Style Guide, English)."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines of text without control characters, shown from `start_ms` to `end_ms`. Cues do not overlap."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def cues_of(segments: Iterable[Sequence[Word]]) -> list[Cue]:
    """The words of each segment -> cues in order. A cue never contains words of two segments."""
    cues: list[Cue] = []
    for words in segments:
        for group in _groups([piece for word in words for piece in _pieces(word)]):
            cues.append(_cue(group, cues[-1].end_ms if cues else 0))
    return [_readable(cue, after) for cue, after in zip(cues, (*cues[1:], None), strict=False)]


def _readable(cue: Cue, after: Cue | None) -> Cue:
    """Extends the cue until it can be read, but not into `after`, the next cue."""
    wanted_s = max(MIN_CUE_S, sum(map(len, cue.lines)) / READING_CHARS_PER_S)
    until_ms = cue.start_ms + round(min(wanted_s, MAX_CUE_S) * 1000)
    latest_ms = until_ms if after is None else min(until_ms, after.start_ms)
    return replace(cue, end_ms=max(cue.end_ms, latest_ms))


def spread_words(text: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    """Words for a text without word times: the time is divided in proportion to the letters."""
    parts = one_line(text).split(" ")
    texts = [part if index == 0 else f" {part}" for index, part in enumerate(parts)]
    return tuple(_timed(texts, Word(text, start_s, end_s, 0.0)))


def one_line(text: str) -> str:
    """The text on one line, without control characters and lone surrogates."""
    shown = "".join(char for char in " ".join(text.split()) if unicodedata.category(char) != "Cc")
    return encodable(shown)


def encodable(text: str) -> str:
    """The text with lone surrogates replaced: UTF-8 cannot encode them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _groups(pieces: Sequence[Word]) -> Iterator[list[Word]]:
    """Greedy groups of pieces: each as large as fits one cue."""
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
    """The pieces on lines. Lines break only between pieces."""
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
    """The word on one line with its leading space; in parts if longer than a line, as in scripts without spaces."""
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
    """The length of the text's first line. Does not separate a combining mark or a joiner from its letter."""
    if len(text) <= LINE_CHARS:
        return len(text)
    cut = LINE_CHARS
    while cut > 1 and (unicodedata.category(text[cut])[0] == "M" or "\u200d" in text[cut - 1 : cut + 1]):
        cut -= 1
    return cut if cut > 1 else LINE_CHARS


def _timed(texts: Sequence[str], whole: Word) -> Iterator[Word]:
    """The parts of a word, each with its share of the word's time by characters."""
    total = sum(map(len, texts)) or 1
    per_char_s = (whole.end_s - whole.start_s) / total
    done = 0
    for text in texts:
        start_s = whole.start_s + done * per_char_s
        done += len(text)
        yield Word(text, start_s, whole.start_s + done * per_char_s, whole.confidence)
