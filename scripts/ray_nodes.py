"""A Ray cluster of several nodes on this machine, with the server in replicas on it, for `scripts.scale`.

Each node is a raylet with workers and ports of its own, and has room for one replica. Clients reach the proxy of the
first node, which is not killed.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.runs.process_usage import descendants
from server.config import load_settings
from server.ray_serve import NAME, TARGET_LOAD, Replicas, serving

__all__ = ["TARGET_LOAD", "Replicas", "cluster", "replicas", "running"]

PROXY, REPLICA = "ray::ProxyActor", "ray::ServeReplica"
READY_S = "120"
"""For Ray's proxy: on a busy machine it needs more than the 5 s that Ray waits."""


class Cluster:
    """The nodes, while `cluster` runs."""

    def __init__(self, ray_cluster: Any) -> None:
        self._cluster = ray_cluster
        self.nodes = ray_cluster.list_all_nodes()

    def kill_last(self) -> None:
        """SIGKILL for the raylet of the last node and all of its processes, in one go."""
        pids = self._pids(self.nodes[-1])
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _pids(self, node: Any) -> list[int]:
        """Of a node: its raylet, and what that started."""
        return list(descendants(node.all_processes["raylet"][0].process.pid))

    def pids(self, title: str, nodes: int) -> list[int]:
        """The processes with this title, on the first `nodes`."""
        pids = [pid for node in self.nodes[:nodes] for pid in self._pids(node)]
        return [pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_text(errors="replace").startswith(title)]


@contextlib.contextmanager
def cluster(count: int) -> Iterator[Cluster]:
    """Starts the nodes, and connects with them. Ends all that it started."""
    import ray
    from ray.cluster_utils import Cluster as RayCluster

    os.environ["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"] = READY_S
    # Two proxies of one machine cannot have one port; those of the other nodes get one that nobody uses.
    os.environ["RAY_SERVE_WORKER_PROXY_HTTP_PORT"] = "0"
    room = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100_000_000}
    nodes = RayCluster(initialize_head=True, head_node_args=room)
    try:
        for _ in range(count - 1):
            nodes.add_node(**room)
        ray.init(address=nodes.address, log_to_driver=False)
        try:
            yield Cluster(nodes)
        finally:
            ray.shutdown()
    finally:
        nodes.shutdown()


@contextlib.contextmanager
def replicas(
    folder: Path, port: int, model: str, counts: Replicas, max_streams: int = 64, ledger: str = ""
) -> Iterator[None]:
    """The server in replicas of one worker each on the cluster that this process is connected with."""
    config = folder / "ray.toml"
    config.write_text(f"max_connections_per_address = 1000\nmax_load = 5.0\nmax_streams = {max_streams}\n", "utf-8")
    settings = load_settings(config, models=[model], port=port, workers=1, ledger=ledger)
    with serving(settings, None, counts):
        while running() < counts.fewest:
            time.sleep(0.2)
        yield


def running() -> int:
    """How many replicas serve now."""
    from ray import serve

    states = serve.status().applications[NAME].deployments[NAME].replica_states
    return states.get("RUNNING", 0)
