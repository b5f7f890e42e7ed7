"""A made-up run for the tests of reports."""

from dataclasses import replace

import pytest

from eval.runs.folder import Run, UnsupportedLanguage
from tests.eval.fakes import said
from tests.eval.run_folders import run_of, spoken


@pytest.fixture(scope="session")
def run() -> Run:
    """A worse and dearer model beside a better one, offline and streamed, with noise and another language."""
    attributes = (("device", "telephone"),)
    traces = [
        replace(t, attributes=attributes) if i % 2 else t for i, t in enumerate(spoken("worse", every=4, cost=2.0))
    ]
    traces += [*spoken("better"), *spoken("worse", "offline", every=4), *spoken("better", "offline")]
    for model in ("worse", "better"):
        noise = said("thank you" if model == "worse" else "", reference="", model=model, dataset="noise", utterance="n")
        traces.append(replace(noise, duration_s=60.0))
    traces.append(
        said("xin <b>chào</b>", reference="xin chao", model="better", dataset="vi", language="vi", utterance="v")
    )
    left_out = ("data/manifest.jsonl:3: no audio file",)
    return run_of("made-up", traces, left_out=left_out, not_taken=(UnsupportedLanguage("worse", "vi", "vi", 1),))
