"""Every address x every spelling of a key x every state of a key, at a real server with a scripted engine."""

import logging
import socket as sockets
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
import pytest
from starlette.routing import BaseRoute, Match, Mount
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from server.access import failed_tries, keyring
from server.http.app import create_app
from server.http.gate import OPEN_PATHS, OPERATE_PREFIX, SCOPE_OF, scope_for
from tests.server.access.keys import SPELLINGS, Made, Shown, made
from tests.server.fakes import ScriptedEngine
from tests.server.running import RAW, Running, running

pytestmark = pytest.mark.slow

DEEPGRAM, OPENAI = "deepgram", "openai"


class Address(NamedTuple):
    method: str
    """WS: a WebSocket."""
    path: str
    scope: str
    """"": any key."""
    form: str
    status: int
    """With the right key; 101: the WebSocket opens."""


ADDRESSES = [
    Address("WS", f"/v1/listen?{RAW}", "listen", DEEPGRAM, 101),
    Address("WS", f"/v2/listen?model=flux-general-en&{RAW}", "listen", DEEPGRAM, 101),
    Address("WS", "/v1/realtime?intent=transcription", "listen", OPENAI, 101),
    Address("WS", "/v1/jambonz", "listen", OPENAI, 101),
    Address("WS", "/nowhere", "", OPENAI, 404),
    Address("GET", f"/v1/listen?{RAW}", "listen", DEEPGRAM, 426),
    Address("GET", f"/v2/listen?{RAW}", "listen", DEEPGRAM, 426),
    Address("GET", "/v1/realtime", "listen", OPENAI, 426),
    Address("GET", "/v1/jambonz", "listen", OPENAI, 426),
    Address("POST", "/v1/listen", "transcribe", DEEPGRAM, 400),
    Address("POST", "/v1/audio/transcriptions", "transcribe", OPENAI, 400),
    Address("POST", "/v1/audio/translations", "transcribe", OPENAI, 400),
    Address("POST", "/v1/auth/grant", "grant", DEEPGRAM, 200),
    Address("POST", "/v1/realtime/client_secrets", "grant", OPENAI, 200),
    Address("GET", "/metrics", "metrics", OPENAI, 200),
    Address("HEAD", "/metrics", "metrics", OPENAI, 200),
    Address("GET", "/v1/operate/usage", "operate", OPENAI, 200),
    Address("GET", "/v1/models", "", OPENAI, 200),
    Address("GET", "/v1/models/scripted-1", "", OPENAI, 200),
    Address("GET", "/nowhere", "", OPENAI, 404),
    Address("OPTIONS", "/v1/listen", "listen", DEEPGRAM, 405),
    Address("GET", "//v1/listen", "", OPENAI, 404),
    Address("POST", "/v1//listen", "", OPENAI, 404),
    Address("GET", "/v1/listen/", "", OPENAI, 307),
    Address("GET", "/V1/LISTEN", "", OPENAI, 404),
    Address("GET", "/v1%2Flisten", "listen", DEEPGRAM, 426),
    Address("GET", "/static/..%2Fv1%2Fmodels", None, OPENAI, 404),  # type: ignore[arg-type]
]

LIVE, UPLOAD, MODELS = (
    next(a for a in ADDRESSES if a[:2] == wanted)
    for wanted in (("WS", f"/v1/listen?{RAW}"), ("POST", "/v1/audio/transcriptions"), ("GET", "/v1/models"))
)
HTTP = httpx.Client(verify=False, timeout=60)


class Served(NamedTuple):
    server: Running
    keys: Made
    expired_token: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failed_tries, "BURST", 10**9)  # slowing has its own test
        keys = made(tmp_path_factory.mktemp("keys"))
        with running(ScriptedEngine(), keys_file=str(keys.file), max_streams=999) as server:
            ring = server.service.keyring
            caller = ring.caller(keys.secrets["all"].encode())
            expired = ring.token(caller, -1, prefix=keyring.TOKEN_PREFIX, scopes=("listen", "transcribe"))
            yield Served(server, keys, expired)
    HTTP.close()


