"""What the routes that take a whole recording share: a limit on the body, and an end when the client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from server.http.errors import UploadTooBig

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
    """The same request with a body of at most `max_bytes`. Its `receive` raises `UploadTooBig`.

    A client does not read the response while it still sends. So up to twice the limit the rest is read and discarded.
    """
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            while seen < 2 * max_bytes and message.get("more_body") and message["type"] == "http.request":
                message = await request.receive()
                seen += len(message.get("body", b""))
            raise UploadTooBig(
                f"found an upload of more than {max_bytes} bytes, which is the limit; send a smaller file"
            )
        return message

    return Request(request.scope, receive)


def wait_for_upload() -> None:
    """Ends an upload at shutdown: it cannot end early. The drain waits for it, up to its timeout."""
