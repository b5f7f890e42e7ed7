"""Where a request shows its key. One rule for every route and every protocol.

    Authorization: Token KEY                              Deepgram
    Authorization: Bearer KEY                             OpenAI, Deepgram's tokens
    api-key: KEY                                          OpenAI's clients for Azure
    Sec-WebSocket-Protocol: token, KEY                    browsers, which cannot set headers: Deepgram
    Sec-WebSocket-Protocol: bearer, TOKEN                     the same with a token
    Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.KEY      OpenAI

Never in the address: addresses stand in the logs of proxies, in histories of browsers and in Referer headers.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from urllib.parse import parse_qsl

from asr.errors import CallerError

SCHEMES = (b"token", b"bearer")
OPENAI_SUBPROTOCOL = "openai-insecure-api-key."
NAMED_SUBPROTOCOLS = ("token", "bearer")
"""The key is the subprotocol after one of these."""
_QUERY_NAMES = {
    "token", "key", "apikey", "xapikey", "accesstoken", "auth", "authorization", "bearer", "clientsecret",
    "openaiinsecureapikey",
}  # fmt: skip


class KeyInAddressError(CallerError):
    """A key as a parameter of the address; HTTP 400."""


class CredentialsError(CallerError):
    """Credentials in a form that is not understood, or contradictory ones; HTTP 401."""


class ScopeError(CallerError):
    """A key that is known, without the right; HTTP 403."""


def shown(headers: Iterable[tuple[bytes, bytes]], subprotocols: Sequence[str] = ()) -> bytes:
    """The key or token that a request shows, b"" for none. Header names are in lower case.

    Raises `CredentialsError`. Two different keys are refused: a proxy might have checked the other one.
    """
    found = {key for name, value in headers for key in _in_header(name, value)}
    found |= {key.encode("utf-8", "replace") for key in _in_subprotocols(subprotocols)}
    found.discard(b"")
    if len(found) > 1:
        raise CredentialsError("found two different keys in one request, wanted one")
    return next(iter(found), b"")


def _in_header(name: bytes, value: bytes) -> tuple[bytes, ...]:
    if name == b"api-key":
        return (value.strip(b" \t"),)
    if name != b"authorization" or not value.strip(b" \t"):
        return ()
    scheme, _, key = value.strip(b" \t").partition(b" ")
    if scheme.lower() not in SCHEMES:
        raise CredentialsError("found an Authorization header of another form, wanted 'Token KEY' or 'Bearer KEY'")
    return (key.strip(b" \t"),)


def _in_subprotocols(offered: Sequence[str]) -> list[str]:
    keys = [after for name, after in pairwise(offered) if name in NAMED_SUBPROTOCOLS]
    return keys + [name.removeprefix(OPENAI_SUBPROTOCOL) for name in offered if name.startswith(OPENAI_SUBPROTOCOL)]


def answered_subprotocol(offered: Sequence[str]) -> str | None:
    """The subprotocol to accept, never a key. Browsers end a connection that accepts none of those they offer."""
    return next((name for name in offered if name in (*NAMED_SUBPROTOCOLS, "realtime")), None)


def check_query(query: bytes) -> None:
    """Raises `KeyInAddressError` where the query has a parameter that is a key's place elsewhere."""
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name.lower().replace("-", "").replace("_", "") in _QUERY_NAMES:
            raise KeyInAddressError(
                "found a key in the address, where logs keep it; send it as the header 'Authorization: Token KEY', "
                "in a browser as the subprotocols 'token', KEY; and replace this key, which others may have seen"
            )