def ask(server: Running, address: Address, shown: Shown) -> httpx.Response:
    """The response; of a WebSocket that opens, its handshake's."""
    if address.method != "WS":
        return HTTP.request(address.method, server.url + address.path, **shown)
    where = server.url.replace("http", "ws") + address.path
    options = {"additional_headers": shown.get("headers"), "subprotocols": shown.get("subprotocols")}
    try:
        with connect(where, compression=None, **options) as socket:
            assert socket.response
            return httpx.Response(101, headers=list(socket.response.headers.raw_items()))
    except InvalidStatus as refused:
        response = refused.response
        return httpx.Response(
            response.status_code, headers=list(response.headers.raw_items()), content=bytes(response.body or b"")
        )


def spellings(address: Address) -> list[Callable[[str], Shown]]:
    return [
        spell for name, spell in SPELLINGS.items() if address.method == "WS" or ("," not in name and name != "openai")
    ]


def is_in_form(answer: httpx.Response, address: Address, code: str) -> bool:
    """Whether the body is an error of the API that the address belongs to."""
    if address.method == "HEAD":
        return True
    body = answer.json()
    if address.form == DEEPGRAM:
        return (
            body["err_code"] == code and bool(body["err_msg"]) and body["request_id"] == answer.headers["dg-request-id"]
        )
    error = body["error"]
    return {"message", "type", "param", "code"} == set(error) and bool(answer.headers["x-request-id"])


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda a: f"{a.method} {a.path}")
def test_only_a_right_key_comes_in_in_every_spelling(served: Served, address: Address) -> None:
    """401 for none, a wrong one and an expired one, 403 for one without the scope, before any upgrade."""
    server, keys, expired_token = served
    if address.scope is None:  # an open address
        assert ask(server, address, {}).status_code == address.status
        return
    refused = ask(server, address, {})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert is_in_form(refused, address, "INVALID_AUTH")
    for spell in spellings(address):
        for wrong in ("sw_" + "x" * 43, "any", keys.secrets["expired"], expired_token, keys.secrets["all"][:-1]):
            answer = ask(server, address, spell(wrong))
            assert (answer.status_code, is_in_form(answer, address, "INVALID_AUTH")) == (401, True)
            assert wrong not in answer.text
            assert "content-security-policy" in answer.headers
        right = ask(server, address, spell(keys.secrets[f"only-{address.scope}" if address.scope else "only-metrics"]))
        assert right.status_code == address.status
        if right.status_code == 101 and "subprotocols" in spell("k"):
            assert right.headers["sec-websocket-protocol"] == spell("k")["subprotocols"][0]
        if address.scope:
            answer = ask(server, address, spell(keys.secrets[f"not-{address.scope}"]))
            assert answer.status_code == 403
            assert is_in_form(answer, address, "INSUFFICIENT_PERMISSIONS")


def test_no_route_is_missing_from_the_table(served: Served) -> None:
    """Every method of every route of the application has a row above, and its scope; or it is open, and tested below.

    A route that is in no list needs a key of any kind; whoever adds one decides which scope it asks for.
    """
    for route in create_app(served.server.service.settings, [ScriptedEngine()]).routes:
        path = route.path  # type: ignore[attr-defined]
        listed = path in SCOPE_OF or path in OPEN_PATHS or path.startswith((OPERATE_PREFIX, "/v1/models/"))
        assert listed or isinstance(route, Mount), path
        for method in sorted(set(getattr(route, "methods", None) or {"WS"}) - {"HEAD"}):
            assert path in OPEN or any(is_row(route, method, address) for address in ADDRESSES), f"{method} {path}"


ODD = (
    "%s\n",
    "\n%s",
    "%s\r",
    "%s\0",
    "%s\u2028",
    "%s ",
    "%s/",
    "/%s",
    "%s;a=b",
    "%s.",
    "%s/.",
    "%s?",
    "%s#",
    "%s%%0A",
    "%s\t",
    "%s\n\n",
)


def test_the_gate_and_the_router_read_every_path_alike(served: Served) -> None:
    """A path that the router takes for a route, and the gate for none, would be open to a key of any scope.

    Each spelling of each path, also those that only Python's `$` takes for it, has its route's scope, or no route.
    """
    routes = create_app(served.server.service.settings, [ScriptedEngine()]).routes
    paths = sorted(
        {address.path.partition("?")[0] for address in ADDRESSES if address.path.startswith("/v")} | SCOPE_OF.keys()
    )
    seen = 0
    for path in (path for plain in paths for path in (plain, *(odd % plain for odd in ODD), plain.upper())):
        for method in ("GET", "POST", "WS"):
            kind = {"type": "websocket"} if method == "WS" else {"type": "http", "method": method}
            scope = {**kind, "path": path, "root_path": "", "path_params": {}, "headers": []}
            for route in routes:
                if route.matches(scope)[0] is Match.FULL and not isinstance(route, Mount):
                    seen += 1
                    assert scope_for(scope) == scope_for(scope | {"path": route.path}), f"{method} {path!r}"  # type: ignore[attr-defined]
    assert seen > len(SCOPE_OF)


