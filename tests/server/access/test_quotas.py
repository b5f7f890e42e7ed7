"""The limits of a key: streams at a time, audio a day, and what a removed key ends."""

import json
import socket as sockets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from server.access.context import begin
from server.access.keyring import Keyring
from server.access.keys import remove_key
from server.access.quotas import DAY_S, QuotaError, Quotas
from server.access.usage import UsageFile
from tests.server.access.keys import Made, made
from tests.server.fakes import ScriptedEngine
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed, wav

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Made:
    keys = made(tmp_path_factory.mktemp("keys"))
    keys.add("two", max_streams=2)
    keys.add("short", audio_s_per_day=3.0)
    keys.add("brief", audio_s_per_day=3.0)
    keys.add("leaked")
    keys.add("upload", audio_s_per_day=3.0)
    return keys


@pytest.fixture(scope="module")
def server(keys: Made) -> Iterator[Running]:
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        yield server


def listen(server: Running, key: str, query: str = RAW) -> ClientConnection:
    return server.listen(query, additional_headers={"Authorization": f"Token {key}"})


def test_many_opens_at_once_get_no_more_places_than_the_key_has(server: Running, keys: Made) -> None:
    """429 with Retry-After for the rest; other keys have their places, and an end frees one."""
    opened: list[ClientConnection] = []
    refused: list[tuple[int, str | None]] = []
    begun, held = threading.Barrier(24), ExitStack()

    def attempt(_: int) -> None:
        begun.wait(30)
        try:
            opened.append(held.enter_context(listen(server, keys.secrets["two"])))
        except InvalidStatus as error:
            refused.append((error.response.status_code, error.response.headers.get("Retry-After")))

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(attempt, range(24)))
    assert len(opened) == 2
    assert refused == [(429, "5")] * 22
    upload = {"files": {"file": ("a.wav", wav(0.5))}, "headers": {"Authorization": f"Bearer {keys.secrets['two']}"}}
    answer = httpx.post(server.url + "/v1/audio/transcriptions", **upload)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    with listen(server, keys.secrets["all"]):
        opened.pop().close()
    eventually(lambda: server.service.quotas.open_streams("two") == 1)
    with listen(server, keys.secrets["two"]):
        held.close()
    eventually(lambda: server.service.quotas.open_streams("two") == 0)


def test_tokens_count_for_their_key(server: Running, keys: Made) -> None:
    """Otherwise a key could grant itself more places."""
    headers = {"Authorization": f"Token {keys.secrets['two']}"}
    token = httpx.post(server.url + "/v1/auth/grant", headers=headers).json()["access_token"]
    with listen(server, token), listen(server, keys.secrets["two"]), pytest.raises(InvalidStatus) as refused:
        listen(server, token).__enter__()
    assert refused.value.response.status_code == 429


def test_a_stream_ends_when_the_day_is_used_up_with_its_text(server: Running, keys: Made) -> None:
    """1008 KEY-LIMIT after the results of everything received; then 429 until midnight UTC."""
    with listen(server, keys.secrets["short"]) as socket:
        for _ in range(4):
            socket.send(pcm(1.0))
        messages, code = until_closed(socket)
    assert code == 1008
    assert messages[-1]["type"] == "Error"
    assert messages[-1]["variant"] == "KEY-LIMIT"
    assert "3 seconds of audio of this day" in messages[-1]["description"]
    assert transcript(messages).startswith("w0 w1 w2 w3 w4 w5")
    with pytest.raises(InvalidStatus) as refused, listen(server, keys.secrets["short"]):
        pass
    assert refused.value.response.status_code == 429
    assert 0 < int(refused.value.response.headers["Retry-After"]) <= DAY_S


def test_an_upload_over_the_day_is_refused(server: Running, keys: Made) -> None:
    """In the form of its API."""
    headers = {"Authorization": f"Token {keys.secrets['upload']}"}
    answer = httpx.post(server.url + "/v1/listen", content=wav(8.0), headers=headers | {"Content-Type": "audio/wav"})
    assert (answer.status_code, answer.json()["err_code"]) == (429, "TOO_MANY_REQUESTS")
    assert int(answer.headers["retry-after"]) <= DAY_S


def test_a_removed_key_ends_its_streams_at_their_next_audio(server: Running, keys: Made) -> None:
    """Without a restart, and without harm to the streams of others."""
    with listen(server, keys.secrets["leaked"]) as leaked, listen(server, keys.secrets["all"]) as other:
        leaked.send(pcm(1.0))
        other.send(pcm(2.0))
        remove_key(keys.file, "leaked")
        eventually(lambda: server.service.keyring.named("leaked") is None)
        leaked.send(pcm(0.5))
        messages, code = until_closed(leaked)
        assert (code, messages[-1]["variant"]) == (1008, "KEY-LIMIT")
        assert "was removed" in messages[-1]["description"]
        other.send(CLOSE)
        assert until_closed(other)[1] == 1000
    with pytest.raises(InvalidStatus) as refused, listen(server, keys.secrets["leaked"]):
        pass
    assert refused.value.response.status_code == 401


