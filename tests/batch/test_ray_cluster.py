"""A real Ray cluster of three nodes on this machine; one is killed in the middle."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asr.errors import ConfigError
from asr.ray_connection import connected
from batch.folders import inputs_of, job_of
from batch.inputs import Recording
from batch.local import local_backend
from batch.options import FolderOptions
from batch.ray_cluster import ShardLimits, ray_backend, shards
from batch.run import run
from tests.batch.helpers import NoProgress, results
from tests.speech import RATE_HZ, speech

ray = pytest.importorskip("ray", reason="ray is not installed: make setup")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A head node without workers, and two nodes of one core each.

    Ray lowers the priority of its workers by 15: beside other work they starve for minutes, as if they hung.
    """
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        node = {"object_store_memory": 80 << 20, "include_dashboard": False}
        whole = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **node})
        workers = [whole.add_node(num_cpus=1, **node) for _ in range(2)]
        ray.init(address=whole.address, log_to_driver=False)
        yield whole, workers
        ray.shutdown()
        whole.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty recordings, one broken."""
    sound = speech()
    (tmp_path / "in").mkdir()
    for i in range(20):
        soundfile.write(tmp_path / "in" / f"talk{i}.wav", sound[i * 3000 : i * 3000 + 4 * RATE_HZ], RATE_HZ)
    (tmp_path / "in/broken.mp3").write_text("no sound")
    return tmp_path / "in"


class NodeKiller(NoProgress):
    """Removes a node after three recordings are done."""

    def __init__(self, cluster: Any, node: Any) -> None:
        self._cluster, self._node = cluster, node
        self.count = self.killed_at = 0

    def done(self, recording: Recording, notices: Sequence[str]) -> None:
        self.count += 1
        if self.count == 3:
            self._cluster.remove_node(self._node, allow_graceful=False)
            self.killed_at = self.count


@pytest.mark.model
@pytest.mark.slow
def test_a_node_that_is_killed_in_the_middle_loses_nothing(nodes: Any, folder: Path) -> None:
    """Every recording is done, and the files are those of an undisturbed run on this machine alone."""
    cluster, workers = nodes
    options = FolderOptions((folder,), folder.parent / "out", ("txt", "json"))
    job, inputs, killer = job_of(options), inputs_of(options), NodeKiller(cluster, workers[0])
    summary = run(job, inputs, lambda: ray_backend(job.task, None, 2, ShardLimits(files=3)), killer)
    assert killer.killed_at == 3
    assert (summary.done, len(summary.failures)) == (20, 1)
    on_ray = results(folder.parent / "out")
    shutil.rmtree(folder.parent / "out")
    run(job, inputs, lambda: local_backend(job.task, 1), NoProgress())
    assert on_ray == results(folder.parent / "out")


def test_shards_are_bounded_by_files_and_bytes(tmp_path: Path) -> None:
    """In order, nothing left out; a recording larger than the bound is a shard."""
    recordings = []
    for i, size in enumerate((500, 60, 50, 10, 10, 10, 10)):
        (tmp_path / f"{i}.wav").write_bytes(b"x" * size)
        recordings.append(Recording(tmp_path / f"{i}.wav", str(i)))
    limits = ShardLimits(files=3, size_bytes=100)
    assert [[r.stem for r in shard.recordings] for shard in shards(recordings, limits)] == [
        ["0"], ["1"], ["2", "3", "4"], ["5", "6"],
    ]  # fmt: skip


def test_without_a_cluster_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of Ray's hundred."""

    def refused(**_options: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(ConfigError, match="no Ray cluster at somewhere:1"), ray_backend(Any, "somewhere:1", 1):  # type: ignore[arg-type]
        pass


def test_without_an_address_it_is_a_cluster_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would join one that runs on this machine, whoever started it."""
    asked: list[str | None] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda address, **_options: asked.append(address))
    for address in (None, "somewhere:1"):
        with connected(ray, address):
            pass
    assert asked == ["local", "somewhere:1"]
