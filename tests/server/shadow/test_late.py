"""The second hearing minutes late and behind full lanes, over real sockets: what the release says live."""

import functools
import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asr.aliases import SHADOW
from asr.ledger import Ledger, open_ledger
from server.client.protocol import pcm16
from server.shadow import shadow
from server.shadow.recording import Recording
from server.streams.load_meter import MAX_SHOWN_LOAD
from server.streams.replica import Replica
from server.workers.remote import RemoteEngine, ServedRelease
from server.workers.worker import RecognitionWorker
from tests.server.observed import NAME, PATIENT, put, release
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed
from tests.server.shadow.rig import OtherEngine
from tests.server.workers.helpers import InProcess
from tests.speech import clip, silence, speech

if TYPE_CHECKING:
    from asr.engine import Engine

FIVE_MINUTES_S = 300.0


class Late:
    """While it is full the live lanes leave no time; `wait` moves the shadow's clock on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.waited_s = True, 0.0
        self.heard: list[str] = []
        monkeypatch.setattr(Replica, "busy", lambda replica: MAX_SHOWN_LOAD if self.is_full else 0.0)
        clock = lambda: time.monotonic() + self.waited_s  # noqa: E731
        monkeypatch.setattr(shadow, "Recording", functools.partial(Recording, clock=clock))
        compare = shadow._difference

        def noted(champion: Any, challenger: Any, language: str | None) -> Any:
            self.heard.append("".join(one.text for channel in challenger for one in channel).strip())
            return compare(champion, challenger, language)

        monkeypatch.setattr(shadow, "_difference", noted)

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Late:
    return Late(monkeypatch)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def listen(server: Running, seed: int, audio: bytes) -> str:
    """One stream, cut anywhere, with two requests for a final; its text."""
    rng = random.Random(seed)
    cuts = sorted(2 * rng.randrange(1, len(audio) // 2) for _ in range(30))
    parts: list[Any] = [audio[a:b] for a, b in zip([0, *cuts], [*cuts, len(audio)], strict=True) if b > a]
    for _ in range(2):
        parts.insert(rng.randrange(1, len(parts)), json.dumps({"type": "Finalize"}))
    with server.listen(f"{RAW}&language=en") as socket:
        for part in parts:
            socket.send(part)
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert code == 1000
    return transcript(messages)


def listen_all(server: Running, recordings: Sequence[bytes]) -> list[str]:
    with ThreadPoolExecutor(len(recordings)) as pool:
        return list(pool.map(functools.partial(listen, server), range(len(recordings)), recordings))


def hear_late(server: Running, late: Late, ledger: Ledger, count: int) -> None:
    """Nothing is heard for five minutes; then the lanes are free, and every stream is a pair."""
    assert late.heard == []
    late.wait(FIVE_MINUTES_S)
    assert server.metric("asr_shadow_lag_seconds") >= FIVE_MINUTES_S
    late.is_full = False
    eventually(lambda: len(ledger.pairs(NAME, 1, 2)) == count, 200.0)
    assert server.metric("asr_shadow_lag_seconds") == server.metric("asr_shadow_bytes") == 0.0


@pytest.mark.slow
def test_twelve_streams_are_heard_late_as_the_release_hears_them_live(late: Late, ledger: Ledger) -> None:
    """Of half a second to 28 s. The words come from a script; a third of them differ between the two releases."""
    recordings = [pcm(0.5 + 2.5 * number) for number in range(12)]
    with running(release(1), observe=ledger, **PATIENT) as server:
        put(server, SHADOW, release(2, OtherEngine), share=1.0)
        champion = listen_all(server, recordings)
        hear_late(server, late, ledger, len(recordings))
    with running(release(2, OtherEngine), **PATIENT) as server:
        live = listen_all(server, recordings)
    assert sorted(late.heard) == sorted(live) != sorted(champion)


@pytest.mark.slow
@pytest.mark.model
def test_tiny_en_is_heard_late_as_it_is_heard_live(whisper_tiny: "Engine", late: Late, ledger: Ledger) -> None:
    """Real weights, the same behind both aliases: so no text may differ in a word."""
    spoken = np.concatenate([speech(), silence(0.6), clip("counting")])
    recordings = [pcm16(np.concatenate([silence(0.2 * number), spoken])) for number in range(4)]
    with running(_real(whisper_tiny, 1), observe=ledger, **PATIENT) as server:
        put(server, SHADOW, _real(whisper_tiny, 2), share=1.0)  # type: ignore[arg-type]
        live = listen_all(server, recordings)
        hear_late(server, late, ledger, len(recordings))
    assert sorted(late.heard) == sorted(live)
    assert [pair.distance for pair in ledger.pairs(NAME, 1, 2)] == [0] * len(recordings)
    assert all(text.split() for text in live)


def _real(engine: "Engine", number: int) -> RemoteEngine:
    served = ServedRelease(NAME, f"{NAME}/{number}", lambda: None, Path())
    made = RemoteEngine(InProcess(lambda: RecognitionWorker(engine)), served)
    made.await_ready()
    return made