def test_a_key_that_is_added_comes_in_without_a_restart(server: Running, keys: Made) -> None:
    """The file is looked at once a second."""
    key = keys.add("new")
    eventually(lambda: server.service.keyring.named("new") is not None)
    assert httpx.get(server.url + "/v1/models", headers={"Authorization": f"Token {key}"}).status_code == 200


def test_a_stream_is_resumed_only_with_the_key_that_opened_it(server: Running, keys: Made) -> None:
    """Or with a token of that key. It keeps its place, and the key's count, while nobody is there."""
    query = f"{RAW}&resumable=30"
    with listen(server, keys.secrets["two"], query) as socket:
        session = json.loads(socket.recv(timeout=30))
        socket.send(pcm(1.0))
        socket.socket.shutdown(sockets.SHUT_RDWR)  # without a farewell
    resume = f"resume={session['resume']}&sequence=0"
    with pytest.raises(InvalidStatus) as refused, listen(server, keys.secrets["all"], resume):
        pass
    assert refused.value.response.status_code == 410
    assert server.service.quotas.open_streams("two") == 1
    headers = {"Authorization": f"Token {keys.secrets['two']}"}
    token = httpx.post(server.url + "/v1/auth/grant", headers=headers).json()["access_token"]
    with listen(server, token, resume) as socket:
        socket.send(pcm(1.0))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert code == 1000
    assert transcript(messages).startswith("w0 w1")
    eventually(lambda: server.service.quotas.open_streams("two") == 0)


def test_what_each_key_uses_is_listed(server: Running, keys: Made) -> None:
    """For operators, without the keys or their hashes."""
    headers = {"Authorization": f"Token {keys.secrets['only-operate']}"}
    answer = httpx.get(server.url + "/v1/operate/usage", headers=headers)
    two = answer.json()["keys"]["two"]
    assert (two["max_streams"], two["audio_s_per_day"]) == (2, None)
    known = server.service.keyring.named("two")
    assert known
    assert known.sha256 not in answer.text


@pytest.fixture
def own_request() -> Iterator[None]:
    """The request that the test begins is not that of the tests after it."""
    yield
    begin(None)


@pytest.mark.usefixtures("own_request")
def test_a_day_begins_at_midnight(tmp_path: Path) -> None:
    """UTC; Retry-After says how long until then."""
    now = [10 * DAY_S + DAY_S - 100.0]
    keys = Made(tmp_path / "keys.toml", {})
    keys.add("one", audio_s_per_day=60.0)
    ring = Keyring(keys.file, lambda: now[0])
    quotas = Quotas(ring, lambda: now[0])
    begin(ring.caller(keys.secrets["one"].encode()))
    quotas.count_audio(60.0)
    with pytest.raises(QuotaError) as refused:
        quotas.check_place()
    assert refused.value.retry_after_s == 100
    now[0] += 100.0
    quotas.check_place()
    assert quotas.audio_s("one") == 0.0


def test_a_restart_does_not_give_a_key_its_day_again(tmp_path: Path) -> None:
    """The file beside the keys has no secret; only its owner may read it."""
    keys = made(tmp_path)
    secret = keys.add("daily", audio_s_per_day=3.0)
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server, listen(server, secret) as stream:
        stream.send(pcm(2.0))
        stream.send(CLOSE)
        until_closed(stream)
    file = tmp_path / "keys.usage.json"
    assert json.loads(file.read_text())["audio_s"] == {"daily": pytest.approx(2.0)}
    assert file.stat().st_mode & 0o077 == 0
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        assert server.service.quotas.audio_s("daily") == pytest.approx(2.0)
        with listen(server, secret) as stream:
            stream.send(pcm(2.0))
            assert until_closed(stream)[1] == 1008
        with pytest.raises(InvalidStatus) as refusal, listen(server, secret):
            pass
    assert refusal.value.response.status_code == 429


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"day": 20000}', '{"day": "x", "audio_s": {}}', '{"day": 20000, "audio_s": {"daily": -1}}',
     '{"day": 20000, "audio_s": {"daily": NaN}}', '{"day": 19999, "audio_s": {"daily": 5}}',
     '{"day": 20000, "audio_s": 1}'],
)  # fmt: skip
def test_a_broken_file_of_counts_or_one_of_another_day_counts_nothing(text: str, tmp_path: Path) -> None:
    """The server starts all the same, and writes a whole one."""
    quotas = Quotas(Keyring(None), lambda: 20_000.5 * DAY_S)
    file = tmp_path / "usage.json"
    file.write_text(text)
    usage = UsageFile(file, quotas)
    usage.read()
    assert quotas.audio_s("daily") == 0.0
    quotas.restore(20_000, {"daily": 7.0})
    usage.write()
    assert json.loads(file.read_text()) == {"day": 20_000, "audio_s": {"daily": 7.0}}


def test_counts_that_cannot_be_written_are_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As on a read-only disk; the server goes on with those in memory."""
    quotas = Quotas(Keyring(None))
    (tmp_path / "file").write_text("")
    usage = UsageFile(tmp_path / "file" / "usage.json", quotas)
    usage.read()
    for seconds in (1.0, 2.0):
        quotas.restore(quotas.counts()[0], {"daily": seconds})
        usage.write()
    assert caplog.text.count("a restart will forget what the keys have used today") == 1
