"""Which replica of `server.ray_serve` gets a request: the one that keeps the stream, else the least loaded one.

Ray Serve counts requests, and a stream of an hour's silence is as much of a request as one that is behind. A replica
reports what its workers measured (`load`, the share of their time that live streams take; `lag_s`) and its open streams
once a second. What was sent there since the last report counts as `STREAM_LOAD` each.
"""

import pickle
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from ray.serve.request_router import PendingRequest, RequestRouter

STREAM_LOAD = 0.05
"""Of a worker's time: between a small model's cost and a large one's. It only has to share out what comes at once."""
OPEN_LOAD = 0.01
"""Of a worker's time, for each open stream: one that is silent now may speak next."""
LATE_LOAD = 1.0
"""For each second that a replica is behind: it comes last, whatever it says of its load."""
OWNER = "ray:"
"""Begins the owner in a token: what follows is the replica's id."""


class LeastLoaded(RequestRouter):  # type: ignore[misc]  # Ray has no types
    """All replicas in the order in which they should be asked."""

    def initialize_state(self, **_: Any) -> None:
        """Called by Ray."""
        self._sent: dict[str, tuple[float, int]] = {}
        """Replica -> the report that was there when it was last chosen, and how often since."""

    def _get_pending_request_matching_metadata(self, request_metadata: Any = None) -> PendingRequest | None:
        """Called by Ray: the request for which the choice was made.

        Ray's own rule is first come, first served: the choice for a resumed stream may be used for another request.
        Then the client gets 410, and has its last words recognised again.
        """
        waiting = getattr(self, "_pending_requests_by_id", {})
        found = waiting.get(request_metadata.internal_request_id) if request_metadata else None
        return found if found and not found.future.done() else None

    async def choose_replicas(
        self, candidate_replicas: list[Any], pending_request: PendingRequest | None = None
    ) -> list[list[Any]]:
        """The replicas by their load; before them the owner of the stream that the request resumes.

        An owner that died is a candidate until Ray notices: another one says at once that the stream is gone (410).
        """
        ranked = sorted(candidate_replicas, key=self._load)
        owner = owner_of(query_of(pending_request.args)) if pending_request else ""
        if mine := [each for each in ranked if each.replica_id.unique_id == owner]:
            return [mine, *([each] for each in ranked if each not in mine)]
        # Counted now, and not once it is there: others that come meanwhile would all choose the same replica.
        at_s, count = self._report(ranked[0])
        self._sent[ranked[0].replica_id.unique_id] = (at_s, count + 1)
        return [[each] for each in ranked]

    def _load(self, replica: Any) -> float:
        return load_of(replica.routing_stats, self._report(replica)[1])

    def _report(self, replica: Any) -> tuple[float, int]:
        at_s = float(replica.routing_stats.get("at_s", 0.0))
        seen_s, count = self._sent.get(replica.replica_id.unique_id, (at_s, 0))
        return at_s, count if seen_s == at_s else 0


def load_of(stats: Mapping[str, Any], sent: int) -> float:
    """A replica's load by its last report, and the requests sent there since."""
    load, lag_s, streams = (float(stats.get(name, 0.0)) for name in ("load", "lag_s", "open"))
    return load + LATE_LOAD * lag_s + OPEN_LOAD * streams + STREAM_LOAD * sent


def query_of(args: Sequence[Any]) -> bytes:
    """The query string of a request that came through Ray's proxy, which pickled it; b"" for any other."""
    request = pickle.loads(args[0]) if args and isinstance(args[0], bytes) else None
    return bytes(getattr(request, "asgi_scope", {}).get("query_string", b""))


def owner_of(query: bytes) -> str:
    """The id of the replica that keeps the stream of the token in this query; "" without one.

    The signature need not be checked here: a token that was made up only chooses a replica, which refuses it.
    """
    token = parse_qs(query.decode("latin-1")).get("resume", [""])[0]
    try:
        owner = urlsafe_b64decode(token.split(".")[1] + "==").decode()
    except (IndexError, ValueError):
        return ""
    return owner.removeprefix(OWNER) if owner.startswith(OWNER) else ""
