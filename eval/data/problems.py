"""Counts the parts of the data that were left out, by kind, so that a verdict can say what it does not cover."""

from collections import Counter
from collections.abc import Iterable, Mapping

from eval.data.types import Problem

KINDS: Mapping[str, str] = {
    "absolute path": "absolute path that is not here",
    "no audio file": "no audio file",
    "found no file at": "no audio file",
    "no text at": "no text file",
    "no UTF-8": "no UTF-8",
    "NUL characters": "NUL characters",
    "half a character": "half a character",
    "no JSON": "no JSON",
    "wanted an object": "no JSON object",
    "no line of a table": "broken table",
    "columns": "wrong number of columns",
    " empty;": "empty file",
    "it is no recording": "no recording",
    "no sound": "no sound in the file",
    "without any samples": "no sound in the file",
    "in another script": "text in another script",
    "found language": "unknown language",
    "wanted a text": "field that is no text",
    "duration": "invalid duration",
}
"""A phrase of our own error messages -> the kind of the problem. The first phrase that occurs counts."""


def kind_of(problem: Problem | str) -> str:
    """The kind of a problem, or of its text as a run's folder stores it."""
    return next((kind for phrase, kind in KINDS.items() if phrase in str(problem)), "other")


def tally(problems: Iterable[Problem | str]) -> str:
    """The count of each kind, the most frequent first: "2 no audio file, 1 no JSON"."""
    counts = Counter(map(kind_of, problems))
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
