"""Utterances made of nothing but labels, for the tests of what an audit finds in them."""

from pathlib import Path

from eval.audit.findings import Finding
from eval.data.types import Clip, Utterance


def labelled(*texts: str, language: str = "en", dataset: str = "d", speaker: str = "") -> list[Utterance]:
    """One utterance a text, called u0, u1 ..."""
    return [
        Utterance(f"u{i}", dataset, (Clip(Path(f"{dataset}/u{i}.wav"), text, 1.0),), language, speaker)
        for i, text in enumerate(texts)
    ]


def forms(found: list[Finding]) -> list[list[tuple[str, int]]]:
    """The forms of all groups of the one finding, with their counts; of no finding, none."""
    if not found:
        return []
    (finding,) = found
    return [[(form.text, form.count) for form in group.forms] for group in finding.groups]


def notes(found: list[Finding]) -> list[tuple[str, str]]:
    """Utterances and notes of the examples of the one finding."""
    if not found:
        return []
    (finding,) = found
    assert finding.count == len(finding.examples)
    return [(example.utterance, example.note) for example in finding.examples]
