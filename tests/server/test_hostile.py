"""The attack of `scripts.hostile`, small: every scenario, in this process, with a scripted engine.

Unreal: no model and no worker, so no time is compared and no word recognised. The whole attack is a command.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.hostile.measured import failures_of
from scripts.hostile.scenarios import attack
from scripts.hostile.sending import ANSWER_S, Attack
from server.config import load_settings
from server.http.uploads import BODY_GRACE_S
from tests.server.certificates import certificate, trusting
from tests.server.fakes import ScriptedEngine, ScriptedSession, words
from tests.server.running import CLOSE, eventually, pcm, running, transcript, until_closed

pytestmark = pytest.mark.slow


class Immune(ScriptedEngine):
    """Random audio may hold the sample at which the scripted engine fails."""

    def step(self, sessions: Sequence[ScriptedSession]) -> bool:
        for session in sessions:
            session.poisoned = False
        return super().step(sessions)


@pytest.mark.filterwarnings("ignore:Exception ignored in. <function SpooledTemporaryFile")  # half a form: Starlette
@pytest.mark.parametrize(("seed", "over_tls"), [(1, False), (2, False), (3, True)])
def test_hostile_messages_are_answered_and_touch_no_other_stream(
    seed: int, over_tls: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All wires, floods, bombs, broken connections: nothing unanswered, no traceback, no place kept, no word lost."""
    wyoming = socket.create_server(("127.0.0.1", 0))
    files = certificate(tmp_path, "hostile") if over_tls else None
    settings = {"tls_cert": str(files[0]), "tls_key": str(files[1])} if files else {}
    tls = trusting(files[0]) if files else None
    with (
        running(Immune(), wyoming=wyoming, idle_timeout_s=100.0, **settings) as server,
        server.listen(ssl=tls) as healthy,
    ):
        healthy.send(pcm(1.2))
        made = asyncio.run(attack(server.url, wyoming.getsockname()[:2], seed, 700, tls))
        healthy.send(pcm(1.4))
        healthy.send(CLOSE)
        messages, code = until_closed(healthy)
        eventually(lambda: server.metric("asr_open_streams") == 0)
    assert (transcript(messages), code) == (words(5), 1000)
    assert not made.unanswered
    assert made.sent.total() >= 700
    assert made.frames
    assert set(made.sent) == {
        "listen", "flux", "realtime", "query", "head", "prerecorded", "upload", "wyoming", "bomb", "vanishing",
    }  # fmt: skip
    assert [r for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR] == []


def test_the_attack_is_more_patient_than_the_server() -> None:
    """A request is unanswered only after every deadline of the server has passed."""
    limits = load_settings()
    server_s = limits.start_timeout_s + limits.step_timeout_s + limits.send_timeout_s + BODY_GRACE_S
    made = Attack("http://127.0.0.1:1", None, random.Random(1))
    with made.waiting("bomb", audio_s=600.0) as patience_s:
        assert patience_s - 600.0 == ANSWER_S > server_s
    assert made.slowest[1] == "bomb"


GOOD = {
    "unanswered": [],
    "equal": True,
    "p95_ratio": 1.1,
    "left_open": 0.0,
    "memory_mb": {"server": 100, "worker 7": 200},
}


@pytest.mark.parametrize(
    ("change", "log", "alive", "failure"),
    [
        ({}, "", False, "the server died"),
        ({"unanswered": ["query: x"]}, "", True, "round 2: unanswered: query: x"),
        ({"equal": False}, "", True, "round 2: a healthy text changed"),
        ({"p95_ratio": 1.3}, "", True, "round 2: p95 is 1.3 times as long"),
        ({"left_open": 2.0}, "", True, "round 2: 2 places stay taken"),
        ({"memory_mb": {"server": 120}}, "", True, "memory of server: 100 -> 120 MB"),
        ({}, "Traceback (most recent call last)", True, "1 tracebacks in the log"),
    ],
)  # fmt: skip
def test_each_loss_is_a_failure(change: dict[str, object], log: str, alive: bool, failure: str) -> None:
    """And a run without any has none."""
    assert failures_of([GOOD, GOOD], "", True) == []
    assert failures_of([GOOD, GOOD | change], log, alive) == [failure]
