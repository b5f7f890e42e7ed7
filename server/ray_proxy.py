"""What Ray's proxy owes the clients of a replica that died: a close code, which it does not send of its own.

Ray calls `middlewares` in each of its proxies, since `VARIABLE` names it.
"""

from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.relay import LOST
from server.streams.admission import RETRY_AFTER_S

VARIABLE, CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "server.ray_proxy.middlewares"
"""Ray's environment variable, and its value."""
DENIAL = "websocket.http.response"
"""The extension of ASGI by which a handshake is refused with an answer of HTTP."""


class TellOfDeath:
    """Ends a WebSocket that the replica left open with the code after which clients resume.

    A handshake that no replica took is refused as by a server that is full: the client comes again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "websocket":
            return await self._app(scope, receive, send)
        is_open, is_answered = False, False

        async def noting_send(message: Message) -> None:
            nonlocal is_open, is_answered
            kind = message["type"]
            if kind.startswith("http.response"):  # Ray's own refusal, in a form that a handshake cannot have
                return
            is_open = kind == "websocket.accept" or (is_open and kind != "websocket.close")
            is_answered = True
            await send(message)

        async def noting_receive() -> Message:
            nonlocal is_open
            message = await receive()
            is_open = is_open and message["type"] != "websocket.disconnect"
            return message

        await self._app(scope, noting_receive, noting_send)
        if is_open:
            await send({"type": "websocket.close", "code": LOST[0], "reason": LOST[1]})
        elif not is_answered and DENIAL in scope.get("extensions", {}):
            headers = [(b"retry-after", str(RETRY_AFTER_S).encode())]
            await send({"type": f"{DENIAL}.start", "status": 503, "headers": headers})
            await send({"type": f"{DENIAL}.body", "body": b""})


def middlewares() -> list[Any]:
    """Called by Ray."""
    return [Middleware(TellOfDeath)]
