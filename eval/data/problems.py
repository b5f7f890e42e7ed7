"""What was left out of data, counted by kind: no verdict without saying what it is not about."""

from collections import Counter
from collections.abc import Iterable, Mapping

from eval.data.types import Problem

KINDS: Mapping[str, str] = {
    "absolute path": "absolute path that is not here",
    "no audio file": "no audio file",
    "found no file at": "no audio file",
    "no text at": "no text beside",
    "no JSON": "no JSON",
    "wanted an object": "no JSON object",
    "no line of a table": "broken table",
    "columns": "wrong number of columns",
    " empty;": "empty file",
    "no sound": "no sound in the file",
    "to be no recording": "no recording",
    "in another script": "text in another script",
    "wanted a text": "field that is no text",
    "duration": "duration that is none",
}
"""Words of the reasons, all of which are ours, and the kind that they tell; the first that fits counts."""


def kind_of(problem: Problem | str) -> str:
    """The kind of a problem, or of one as a run's folder keeps it: its text."""
    return next((kind for words, kind in KINDS.items() if words in str(problem)), "other")


def tally(problems: Iterable[Problem | str]) -> str:
    """The kinds and how many of each, the commonest first: "2 no audio file, 1 no JSON"."""
    kinds = Counter(map(kind_of, problems))
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
