"""Which web pages may connect."""

import pytest

from server.http.origin import OriginError, check_origin


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://192.168.1.5:8000", "192.168.1.5:8000"),
        ("https://[::1]:8000", "[::1]:8000"),
        ("https://asr.example.org", "asr.example.org"),
    ],
)
def test_programs_the_servers_own_page_and_listed_pages_may_connect(origin: str | None, host: str) -> None:
    """A request without Origin does not come from a browser."""
    headers = {"host": host} | ({"origin": origin} if origin else {})
    check_origin(headers, ["https://asr.example.org/"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:8000"),
        ("http://127.0.0.1:9000", "127.0.0.1:8000"),
        ("http://evil.example:8000", "evil.example:8000"),  # a name that now points to 127.0.0.1
        ("null", "127.0.0.1:8000"),
        ("http://[::", "127.0.0.1:8000"),
        ("", ""),
    ],
)
def test_other_pages_may_not(origin: str, host: str) -> None:
    """Not by DNS rebinding either, where Origin and Host are the same."""
    with pytest.raises(OriginError, match="allowed_origins"):
        check_origin({"origin": origin, "host": host}, [])
