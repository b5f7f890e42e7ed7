"""The server on a Ray cluster: the same application in replicas, behind one address (Ray Serve).

    with serving(settings, address=None, replicas=(2, 8)) as url: ...

Each replica is an actor with its own workers, as one `asr serve` has them. Ray's proxy takes HTTP and WebSockets and
passes each message on; `server.ray_router` says to which replica. A replica that goes gets no new streams, and its
streams have `GRACE_S` to end. Clients that resume go on with their replica, or after its death with another one.
"""

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
from server.streams.owners import Owners
from server.workers.contract import StreamEngine

NAME = "asr"
GRACE_S = 300.0
"""For the streams of a replica that goes, when there is less load: most end by themselves in this time."""
REPORT_S = 1.0
TARGET_LOAD = 0.6
"""Share of a replica's `max_streams` at which another one is started: it needs a minute to load its models."""

Load = Callable[[ServerSettings], Sequence[StreamEngine]]


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many there are: as few and as many as the load wants."""

    fewest: int
    most: int


def counts_of(text: str) -> Replicas:
    """``"2"`` or ``"2-8"``. Raises `ConfigError`."""
    if found := re.fullmatch(r"([1-9][0-9]{0,3})(?:-([1-9][0-9]{0,3}))?", text):
        fewest, most = int(found[1]), int(found[2] or found[1])
        if fewest <= most:
            return Replicas(fewest, most)
    raise ConfigError(f"--replicas: found {text[:50]!r}, wanted a number, or the fewest and most: 2-8")


class Replica:
    """What runs in the actor. Ray Serve calls its methods."""

    def __init__(self, settings: ServerSettings, load: Load | None = None) -> None:
        self._settings, self._load = settings, load or _load
        self._engines: Sequence[StreamEngine] = ()
        self._service: Any = None

    def __serve_build_asgi_app__(self) -> Any:
        from ray import serve

        from server.http.app import create_app
        from server.ray_router import OWNER

        self._engines = self._load(self._settings)
        app = create_app(self._settings, self._engines)
        self._service = app.state.service
        owner = OWNER + serve.get_replica_context().replica_id.unique_id
        # The router reads the owner. No replica connects to another, so each has a secret of its own.
        self._service.kept_streams.owners = Owners(owner, secrets.token_bytes(32))
        return app

    def record_routing_stats(self) -> dict[str, float]:
        """For `server.ray_router`."""
        schedulers = self._service.roster.schedulers
        lanes = [lane for scheduler in schedulers for lane in scheduler.replicas]
        load = sum(lane.live_load.busy for lane in lanes) / max(1, len(lanes))
        lag_s = max((lane.queue_age_s() for lane in lanes), default=0.0)
        return {"at_s": time.time(), "load": load, "lag_s": lag_s}

    def __del__(self) -> None:
        for engine in self._engines:
            engine.close()  # type: ignore[attr-defined]


def _load(settings: ServerSettings) -> Sequence[StreamEngine]:
    from server.workers.remote import load_engines

    return load_engines(settings)


@contextmanager
def serving(
    settings: ServerSettings, address: str | None, replicas: Replicas, load: Load | None = None
) -> Iterator[str]:
    """Serves on the cluster at `address`, or on one of this machine, and yields the URL.

    Raises `ConfigError` where Ray Serve is not installed, or there is no cluster.
    """
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
            serve.start(http_options=http)
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
            "downscale_delay_s": 600.0,
        },
        graceful_shutdown_timeout_s=GRACE_S,
        request_router_config=RequestRouterConfig(**routing),
    )
    return deployment(serve.ingress(None)(Replica)).bind(replace(settings, workers=workers), load)