@pytest.mark.parametrize(
    "address",
    [a for a in ADDRESSES if a.path.startswith("/v") or a.path == "/metrics"],
    ids=lambda a: f"{a.method} {a.path}",
)
def test_a_path_with_a_line_end_is_no_route(served: Served, address: Address) -> None:
    """Python's `$` also matches before a line end: with `/metrics%0A` a key for streams could read the metrics."""
    path, mark, query = address.path.partition("?")
    shown = SPELLINGS["Token"](served.keys.secrets["only-metrics" if address.scope != "metrics" else "only-listen"])
    answer = ask(served.server, address._replace(path=f"{path}%0A{mark}{query}"), shown)
    assert answer.status_code in (403, 404)  # a path under /v1/operate/ is refused before


def is_row(route: BaseRoute, method: str, address: Address) -> bool:
    """Whether the row asks this route with this method, without its query."""
    kind = {"type": "websocket"} if method == "WS" else {"type": "http", "method": method}
    scope = {**kind, "path": address.path.partition("?")[0], "root_path": "", "path_params": {}, "headers": []}
    return address.method == method and route.matches(scope)[0] is Match.FULL


OPEN = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/asyncapi.json", "/static")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/static/app.js", "/static/style.css"])
def test_probes_and_the_page_need_no_key(served: Served, path: str) -> None:
    """The page asks its user for a key. A wrong key is no reason to refuse what everybody may see."""
    assert HTTP.get(served.server.url + path).status_code in (200, 503)
    assert HTTP.get(served.server.url + path, headers={"Authorization": "Token wrong"}).status_code in (200, 503)


CONFUSING: dict[str, list[tuple[str, str]]] = {
    "two keys": [("Authorization", "Token {right}"), ("Authorization", "Token wrong")],
    "the other order": [("Authorization", "Token wrong"), ("Authorization", "Token {right}")],
    "two places": [("Authorization", "Bearer {right}"), ("api-key", "wrong")],
    "joined": [("Authorization", "Token {right}, Token {right}")],
    "basic": [("Authorization", "Basic {right}")],
    "no scheme": [("Authorization", "{right}")],
    "no space": [("Authorization", "Token{right}")],
    "a tab": [("Authorization", "Token\t{right}")],
    "empty": [("Authorization", "")],
    "only a scheme": [("Authorization", "Token")],
    "empty api-key": [("api-key", "")],
    "words after it": [("Authorization", "Token {right} more")],
    "not ASCII": [("Authorization", "Token schlüssel")],
    "very long": [("Authorization", "Token " + "x" * 7_000)],
    "in lower case": [("Authorization", "Token {lower}")],
    "in a cookie": [("Cookie", "token={right}")],
    "in a place of others": [("X-Forwarded-Authorization", "Token {right}")],
    "its hash": [("Authorization", "Token {hash}")],
    "its name": [("Authorization", "Token all")],
}


@pytest.mark.parametrize("case", CONFUSING)
def test_a_key_that_is_shown_in_a_confusing_way_opens_nothing(served: Served, case: str) -> None:
    """A proxy in between might have checked the other one of two keys."""
    right = served.keys.secrets["all"]
    known = served.server.service.keyring.named("all")
    assert known
    filled = {"right": right, "lower": right.lower(), "hash": known.sha256}
    headers = [(name.encode(), value.format(**filled).encode()) for name, value in CONFUSING[case]]
    answer = HTTP.get(served.server.url + "/v1/models", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "offered",
    [["token"], ["{right}"], ["{right}", "token"], ["token", "wrong", "bearer", "{right}"], ["tokens", "{right}"],
     ["openai-insecure-api-key."], ["openai-insecure-api-key.wrong", "realtime"], ["Token", "{right}"]],
)  # fmt: skip
def test_subprotocols_that_only_look_like_a_key_open_nothing(served: Served, offered: list[str]) -> None:
    """The key is the subprotocol after `token` or `bearer`; two different keys are refused."""
    subprotocols = [name.format(right=served.keys.secrets["all"]) for name in offered]
    assert ask(served.server, LIVE, {"subprotocols": subprotocols}).status_code == 401


