"""What the routes that take a whole recording share: bounds on the body, and an end when the client disconnects.

No place is held while a body comes: a place for a sender that trickles would be one for nobody.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from server.http.errors import UploadTooBig, UploadTooSlow

BODY_GRACE_S = 10.0
"""From here on a body must have come at `MIN_BYTES_PER_S`, on average."""
MIN_BYTES_PER_S = 1_000
"""Half of what speech at the lowest usual bit rate needs, so that a recording may be sent while it is made."""

T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; cancels it when the client disconnects (after the body nothing else can be received)."""
    working = asyncio.create_task(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        working.cancel()
        await asyncio.gather(gone, working, return_exceptions=True)


def limited(request: Request, max_bytes: int) -> Request:
    """The same request with a body of at most `max_bytes`. Its `receive` raises `UploadTooBig`, `UploadTooSlow`.

    A client does not read the response while it still sends. So up to twice the limit the rest is read and discarded.
    """
    seen = 0
    began_s = asyncio.get_running_loop().time()

    async def next_message() -> Message:
        nonlocal seen
        try:
            async with asyncio.timeout_at(began_s + BODY_GRACE_S + seen / MIN_BYTES_PER_S):
                message = await request.receive()
        except TimeoutError:
            wanted = f"wanted at least {MIN_BYTES_PER_S} bytes a second after {BODY_GRACE_S:g} s"
            raise UploadTooSlow(f"found an upload of {seen} bytes so far, {wanted}") from None
        seen += len(message.get("body", b""))
        return message

    async def receive() -> Message:
        message = await next_message()
        if seen > max_bytes:
            while seen < 2 * max_bytes and message.get("more_body") and message["type"] == "http.request":
                message = await next_message()
            raise UploadTooBig(
                f"found an upload of more than {max_bytes} bytes, which is the limit; send a smaller file"
            )
        return message

    return Request(request.scope, receive)


def wait_for_upload() -> None:
    """Ends an upload at shutdown: it cannot end early. The drain waits for it, up to its timeout."""
