"""Words -> subtitle cues: at most two lines of 42 columns, at most 7 s, shown long enough to be read.

`server/static/formats.js` has the same rules for the page's downloads; a test compares the two.
"""

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asr.events import Word
from asr.word_boundaries import UNSPACED, belongs_to_left, is_word_boundary

LINE_CHARS = 42
"""Characters in a line. Full-width ones, such as those of Japanese, count as two."""
MAX_LINES = 2
MAX_CUE_S = 7.0
MIN_CUE_S = 5 / 6
READING_CHARS_PER_S = 20
"""From a broadcaster's guideline (Netflix Timed Text Style Guide, English)."""

_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f]")
"""Words of foreign origin: a run of it is one word. The middle dot separates two."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines of text without control characters, shown from `start_ms` to `end_ms`. Cues do not overlap."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def cues_of(segments: Iterable[Sequence[Word]], duration_s: float = 0.0) -> list[Cue]:
    """The words of each segment -> cues in order. A cue never contains words of two segments.

    None ends after the recording, whose length is `duration_s`; 0: unknown.
    """
    cues: list[Cue] = []
    for words in segments:
        for group in _groups([piece for word in _whole_words(words) for piece in _pieces(word)]):
            cues.append(_cue(group, cues[-1].end_ms if cues else 0))
    readable = [_readable(cue, after) for cue, after in zip(cues, (*cues[1:], None), strict=False)]
    return [_inside(cue, math.floor(duration_s * 1000)) for cue in readable] if duration_s > 0 else readable


def _inside(cue: Cue, duration_ms: int) -> Cue:
    """The cue, ended with the recording. One that would begin there keeps its millisecond."""
    return replace(cue, end_ms=max(cue.start_ms + 1, min(cue.end_ms, duration_ms)))


def width(text: str) -> int:
    """The columns of a text: a full-width character (Unicode's East Asian Width W and F) has two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _whole_words(words: Iterable[Word]) -> Iterator[Word]:
    """Joins what no line may break: recognisers split ``285,950`` and ``low-fat`` into several words."""
    whole: Word | None = None
    for word in words:
        if not one_line(word.text):
            continue
        if whole is None or _may_break(whole.text, word.text):
            if whole is not None:
                yield whole
            whole = word
        else:
            whole = replace(whole, text=whole.text + word.text, end_s=max(whole.end_s, word.end_s))
    if whole is not None:
        yield whole


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end between two texts: between words, but not beside a number nor in a word of foreign origin.

    In Japanese that is ``3月`` and a run of katakana.
    """
    last, first = before[-1], after[0]
    if _KATAKANA.match(last) and _KATAKANA.match(first):
        return False
    mixed = bool(UNSPACED.match(last)) != bool(UNSPACED.match(first))
    return is_word_boundary(before, after) and not (mixed and (last.isdigit() or first.isdigit()))


def _readable(cue: Cue, after: Cue | None) -> Cue:
    """Extends the cue until it can be read, but not into `after`, the next cue."""
    wanted_s = max(MIN_CUE_S, sum(map(width, cue.lines)) / READING_CHARS_PER_S)
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
        if lines and width(lines[-1]) + width(piece.text) <= LINE_CHARS:
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
    widths = itertools.accumulate(map(width, text))
    most = sum(columns <= LINE_CHARS for columns in widths)
    cut = most
    while 1 < cut < len(text) and belongs_to_left(text[cut - 1], text[cut]):
        cut -= 1
    return cut if cut > 1 else most


def _timed(texts: Sequence[str], whole: Word) -> Iterator[Word]:
    """The parts of a word, each with its share of the word's time by characters."""
    total = sum(map(len, texts)) or 1
    per_char_s = (whole.end_s - whole.start_s) / total
    done = 0
    for text in texts:
        start_s = whole.start_s + done * per_char_s
        done += len(text)
        yield Word(text, start_s, whole.start_s + done * per_char_s, whole.confidence)
