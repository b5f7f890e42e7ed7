"""A real Ray cluster of three nodes on this machine; one is killed in the middle."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from batch import cluster as clusters
from batch.cluster import cluster, shares
from batch.command import Wish, found_of, order_of, place_of
from batch.inputs import Failure, Recording
from batch.job import run
from tests.batch.test_killed import written
from tests.speech import RATE_HZ, speech

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'steadyword[ray]'")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A head without work and two nodes of one core each.

    Ray lowers its workers' priority by 15, where they starve beside anything else: for minutes, as if they hung.
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


class Killing:
    """Looks on, and removes a node after some recordings are done."""

    def __init__(self, whole: Any, node: Any) -> None:
        self._whole, self._node = whole, node
        self.count = self.killed_at = 0

    def begin(self, recordings: Any, kept: int) -> None: ...
    def heard(self, seconds: float) -> None: ...
    def failed(self, failure: Failure) -> None: ...

    def done(self, recording: Recording) -> None:
        self.count += 1
        if self.count == 3:
            self._whole.remove_node(self._node, allow_graceful=False)
            self.killed_at = self.count


def test_a_node_that_is_killed_in_the_middle_loses_nothing(
    nodes: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every recording is done, and the files are those of an undisturbed run on this machine alone."""
    whole, workers = nodes
    monkeypatch.setattr(clusters, "SHARE_FILES", 3)
    remote = Wish((folder,), folder.parent / "out", ("txt", "json"), engine="ray")
    order, key = order_of(remote)
    looker = Killing(whole, workers[0])
    found = found_of(remote)
    summary = run(order, found, key, lambda: place_of(remote, order, 2), looker)
    assert looker.killed_at == 3
    assert (summary.done, len(summary.failures)) == (20, 1)
    on_ray = written(folder.parent / "out")
    shutil.rmtree(folder.parent / "out")
    local = Wish((folder,), folder.parent / "out", ("txt", "json"), workers=1)
    run(order, found, key, lambda: place_of(local, order, 1), Quiet())
    assert on_ray == written(folder.parent / "out")


class Quiet(Killing):
    def __init__(self) -> None:
        super().__init__(None, None)

    def done(self, recording: Recording) -> None: ...


def test_shares_are_bounded_by_files_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, nothing left out; one that is larger than a share is a share."""
    monkeypatch.setattr(clusters, "SHARE_FILES", 3)
    monkeypatch.setattr(clusters, "SHARE_BYTES", 100)
    recordings = []
    for i, size in enumerate((500, 60, 50, 10, 10, 10, 10)):
        (tmp_path / f"{i}.wav").write_bytes(b"x" * size)
        recordings.append(Recording(tmp_path / f"{i}.wav", str(i)))
    assert [[r.stem for r in share.recordings] for share in shares(recordings)] == [
        ["0"], ["1"], ["2", "3", "4"], ["5", "6"],
    ]  # fmt: skip


def test_without_a_cluster_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a hundred lines of Ray's."""
    from asr.errors import ConfigError

    def refused(**_options: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(ConfigError, match="no Ray cluster at somewhere:1"), cluster(Any, "somewhere:1", 1):  # type: ignore[arg-type]
        pass
