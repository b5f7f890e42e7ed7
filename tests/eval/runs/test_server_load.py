"""A server's steps, audio and CPU time while it serves, read from its /metrics."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from eval.runs import server_load
from eval.runs.local_server import RunningServer
from eval.runs.server_load import lanes_of, watched_load
from server.metrics import Metrics
from tests.server.running import eventually


@contextmanager
def serving(metrics: Metrics) -> Iterator[str]:
    """The metrics at an address, as a server has them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(metrics.render())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_slice_is_what_was_done_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what the server did before; each step in its bucket."""
    monkeypatch.setattr(server_load, "SLICE_S", 60.0)
    metrics = Metrics()
    labels = ("m", "")

    def work(seconds: float, streams: int) -> None:
        metrics.step_s.labels(*labels).observe(seconds)
        metrics.batch_size.labels(*labels).observe(streams)
        metrics.audio_s.inc(0.5)

    work(7.0, 9)
    metrics.lanes_ready.labels(*labels).set(2)
    with serving(metrics) as url:
        server = RunningServer(url, os.getpid())
        assert lanes_of(server) == 2
        asked = threading.Event()
        read = server_load._read
        monkeypatch.setattr(server_load, "_read", lambda *a: (read(*a), asked.set())[0])
        with watched_load(server) as slices:
            eventually(asked.is_set)
            work(0.02, 3)
            work(0.2, 5)
    assert len(slices) == 1
    assert (slices[0].steps, slices[0].stream_steps, slices[0].audio_s) == (2, 8, 1.0)
    assert slices[0].step_s == pytest.approx(0.22)
    counts = dict(zip(slices[0].step_limits_s, slices[0].step_counts, strict=True))
    assert {limit: count for limit, count in counts.items() if count} == {0.025: 1, 0.25: 1}
    assert slices[0].loop_cpu_s is not None
    assert slices[0].loop_cpu_s >= 0


def test_a_server_without_metrics_has_no_slices() -> None:
    """Another company's, or one that is gone: the benchmark goes on."""
    server = RunningServer("ws://127.0.0.1:9")
    with watched_load(server) as slices:
        pass
    assert slices == []
    assert lanes_of(server) is None
