"""Canary and shadow in a running server: arms by client, outcomes and pairs in the ledger, and nothing else."""

import json
import logging
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from asr.aliases import CANARY, CHAMPION, LOADING, SHADOW
from asr.errors import ModelError
from asr.ledger import Ledger, Outcome, Pair, Release, open_ledger
from server.access.client_salt import VARIABLE
from server.canary import arm_of, client_of
from server.roster.follow import Follower
from server.roster.roster import Plan
from tests.asr.ledger.releases import add_releases
from tests.server.fakes import POISON
from tests.server.observed import NAME, PATIENT, SALT, on_loop, put, release
from tests.server.roster.speaking import releases
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed, wav
from tests.server.shadow.rig import LetterEngine, OtherEngine, word


class Followed(LetterEngine):
    """A release of the ledger. `languages` without English: the self-test does not look at its words."""

    languages = ("ja",)

    def __init__(self, release: Release) -> None:
        super().__init__()
        self.name, self.release, self.weights_sha256 = release.name, release.ref, release.sha256

    def await_ready(self) -> None:
        """It is loaded."""

    def close(self) -> None:
        """There is no process."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def served(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server whose champion is release 1."""
    monkeypatch.setenv(VARIABLE, SALT)
    with running(release(1), observe=ledger, request_log=str(tmp_path / "requests.log"), **PATIENT) as server:
        yield server


def change(server: Running, alias: str, number: int, **options: float) -> None:
    async def plan() -> None:
        server.service.roster.plan(NAME, {alias: Plan(f"{NAME}/{number}", options)})

    on_loop(server, plan())


def listen(server: Running, client: str = "", *parts: bytes, query: str = RAW) -> tuple[str, str]:
    """One stream to its end: the release that its finals name, and its text."""
    with server.listen(f"{query}&client_id={client}") as socket:
        for part in parts or (pcm(6.0),):
            socket.send(part)
        socket.send(CLOSE)
        messages, _ = until_closed(socket)
    named = releases(messages)
    assert len(named) == 1, messages
    return named.pop(), transcript(messages)


def outcomes(ledger: Ledger, count: int) -> list[Outcome]:
    eventually(lambda: len(ledger.outcomes(NAME)) >= count)
    return ledger.outcomes(NAME)


def pairs(ledger: Ledger, count: int, challenger: int = 2) -> list[Pair]:
    eventually(lambda: len(ledger.pairs(NAME, 1, challenger)) >= count)
    return ledger.pairs(NAME, 1, challenger)


def arms(server: Running, clients: Sequence[str]) -> dict[str, str]:
    return {client: listen(server, client, pcm(0.6))[0] for client in clients}


def test_a_client_keeps_its_release_while_the_weight_moves_in_steps(served: Running, ledger: Ledger) -> None:
    """Over the wire as by the function, up and down; both arms' outcomes are in the ledger, with the client's hash."""
    clients = [f"client-{number}" for number in range(10)]
    put(served, CANARY, release(2), weight=0.3)
    at_30 = arms(served, clients)
    change(served, CANARY, 2, weight=0.7)
    at_70 = arms(served, clients)
    hashes = {client: client_of(SALT.encode(), address="127.0.0.1", client_id=client) for client in clients}
    for client in clients:
        wanted = [arm_of(f"{NAME}/2", hashes[client], weight) for weight in (0.3, 0.7)]
        assert [at_30[client], at_70[client]] == [f"{NAME}/{2 if arm == CANARY else 1}" for arm in wanted]
    assert {client for client in clients if at_30[client] == f"{NAME}/2"} <= {
        client for client in clients if at_70[client] == f"{NAME}/2"
    }
    assert len({*at_70.values()}) == 2, "both arms are met"
    rows = outcomes(ledger, 20)
    assert sorted((row.client, row.release) for row in rows) == sorted(
        (hashes[client], int(at[client][-1])) for at in (at_30, at_70) for client in clients
    )
    assert all(row.arm == (CANARY if row.release == 2 else CHAMPION) for row in rows)
    assert served.metric("asr_canary_weight", model=NAME, release=f"{NAME}/2") == 0.7


def test_an_outcome_says_how_the_stream_ended(served: Running, ledger: Ledger) -> None:
    """At its end, by a client that leaves, by a fault; a probe without audio is none."""
    listen(served)
    with served.listen() as socket:
        socket.send(pcm(6.0))
        json.loads(socket.recv(timeout=30))
    eventually(lambda: len(ledger.outcomes(NAME)) == 2)
    with served.listen() as socket:
        socket.send(pcm(1.0, POISON))
        until_closed(socket)
    with served.listen() as socket:
        socket.send(CLOSE)
        until_closed(socket)
    rows = outcomes(ledger, 3)
    assert [row.cause for row in rows] == ["finished", "gone", "internal"]
    finished = rows[0]
    assert (finished.words, finished.audio_s, finished.release, finished.arm) == (12, 6.0, 1, CHAMPION)
    assert finished.delay_p95_s is not None
    assert finished.delay_p95_s >= 0.0
    assert rows[2].delay_p95_s is None


def test_a_canary_that_is_still_loading_gets_no_stream_and_no_outcome_is_counted(
    served: Running, ledger: Ledger
) -> None:
    """Its clients are with the champion meanwhile: as the champion's they would spoil the ratio of the two."""
    change(served, CANARY, 2, weight=1.0)
    assert listen(served)[0] == f"{NAME}/1"
    put(served, CANARY, release(2), weight=1.0)
    assert listen(served)[0] == f"{NAME}/2"
    assert [row.arm for row in outcomes(ledger, 1)] == [CANARY]


