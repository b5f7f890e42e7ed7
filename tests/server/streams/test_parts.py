"""Settings, origins, the inbox, admission: the server's small parts."""

import asyncio
from pathlib import Path

import pytest

from asr.errors import ConfigError
from server.config import load_settings
from server.http.origin import OriginError, check_origin
from server.metrics import Metrics
from server.streams.admission import Admission, Unavailable
from server.streams.inbox import Inbox


def test_the_server_is_private_until_told_otherwise() -> None:
    """The defaults in `configs/server.toml`."""
    settings = load_settings()
    assert (settings.host, settings.port, settings.models[0]) == ("127.0.0.1", 8000, "whisper-tiny.en")
    assert settings.allowed_origins == ()


def test_a_file_is_laid_over_the_defaults_and_options_over_the_file(tmp_path: Path) -> None:
    """What a file does not name stays."""
    file = tmp_path / "my.toml"
    file.write_text("port = 9000\nmax_streams = 2\n[session.vad]\nendpoint_ms = 700\n")
    settings = load_settings(file, host="0.0.0.0", port=None)
    assert (settings.host, settings.port, settings.max_streams) == ("0.0.0.0", 9000, 2)
    assert settings.session.vad.endpoint_ms == 700
    assert settings.max_batch == load_settings().max_batch


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("max_steams = 2", "unknown key 'max_steams'"),
        ("port = 70000", "port: found 70000, wanted 0 to 65535"),
        ("models = []", "models: found an empty list"),
        ("idle_timeout_s = 0", "idle_timeout_s: found 0.0, wanted more than 0"),
        ("max_streams = 'many'", "max_streams: found 'many', wanted int"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, toml: str, sentence: str) -> None:
    """With the key, what was found and what is wanted."""
    (tmp_path / "bad.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "bad.toml")
    assert sentence in str(caught.value)


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
def test_programs_the_own_page_and_listed_pages_may_connect(origin: str | None, host: str) -> None:
    """No Origin is no browser."""
    headers = {"host": host} | ({"origin": origin} if origin else {})
    check_origin(headers, ["https://asr.example.org/"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:8000"),
        ("http://127.0.0.1:9000", "127.0.0.1:8000"),
        ("http://evil.example:8000", "evil.example:8000"),  # a name pointed at 127.0.0.1 meanwhile
        ("null", "127.0.0.1:8000"),
        ("http://[::", "127.0.0.1:8000"),
        ("", ""),
    ],
)
def test_other_pages_may_not(origin: str, host: str) -> None:
    """Also not by DNS rebinding, where Origin and Host are the same."""
    with pytest.raises(OriginError, match="allowed_origins"):
        check_origin({"origin": origin, "host": host}, [])


def test_the_inbox_gives_back_in_order_and_is_bounded() -> None:
    """A producer that awaits room is held until the consumer has taken."""

    async def fill() -> None:
        inbox: Inbox[str] = Inbox(100)
        inbox.put("a", 90)
        await inbox.room()
        inbox.put("b", 90)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.room(), 0.01)
        assert inbox.take() == "a"
        await inbox.room()
        assert (inbox.take(), inbox.take()) == ("b", None)

    asyncio.run(fill())


def test_items_without_a_size_fill_the_inbox_too() -> None:
    """A flood of empty messages is held like a flood of audio."""

    async def flood() -> None:
        inbox: Inbox[int] = Inbox(1000)
        for count in range(1000):
            await asyncio.wait_for(inbox.room(), 0.01)
            inbox.put(count)

    with pytest.raises(TimeoutError):
        asyncio.run(flood())


def test_admission_counts_refuses_and_drains() -> None:
    """Over the limit and while draining nobody comes in; those inside are asked to end, and waited for."""

    async def visit() -> list[str]:
        admission = Admission(1, 0.9, Metrics())
        log: list[str] = []
        leave = asyncio.Event()

        def asked() -> None:
            log.append("asked")
            leave.set()

        async def inside() -> None:
            with admission.place(asked):
                await leave.wait()
            log.append("left")

        task = asyncio.create_task(inside())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="all 1 places are taken"):
            admission.check()
        await admission.drain(30.0)
        with pytest.raises(Unavailable, match="shutting down"):
            admission.check()
        await task
        return log

    assert asyncio.run(visit()) == ["asked", "left"]


def test_every_guest_has_a_place_of_its_own() -> None:
    """Also those who are ended in the same way, as all uploads are."""
    admission = Admission(2, 0.9, Metrics())

    def end() -> None:
        """Nothing."""

    with admission.place(end):
        admission.check()
        with admission.place(end), pytest.raises(Unavailable):
            admission.check()
        admission.check()


def test_a_drain_does_not_wait_for_ever() -> None:
    """One that will not leave is left behind."""

    async def visit() -> None:
        admission = Admission(1, 0.9, Metrics())
        with admission.place(lambda: None):
            await admission.drain(0.01)

    asyncio.run(visit())
