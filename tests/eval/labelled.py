"""Utterances that have labels but no audio, for the tests of what an audit finds in labels."""

from pathlib import Path

from eval.audit.findings import Finding
from eval.data.types import Clip, Utterance


def labelled(*texts: str, language: str = "en", dataset: str = "d", speaker: str = "") -> list[Utterance]:
    """One utterance per text, called u0, u1 and so on."""
    return [
        Utterance(f"u{i}", dataset, (Clip(Path(f"{dataset}/u{i}.wav"), text, 1.0),), language, speaker)
        for i, text in enumerate(texts)
    ]


def forms(findings: list[Finding]) -> list[list[tuple[str, int]]]:
    """The forms and counts of each group of the only finding; empty without a finding."""
    if not findings:
        return []
    (finding,) = findings
    return [[(form.text, form.count) for form in group.forms] for group in finding.groups]


def notes(findings: list[Finding]) -> list[tuple[str, str]]:
    """Utterance and note of each example of the only finding; empty without a finding."""
    if not findings:
        return []
    (finding,) = findings
    assert finding.count == len(finding.examples)
    return [(example.utterance, example.note) for example in finding.examples]
