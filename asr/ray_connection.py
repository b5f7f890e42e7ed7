"""A connection to a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asr.errors import ConfigError


@contextmanager
def connected(ray: Any, address: str | None) -> Iterator[None]:
    """To the cluster at `address`, or to a new one on this machine; a process that is connected already stays so.

    `ray`: the imported module. Raises `ConfigError` if the cluster cannot be reached.
    """
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address or "local", log_to_driver=False, include_dashboard=False if address is None else None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"no Ray cluster at {address} ({reason}); wanted the address of one that runs") from None
    try:
        yield
    finally:
        ray.shutdown()
