"""Modes, and the cost of live runs."""

import pytest

from asr.config import SessionSettings
from asr.errors import ConfigError
from eval.progress import progress
from eval.runs.live import Target
from eval.runs.runner import TraceCollector, Turn, parse_modes, run_in_turns, run_live
from tests.eval.fakes import ScriptedEngine, recording
from tests.server.scripted_server import answer, listening


@pytest.mark.parametrize("text", ["", "offline,fast", " , "])
def test_unknown_modes_are_refused(text: str) -> None:
    """With the names of those that are known."""
    with pytest.raises(ConfigError, match="wanted some of offline, replay, live"):
        parse_modes(text)


def test_a_servers_cpu_time_is_shared_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trace has what the server used since the one before it: together what it used in all."""
    clock = iter([10.0, 11.0, 14.0])
    monkeypatch.setattr("eval.runs.runner.process_cpu_s", lambda _pid: next(clock))
    with progress("x", 1.0) as bar, listening(answer) as url:
        collector = TraceCollector(bar)
        recordings = [recording(0.1, name="a"), recording(0.1, name="b")]
        run_live(recordings, Target(url, "m"), 1, 1, collector)
    assert [trace.cpu_s for trace in collector.traces] == [1.0, 3.0]


def test_models_take_turns_recording_by_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """With each recording another model is first; a model only gets what it takes; a repeat is marked."""
    monkeypatch.setattr("eval.runs.runner.read", lambda utterance: recording(0.1, name=utterance.id))
    one, other = ScriptedEngine(name="one"), ScriptedEngine(name="other")
    with progress("x", 1.0) as bar:
        collector = TraceCollector(bar)
        utterances = [recording(0.1, name=name).utterance for name in "abc"]
        turns = [Turn(one, utterances), Turn(other, utterances[:2], peak_memory_bytes=7)]
        run_in_turns(turns, ("offline",), SessionSettings(), collector, repeat=2)
    order = [(trace.utterance, trace.model) for trace in collector.traces]
    assert order == [("a", "one"), ("a", "other"), ("b", "other"), ("b", "one"), ("c", "one")]
    assert {trace.repeat for trace in collector.traces} == {2}
    assert all(trace.began_s > 0 for trace in collector.traces)
    assert {trace.peak_memory_bytes for trace in collector.traces if trace.model == "other"} == {7}
