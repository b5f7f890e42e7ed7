"""Our server and a peer's in turns."""

from eval.bench.peer_servers import System, alternate, peer_levels
from eval.progress import progress
from eval.runs.local_server import RunningServer
from eval.runs.runner import TraceCollector
from tests.eval.fakes import recording, said


def test_servers_take_turns() -> None:
    """The order changes, and the second round has other clips."""
    calls: list[str] = []

    class Noting(System):
        def run(self, recordings, streams, collector) -> None:
            calls.append(self.name + "".join(r.utterance.id for r in recordings))

    systems = tuple(Noting(name, RunningServer(""), None) for name in "ab")
    with progress("x", 1.0) as bar:
        alternate(systems, [recording(0.1, name=str(i)) for i in range(4)], 2, TraceCollector(bar))
    assert calls == ["a01", "b01", "b23", "a23"]


def test_traces_are_summarised_by_streams_and_system() -> None:
    """Whatever data set their clips are from."""
    traces = [said("a", model=m, dataset=d, streams=n, mode="live") for m in "ab" for n in (1, 2) for d in ("x", "y")]
    levels = peer_levels(traces)
    assert {key: summary.utterances for key, summary in levels.items()} == {
        (1, "a"): 2,
        (2, "a"): 2,
        (1, "b"): 2,
        (2, "b"): 2,
    }
