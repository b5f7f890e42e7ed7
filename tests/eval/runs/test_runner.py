"""Modes, and the cost of live runs."""

import pytest

from asr.errors import ConfigError
from eval.progress import progress
from eval.runs.live import Target
from eval.runs.runner import TraceCollector, parse_modes, run_live
from tests.eval.fakes import recording
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