def test_the_same_key_in_two_places_is_one_key(served: Served) -> None:
    """As Deepgram's JavaScript client in Node may send it."""
    key = served.keys.secrets["all"]
    shown = {"headers": {"Authorization": f"Token {key}"}, "subprotocols": ["token", key]}
    assert ask(served.server, LIVE, shown).status_code == 101


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "API-KEY", "key", "authorization", "%74oken"])
@pytest.mark.parametrize("address", [LIVE, UPLOAD, MODELS], ids=lambda a: a.path)
def test_a_key_in_the_address_is_refused_with_a_sentence(
    served: Served, address: Address, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even beside a right one in its place. The log has the refusal, without the key."""
    key = served.keys.secrets["all"]
    path = f"{address.path}{'&' if '?' in address.path else '?'}{name}={key}"
    with caplog.at_level(logging.DEBUG, "steadyword.server"), caplog.at_level(logging.DEBUG, "uvicorn"):
        answer = ask(served.server, address._replace(path=path), SPELLINGS["Token"](key))
    assert answer.status_code == 400
    assert "found a key in the address" in answer.text
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert logged
    assert key not in answer.text + str(logged)


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda a: f"{a.method} {a.path}")
def test_other_hosts_names_are_refused_on_every_address(served: Served, address: Address) -> None:
    """DNS rebinding: a stranger's name points here. The key does not help."""
    shown = SPELLINGS["Token"](served.keys.secrets["all"])
    if address.method != "WS":  # a WebSocket client sends its own Host
        shown["headers"]["Host"] = "evil.example"
        assert ask(served.server, address, shown).status_code == 403
        return
    port = int(served.server.url.rpartition(":")[2])
    with sockets.create_connection(("127.0.0.1", port)) as plain:
        lines = [f"GET {address.path} HTTP/1.1", "Host: evil.example", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                 f"Authorization: {shown['headers']['Authorization']}", "", ""]  # fmt: skip
        plain.sendall("\r\n".join(lines).encode())
        assert plain.recv(64).startswith(b"HTTP/1.1 403")


BROKEN = {
    "a blank before the colon": "Authorization : Token {key}",
    "a NUL": "Authorization: Token {key}\0",
    "no colon": "Authorization Token {key}",
    "a form feed": "Authorization\f: Token {key}",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_header_that_is_none_is_refused_without_repeating_it(
    served: Served, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither to the client, whose proxies may log it, nor in our log; with the headers of every response."""
    key = served.keys.secrets["all"]
    port = int(served.server.url.rpartition(":")[2])
    request = f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n{BROKEN[case].format(key=key)}\r\n\r\n"
    with caplog.at_level(logging.DEBUG), sockets.create_connection(("127.0.0.1", port), 30) as plain:
        plain.sendall(request.encode())
        answer = plain.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Security-Policy" in answer
    assert key not in answer.decode() + caplog.text


def test_preflights_check_the_host_too() -> None:
    """A listed page's preflight shows no key, and is answered before one is asked for."""
    page = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    with running(ScriptedEngine(), allowed_origins=("https://app.example",)) as server:
        assert HTTP.options(server.url + "/v1/listen", headers=page).status_code == 204
        assert HTTP.options(server.url + "/v1/listen", headers=page | {"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/static/app.js"])
def test_open_addresses_check_the_host_too(served: Served, path: str) -> None:
    """Also the page's files."""
    answer = HTTP.get(served.server.url + path, headers={"Host": "evil.example"})
    assert answer.status_code == 403
    assert "list that name in allowed_hosts" in answer.json()["error"]["message"]


def test_a_server_without_keys_asks_for_none() -> None:
    """And takes any that clients send, since their SDKs insist on one."""
    with running(ScriptedEngine()) as server:
        for shown in ({}, SPELLINGS["Token"]("any"), {"headers": {"Authorization": "what"}}):
            assert HTTP.get(server.url + "/v1/models", **shown).status_code == 200
        with server.listen(subprotocols=["token", "any"]) as socket:
            assert socket.subprotocol == "token"
