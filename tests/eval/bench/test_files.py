"""Recordings as files: turns, and traces with their cost."""

from eval.bench.files import alternate, measured
from eval.bench.tables import OURS
from eval.progress import progress
from eval.runs.runner import TraceCollector
from tests.eval.fakes import recording


def test_files_are_run_in_turns() -> None:
    """After one unmeasured file each, the system that begins changes from file to file."""
    calls: list[str] = []

    def system(name: str):
        return lambda file, language, seconds: calls.append(name + file.stem) or "said"

    with progress("x", 1.0) as bar:
        collector = TraceCollector(bar)
        recordings = iter([recording(1.0, name="1"), recording(1.0, name="2")])
        alternate(recordings, {"a": system("a"), "b": system("b")}, collector)
    assert calls == ["a1", "b1", "a1", "b1", "b2", "a2"]
    assert [t.model + t.utterance for t in collector.traces] == ["a1", "b1", "b2", "a2"]


def test_a_files_trace_is_scored_like_any_other() -> None:
    """Its text is its only final; without text it has no words."""
    trace = measured(OURS, lambda *_: "red green", recording(2.0, text="red green"))
    assert (trace.text, trace.mode, trace.model) == ("red green", "offline", OURS)
    assert trace.cpu_s is not None
    assert measured(OURS, lambda *_: "", recording(2.0)).text == ""
