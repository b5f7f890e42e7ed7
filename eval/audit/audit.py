"""Runs all checks over sets of labelled recordings, and sums up the result in sentences and in a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.audit.acoustics import Vad
from eval.audit.characters import character_findings
from eval.audit.disputed_labels import Dispute, disputes
from eval.audit.findings import Finding
from eval.audit.label_forms import label_findings, without_text
from eval.audit.languages import other_languages
from eval.audit.leaks import Leak, leaks, split_of
from eval.audit.numbers_acronyms import number_acronym_findings
from eval.audit.recordings import MeasuredRecording, measure_recordings, recording_findings
from eval.audit.statistics import SetSlices, SetStatistics, by_set, set_statistics, slices
from eval.audit.swaps import swapped_by_transcripts, swapped_neighbours
from eval.data.problems import kind_of, tally
from eval.data.types import Dataset, Problem, Utterance
from eval.trace import Trace


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything an audit finds. ``listed`` counts all utterances, ``recordings`` are those that could be decoded.

    ``models``: how many models transcribed the recordings.
    """

    listed: int
    recordings: tuple[MeasuredRecording, ...]
    problems: tuple[Problem, ...]
    sets: tuple[SetStatistics, ...]
    slices: tuple[SetSlices, ...]
    findings: tuple[Finding, ...]
    leaks: tuple[Leak, ...]
    disputes: tuple[Dispute, ...]
    models: int = 0


def audit(
    datasets: Sequence[Dataset],
    traces: Iterable[Trace],
    vad: Vad,
    on_measured: Callable[[Utterance], None] = lambda _: None,
) -> Audit:
    """Decodes each recording once; calls `on_measured` with each utterance when it is measured."""
    traces = tuple(traces)
    utterances = [utterance for dataset in datasets for utterance in dataset.utterances]
    results: list[MeasuredRecording | Problem] = []
    for utterance, result in zip(utterances, measure_recordings(utterances, vad), strict=True):
        results.append(result)
        on_measured(utterance)
    recordings = tuple(result for result in results if isinstance(result, MeasuredRecording))
    unlisted = tuple(problem for dataset in datasets for problem in dataset.problems)
    hashes = {(r.utterance.dataset, r.utterance.id): r.acoustics.sound_sha256 for r in recordings}
    return Audit(
        listed=len(utterances) + len(unlisted),
        recordings=recordings,
        problems=unlisted + tuple(result for result in results if isinstance(result, Problem)),
        sets=tuple(set_statistics(name, members) for name, members in by_set(recordings).items()),
        slices=slices(recordings),
        findings=findings(utterances, recordings, traces),
        models=len({trace.model for trace in traces}),
        leaks=leaks(utterances, hashes),
        disputes=disputes(traces),
    )


def findings(
    utterances: Sequence[Utterance], recordings: Sequence[MeasuredRecording], traces: Sequence[Trace] = ()
) -> tuple[Finding, ...]:
    """All findings, the grave ones first."""
    everything = [
        *(swapped_by_transcripts(traces) or swapped_neighbours(recordings)),
        *other_languages(utterances),
        *recording_findings(recordings),
        *character_findings(utterances),
        *without_text(utterances),
        *number_acronym_findings(utterances),
        *label_findings(utterances),
    ]
    return tuple(sorted(everything, key=lambda finding: not finding.grave))


def verdict(audit: Audit) -> list[str]:
    """What the data is and what is wrong with it, in sentences, the worst first."""
    minutes = sum(part.audio_s for part in audit.sets) / 60
    recordings, sets = _plural(len(audit.recordings), "recording"), _plural(len(audit.sets), "set")
    sentences = [f"{recordings} in {sets}, {minutes:.1f} minutes of audio."]
    if audit.problems:
        sentences.append(f"{len(audit.problems)} of {audit.listed} could not be used: {tally(audit.problems)}.")
    else:
        sentences.append("All listed recordings could be used.")
    grave = [finding.sentence for finding in audit.findings if finding.grave]
    sentences += grave
    sentences += [leak_sentence(leak) for leak in audit.leaks]
    if audit.disputes:
        sentences.append(f"Labels that the models dispute: {len(audit.disputes)}.")
    if audit.models == 1:
        sentences.append("Disputes of labels need the transcripts of two models; --traces has those of one.")
    if not (grave or audit.leaks or audit.disputes):
        sentences.append("No finding makes scores wrong.")
    minor = [finding.kind for finding in audit.findings if not finding.grave]
    return [*sentences, f"To look at: {', '.join(minor)}."] if minor else sentences


def leak_sentence(leak: Leak) -> str:
    """What two sets share and how many recordings of each it concerns."""
    is_within = leak.kind == "text within a longer one"
    shared = _plural(leak.shared, "text" if is_within else leak.kind)
    inside = " as part of a longer text" if is_within else ""
    return f"{leak.sets[0]} and {leak.sets[1]} share {shared}{inside} ({leak.left} and {leak.right} recordings)."


def table_of(audit: Audit) -> dict[str, Any]:
    """The audit as JSON values: the content of `audit.json`."""
    return {
        "verdict": verdict(audit),
        "sets": [asdict(part) for part in audit.sets],
        "slices": [asdict(part) for part in audit.slices],
        "findings": [asdict(finding) for finding in audit.findings],
        "leaks": [_leak_table(leak) for leak in audit.leaks],
        "disputes": [asdict(dispute) | {"score": dispute.score} for dispute in audit.disputes],
        "left_out": [
            {"where": str(p.file), "line": p.line, "kind": kind_of(p), "what": p.what} for p in audit.problems
        ],
        "recordings": [_recording_table(recording) for recording in audit.recordings],
    }


def _leak_table(leak: Leak) -> dict[str, Any]:
    pairs = [[{"id": u.id, "text": u.text[:400], "speaker": u.speaker} for u in pair] for pair in leak.pairs]
    counts = {"shared": leak.shared, "left": leak.left, "right": leak.right}
    return {"kind": leak.kind, "sets": list(leak.sets), **counts, "pairs": pairs}


def _recording_table(recording: MeasuredRecording) -> dict[str, Any]:
    utterance = recording.utterance
    about = {"set": split_of(utterance), "id": utterance.id, "audio": str(utterance.clips[0].audio)}
    text = {"text": utterance.text, "pace": recording.pace}
    return about | text | asdict(recording.header) | asdict(recording.acoustics)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
