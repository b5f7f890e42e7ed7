"""Swapped labels, by one model's transcripts or by the length of speech."""

import random
from dataclasses import replace

import numpy as np

from asr.audio.files import Header
from eval.audit.acoustics import Acoustics
from eval.audit.recordings import MeasuredRecording
from eval.audit.swaps import swapped_by_transcripts, swapped_neighbours
from eval.trace import Trace
from tests.eval.fakes import said
from tests.eval.labelled import labelled, notes

HEADER = Header("wav", "pcm_s16le", 16_000, 1)
WORDS = "amber birch cedar delta ember fjord grove harbour island juniper kettle lantern meadow nettle orchard".split()  # noqa: SIM905


def spoken(seed: int, wrong: float = 0.3) -> list[Trace]:
    """Thirty sentences by a model that gets a third of the words wrong."""
    rng = random.Random(seed)
    traces = []
    for i in range(30):
        sentence = rng.choices(WORDS, k=8)
        recognised = [rng.choice(WORDS) if rng.random() < wrong else word for word in sentence]
        traces.append(said(" ".join(recognised), reference=" ".join(sentence), utterance=f"u{i:02}"))
    return traces


def swapped(traces: list[Trace], a: int, b: int) -> list[Trace]:
    labels = {a: traces[b].reference, b: traces[a].reference}
    return [replace(trace, reference=labels.get(i, trace.reference)) for i, trace in enumerate(traces)]


def test_one_weak_model_finds_swapped_labels_and_no_others() -> None:
    """Both transcripts fit the other's label: a third of wrong words does not hide it, nor does it make a pair."""
    assert swapped_by_transcripts(spoken(1)) == []
    assert swapped_by_transcripts(spoken(1, wrong=0.9)) == []
    (finding,) = swapped_by_transcripts(swapped(spoken(1), 4, 20))
    assert (finding.grave, finding.count) == (True, 1)
    assert (finding.examples[0].utterance, finding.examples[0].note[:8]) == ("u04", "with u20")


def test_a_wrong_label_is_no_swap() -> None:
    """Only one of the two has another's label."""
    traces = spoken(2)
    traces[3] = replace(traces[3], reference=traces[8].reference)
    assert swapped_by_transcripts(traces) == []


def measured(*lengths: tuple[int, float]) -> list[MeasuredRecording]:
    """Recordings by the characters of their label and their seconds of speech."""
    recordings = []
    for i, (characters, speech_s) in enumerate(lengths):
        utterance = replace(labelled("x" * characters)[0], id=f"u{i:02}")
        acoustics = Acoustics(speech_s + 0.5, speech_s, None, None, None, 0.0, None, False, False, str(i))
        recordings.append(MeasuredRecording(utterance, HEADER, acoustics))
    return recordings


def test_neighbours_with_each_others_length_are_found_without_a_model() -> None:
    """A short label on a long recording beside a long label on a short one."""
    rng = np.random.default_rng(3)
    usual = [(round(15 * s * rng.normal(1, 0.1)), float(s)) for s in rng.uniform(2, 6, 40)]
    assert swapped_neighbours(measured(*usual)) == []
    pair = [(30, 6.0), (90, 2.0)]
    assert notes(swapped_neighbours(measured(*usual[:20], *pair, *usual[20:]))) == [("u20", f"with u21: {'x' * 80}")]
    assert swapped_neighbours(measured(pair[0], *usual, pair[1])) == []
