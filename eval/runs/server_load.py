"""What a server does while it serves: its steps, audio and CPU time in slices of a few seconds.

with watched_load(server, key) as slices:
    ...                     # clients stream
slices                      # filled at the end; empty where the server has no /metrics
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from eval.runs.local_server import RunningServer
from eval.runs.process_usage import own_cpu_s_of

SLICE_S = 5.0
TIMEOUT_S = 5.0

_NAMES = {
    "asr_audio_seconds_total": "audio_s",
    "asr_step_seconds_count": "steps",
    "asr_step_seconds_sum": "step_s",
    "asr_batch_size_sum": "stream_steps",
}
_BUCKET = "asr_step_seconds_bucket"


@dataclass(frozen=True, slots=True)
class LoadSlice:
    """Some seconds of a server.

    Attributes:
        audio_s: Audio received.
        steps: Steps of its lanes; a step takes one batch of streams.
        step_s: Seconds that they took.
        stream_steps: Streams in them, summed.
        loop_cpu_s: CPU seconds of the process of the event loop, without the workers; None where not measured.
        step_counts: Steps up to each limit of `step_limits_s` that are in no smaller one.
        step_limits_s: Upper limits of a step's seconds, rising, in seconds. Steps above the last are in no count.
    """

    audio_s: float
    steps: float
    step_s: float
    stream_steps: float
    loop_cpu_s: float | None
    step_counts: tuple[float, ...]
    step_limits_s: tuple[float, ...]


@contextmanager
def watched_load(server: RunningServer, key: str = "") -> Iterator[list[LoadSlice]]:
    """A list that holds the slices when the context ends."""
    slices: list[LoadSlice] = []
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(server, key, ended, slices), daemon=True)
    watcher.start()
    try:
        yield slices
    finally:
        ended.set()
        watcher.join()


def lanes_of(server: RunningServer, key: str = "") -> int | None:
    """The workers that serve streams; None where the server does not report them."""
    counts = _read(server, key)
    return None if counts is None else round(counts["lanes"]) or None


def _watch(server: RunningServer, key: str, ended: threading.Event, slices: list[LoadSlice]) -> None:
    before = _read(server, key)
    while before is not None:
        ended.wait(SLICE_S)
        after = _read(server, key)
        if after is None:
            return
        if after["steps"] > before["steps"] and after["audio_s"] > before["audio_s"]:
            slices.append(_slice(before, after))
            before = after
        if ended.is_set():
            return


def _slice(before: dict[str, float], after: dict[str, float]) -> LoadSlice:
    """The difference of two readings."""
    change = {name: value - before.get(name, 0.0) for name, value in after.items()}
    limits = sorted(float(name) for name in change if name[0].isdigit())
    below = [0.0, *(change[str(limit)] for limit in limits)]
    counts = tuple(above - lower for lower, above in pairwise(below))
    audio_s, steps, step_s, stream_steps = (change[name] for name in _NAMES.values())
    return LoadSlice(audio_s, steps, step_s, stream_steps, change.get("loop_cpu_s"), counts, tuple(limits))


def _read(server: RunningServer, key: str) -> dict[str, float] | None:
    """Each counter, summed over the models, and each bucket of a step's seconds; None where there is no answer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    base = "http" + server.url.removeprefix("ws") if server.url.startswith("ws") else server.url
    address = base.rstrip("/") + "/metrics"
    try:
        with urlopen(Request(address, headers=headers), timeout=TIMEOUT_S) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    except (OSError, ValueError, HTTPException):
        return None
    counts = dict.fromkeys([*_NAMES.values(), "lanes"], 0.0)
    for sample in (sample for family in families for sample in family.samples):
        if sample.name == _BUCKET and sample.labels["le"] != "+Inf":
            limit = str(float(sample.labels["le"]))
            counts[limit] = counts.get(limit, 0.0) + sample.value
        elif name := _NAMES.get(sample.name, "lanes" if sample.name == "asr_lanes_ready" else ""):
            counts[name] += sample.value
    return counts if server.pid is None else counts | {"loop_cpu_s": own_cpu_s_of(server.pid)}
