"""What browsers need before they show a page the responses of this server. Real requests, a scripted engine."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Route

from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running, wav

pytestmark = pytest.mark.slow

PAGE = "http://localhost:3000"
UPLOAD = "/v1/audio/transcriptions"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-mine"}


async def fail(request: Request) -> None:
    raise RuntimeError("a fault of the server")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine(), routes=[Route("/fail", fail)], allowed_origins=(PAGE + "/",)) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 503),
        ("GET", "/metrics", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/none", 404),
        ("GET", "/v1/listen", 400),
        ("GET", "/static/app.js", 200),
        ("GET", "/nowhere", 404),
        ("GET", UPLOAD, 405),
        ("POST", UPLOAD, 400),
        ("GET", "/fail", 500),
    ],
)
def test_a_listed_page_may_read_every_response_and_no_other_page_any(
    server: Running, method: str, path: str, status: int
) -> None:
    """Errors too. Caches keep the responses apart."""
    query = "?sample_rate=x" if path == "/v1/listen" else ""
    for origin, allowed in ((PAGE, PAGE), ("https://evil.example", None), (None, None)):
        answer = httpx.request(method, server.url + path + query, headers={"Origin": origin} if origin else {})
        if origin in (PAGE, None):
            assert answer.status_code == status
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers


def test_a_listed_page_may_upload(server: Running) -> None:
    """The request after its preflight."""
    answer = httpx.post(server.url + UPLOAD, files={"file": ("a.wav", wav(0.5))}, headers={"Origin": PAGE})
    assert (answer.json()["text"], answer.headers["access-control-allow-origin"]) == ("w0", PAGE)


@pytest.mark.parametrize("path", [UPLOAD, "/v1/models", "/v1/listen", "/nowhere"])
def test_a_preflight_of_a_listed_page_is_answered(server: Running, path: str) -> None:
    """204 with the origin, the methods and the headers that the page will send; also for a server on this machine."""
    private = {"Access-Control-Request-Private-Network": "true"}
    answer = httpx.options(server.url + path, headers={"Origin": PAGE} | PREFLIGHT | private)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization, x-mine"
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert {"Origin", "Access-Control-Request-Headers"} <= set(answer.headers["vary"].split(", "))


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3001", "https://localhost:3000", "null"])
def test_a_preflight_of_another_page_is_not(server: Running, origin: str) -> None:
    """No header that allows anything."""
    answer = httpx.options(server.url + UPLOAD, headers={"Origin": origin} | PREFLIGHT)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]