def test_uploads_sit_with_the_champion_and_are_in_no_row(served: Running, ledger: Ledger) -> None:
    put(served, CANARY, release(2), weight=1.0)
    request = urllib.request.Request(f"{served.url}/v1/listen", wav(2.0), {"Content-Type": "audio/wav"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["metadata"]["release"] == f"{NAME}/1"
    listen(served)
    assert [row.arm for row in outcomes(ledger, 1)] == [CANARY]


def test_a_shadow_hears_the_champions_streams(served: Running, ledger: Ledger) -> None:
    """One pair for a stream, one for all channels of a stream, none for a stream outside of the sample."""
    put(served, SHADOW, release(2, OtherEngine), share=1.0)
    assert len(listen(served)[1].split()) == 12
    stereo = b"".join(pcm(1 / 16_000) * 2 for _ in range(16_000 * 6))
    with served.listen(f"{RAW}&channels=2&multichannel=true") as socket:
        socket.send(stereo)
        socket.send(CLOSE)
        until_closed(socket)
    rows = pairs(ledger, 2)
    assert [(row.words, row.challenger_words, row.distance) for row in rows] == [(12, 12, 4), (24, 24, 8)]
    assert len({row.stream_id for row in rows}) == 2
    change(served, SHADOW, 2, share=0.0)
    listen(served)
    assert len(outcomes(ledger, 3)) == 3
    assert len(pairs(ledger, 2)) == 2
    assert {row.stream_id for row in rows} < {row.stream_id for row in outcomes(ledger, 3)}


def test_a_resumed_stream_is_one_pair(served: Running, ledger: Ledger) -> None:
    """Its session is the same before and after the connection broke."""
    put(served, SHADOW, release(2, OtherEngine), share=1.0)
    with served.listen(f"{RAW}&resumable=30") as socket:
        token = json.loads(socket.recv(timeout=30))["resume"]
        socket.send(pcm(6.0))
        last = 0
        while last < 2:
            last = json.loads(socket.recv(timeout=30)).get("sequence", last)
        socket.socket.close()
    with served.listen(f"resume={token}&sequence={last}") as socket:
        socket.send(pcm(6.0))
        socket.send(CLOSE)
        until_closed(socket)
    [pair] = pairs(ledger, 1)
    assert (pair.words, pair.distance, pair.audio_s) == (24, 8, 12.0)


def test_a_server_that_stops_writes_what_it_knows(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that wait are written, and a hearing that is not over is dropped and not waited for."""
    monkeypatch.setenv(VARIABLE, SALT)
    with running(release(1), observe=ledger) as server:
        shadow = release(2, OtherEngine)
        put(server, SHADOW, shadow, share=1.0)
        shadow.gate.clear()
        listen(server)
    shadow.gate.set()
    assert [row.cause for row in ledger.outcomes(NAME)] == ["finished"]
    assert ledger.pairs(NAME, 1, 2) == []


def test_neither_a_word_nor_a_clients_id_is_written(
    served: Running, ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All bytes of the ledger, the log of requests, the server's log and the metrics."""
    put(served, SHADOW, release(2, OtherEngine), share=1.0)
    with caplog.at_level(logging.INFO):  # the test's own client logs its address at DEBUG
        listen(served, "anna-of-the-shop", query=f"{RAW}&keyterm=Zqkeyterm")
        pairs(ledger, 1)
        outcomes(ledger, 1)
        served.stop()
    written = caplog.text + served.service.metrics.render().decode()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            written += file.read_bytes().decode("latin-1")
    assert f"{NAME}/1" in written
    words = ["zqother", "zqkeyterm", "anna-of", *map(word, range(12))]
    assert not [one for one in words if one in written.lower()]


def test_the_ledgers_options_reach_the_roster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary's weight and a shadow's share are moved in the ledger, and new streams follow; all rows come back."""
    monkeypatch.setenv(VARIABLE, SALT)
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    add_releases(ledger, tmp_path, 4)

    def load(found: Release, is_beside: bool) -> Sequence[Any]:
        if found.number == 4:
            raise ModelError("found no weights")
        return [Followed(found)]

    def follower(service: Any) -> Follower:
        service.observe(ledger)
        return Follower(service, ledger, ["m"], load, keep_warm_s=60.0, load_timeout_s=20.0)

    def move(alias: str, expected: int | None, to: int | None, **options: float) -> None:
        ledger.move("m", alias, expected=expected, to=to, by="ann", why="a test", options=options)

    move("champion", None, 1)
    with running(models=["m"], follow=follower) as server:
        roster = server.service.roster
        move("canary", None, 2, weight=1.0)
        eventually(lambda: roster.assigned("m", CANARY) is not None)
        assert listen(server)[0] == "m/2"
        move("canary", 2, 2, weight=0.0)
        move("shadow", None, 3, share=1.0)
        eventually(lambda: roster.assigned("m", SHADOW) is not None)
        assert listen(server)[0] == "m/1"
        eventually(lambda: len(ledger.pairs("m", 1, 3)) == 1)
        move("shadow", 3, None)
        eventually(lambda: roster.assigned("m", SHADOW) is None)
        listen(server)
        eventually(lambda: len(ledger.outcomes("m")) == 3)
        move("shadow", None, 4)
        eventually(lambda: len(ledger.outcomes("m")) == 4)
    arms = [(row.release, row.arm) for row in ledger.outcomes("m")]
    assert arms == [(2, CANARY), (1, CHAMPION), (1, CHAMPION), (4, LOADING)]
    assert len(ledger.pairs("m", 1, 3)) == 1
    ledger.close()
