"""The server on a Ray cluster: the same application in replicas, behind one address (Ray Serve).

    with serving(settings, address=None, replicas=Replicas(2, 8)) as url: ...

Each replica is an actor with its own workers, as one `asr serve` has them, and follows the ledger as that does. Ray's
proxy takes HTTP and WebSockets and passes each message on; `server.ray_router` says to which replica, and
`server.ray_proxy` tells the clients of one that died. A replica that goes gets no new streams, and its streams have
`Replicas.grace_s` to end; then they are ended as in a shutdown. Clients that resume go on with their replica, or
after its end with another one.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from asr.errors import ConfigError
from asr.installing import install_extra
from asr.ray_connection import connected
from server.config import ServerSettings
from server.ray_proxy import CALLBACK, VARIABLE
from server.streams.owners import Owners
from server.workers.contract import StreamEngine

NAME = "asr"
HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"
"""Ray's variable for another proxy: it takes no router of ours, no TLS, and sends no close code for a dead replica."""
REPORT_S = 1.0
TARGET_LOAD = 0.6
"""Share of a replica's `max_streams` at which another one is started: it needs a minute to load its models."""

Load = Callable[[ServerSettings], Sequence[StreamEngine]]


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many there are: as few and as many as the load wants.

    Attributes:
        fewest: That many always run.
        most: More are never started.
        down_after_s: A replica goes when there was less load for so long.
        grace_s: For the streams of one that goes, before they are ended: most end by themselves in this time.
    """

    fewest: int
    most: int
    down_after_s: float = 600.0
    grace_s: float = 300.0


def counts_of(text: str) -> Replicas:
    """``"2"`` or ``"2-8"``. Raises `ConfigError`."""
    if found := re.fullmatch(r"([1-9][0-9]{0,3})(?:-([1-9][0-9]{0,3}))?", text):
        fewest, most = int(found[1]), int(found[2] or found[1])
        if fewest <= most:
            return Replicas(fewest, most)
    raise ConfigError(f"--replicas: found {text[:50]!r}, wanted a number, or the fewest and most: 2-8")


class Replica:
    """What runs in the actor. Ray Serve calls its methods."""

    def __init__(self, settings: ServerSettings, grace_s: float, load: Load | None = None) -> None:
        self._settings, self._grace_s, self._load = settings, grace_s, load
        self._engines: Sequence[StreamEngine] = ()
        self._service: Any = None
        self._leaving: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> Any:
        from ray import serve

        from server.http.app import create_app
        from server.loading import load
        from server.ray_router import OWNER

        follow = None
        if self._load:
            self._engines = self._load(self._settings)
        else:
            check_ledger(self._settings.ledger)
            self._engines, follow = load(self._settings)
        app = create_app(self._settings, self._engines, follow=follow)
        self._service = app.state.service
        owner = OWNER + serve.get_replica_context().replica_id.unique_id
        # The router reads the owner. No replica connects to another, so each has a secret of its own.
        self._service.kept_streams.owners = Owners(owner, secrets.token_bytes(32))
        return app

    async def record_routing_stats(self) -> dict[str, float]:
        """For `server.ray_router`."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        schedulers = self._service.roster.schedulers
        lanes = [lane for scheduler in schedulers for lane in scheduler.replicas]
        load = sum(lane.live_load.busy for lane in lanes) / max(1, len(lanes))
        lag_s = max((lane.queue_age_s() for lane in lanes), default=0.0)
        open_streams = float(self._service.admission.open_streams)
        return {"at_s": time.time(), "load": load, "lag_s": lag_s, "open": open_streams}

    async def _leave(self) -> None:
        """Waits until this replica goes, and ends the streams that are still there shortly before Ray would."""
        while not _is_going():
            await asyncio.sleep(REPORT_S)
        await asyncio.sleep(max(0.0, self._grace_s - self._settings.drain_timeout_s - 2 * REPORT_S))
        await self._service.drain()

    def __del__(self) -> None:
        for engine in self._engines:
            engine.close()  # type: ignore[attr-defined]


def check_ledger(where: str) -> None:
    """A file is on one machine. Raises `ConfigError` on another: opening it would make an empty one there."""
    if where:
        from asr.ledger.database import missing_file

        if file := missing_file(where):
            raise ConfigError(f"found no ledger {file} on this node; wanted a URL of PostgreSQL")


def _is_going() -> bool:
    """Whether Ray has begun to end the replica of this process.

    Ray calls nothing of the application before the last request has ended. So this reads where Ray notes it for itself
    (2.60); with a version that does not, streams that are longer than the grace are broken, and resumed elsewhere.
    """
    from ray._private.worker import global_worker

    actors = global_worker.actors.values()
    return any(getattr(getattr(actor, "_replica_impl", None), "_shutting_down", False) for actor in actors)


@contextmanager
def serving(
    settings: ServerSettings, address: str | None, replicas: Replicas, load: Load | None = None
) -> Iterator[str]:
    """Serves on the cluster at `address`, or on one of this machine, and yields the URL.

    Raises `ConfigError` where Ray Serve is not installed, there is no cluster, or Ray would use HAProxy.
    """
    if os.environ.get(HAPROXY) == "1":
        raise ConfigError(f"found {HAPROXY}=1, wanted Ray's own proxy (docs/SCALING.md says why)")
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise ConfigError(f"Ray Serve is not installed ({error}); {install_extra('ray-serve')}") from None
    with connected(ray, address):
        try:
            http = {"host": settings.host, "port": settings.port}
            if settings.tls_cert:
                http |= {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}
            told = {"runtime_env": {"env_vars": {VARIABLE: CALLBACK}}}
            serve.start(http_options=http, controller_options=told)  # whose proxies inherit it
            serve.run(_application(serve, settings, replicas, load), name=NAME, route_prefix="/")
            scheme = "https" if settings.tls_cert else "http"
            yield f"{scheme}://{settings.host}:{settings.port}"
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]


def _application(serve: Any, settings: ServerSettings, replicas: Replicas, load: Load | None) -> Any:
    from ray.serve.config import RequestRouterConfig

    workers = settings.workers or 1
    routing: dict[str, Any] = {
        "request_router_class": "server.ray_router:LeastLoaded",
        "request_routing_stats_period_s": REPORT_S,
    }
    deployment = serve.deployment(
        name=NAME,
        max_ongoing_requests=4 * settings.max_streams,  # the server's own limits refuse with a reason, Ray's would wait
        ray_actor_options={"num_cpus": workers} | ({"num_gpus": 1} if settings.device != "cpu" else {}),
        autoscaling_config={
            "min_replicas": replicas.fewest,
            "max_replicas": replicas.most,
            "target_ongoing_requests": TARGET_LOAD * settings.max_streams,
            "upscale_delay_s": 5.0,
            "downscale_delay_s": replicas.down_after_s,
        },
        graceful_shutdown_timeout_s=replicas.grace_s,
        request_router_config=RequestRouterConfig(**routing),
    )
    settings = replace(settings, workers=workers)
    return deployment(serve.ingress(None)(Replica)).bind(settings, replicas.grace_s, load)
