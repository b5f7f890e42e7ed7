"""Who tries wrong keys gets slow answers, and nobody else does."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from server.access.failed_tries import BURST, INTERVAL_S, MAX_ADDRESSES, MAX_WAIT_S, FailedTries
from tests.server.access.keys import made
from tests.server.fakes import ScriptedEngine
from tests.server.running import running


def tries_of(now_s: list[float]) -> FailedTries:
    return FailedTries(lambda: now_s[0])


def test_the_first_are_answered_at_once_and_the_next_in_turn() -> None:
    """Whoever tries on many connections waits as long as with one."""
    tries = tries_of([0.0])
    assert [tries.wait_s("1.2.3.4") for _ in range(BURST)] == [0.0] * BURST
    waits = [tries.wait_s("1.2.3.4") for _ in range(8)]
    assert waits == pytest.approx([INTERVAL_S * n for n in range(1, 9)])
    assert tries.wait_s("1.2.3.4") is None
    assert tries.wait_s("1.2.3.4") is None
    assert tries.wait_s("1.2.3.5") == 0.0


def test_a_pause_is_forgiven_at_the_same_pace() -> None:
    """After a refusal, too: those that were refused do not count."""
    now = [100.0]
    tries = tries_of(now)
    while tries.wait_s("a") is not None:
        pass
    now[0] += INTERVAL_S
    assert tries.wait_s("a") == pytest.approx(MAX_WAIT_S)
    assert tries.wait_s("a") is None
    now[0] += 3600.0
    assert [tries.wait_s("a") for _ in range(BURST)] == [0.0] * BURST
    assert tries.wait_s("a") == pytest.approx(INTERVAL_S)


def test_a_network_of_ipv6_is_one_address_and_memory_is_bounded() -> None:
    """One customer has 2 to the power of 64 addresses."""
    tries = tries_of([0.0])
    waits = [tries.wait_s(f"2001:db8:1:2::{n:x}") for n in range(1, BURST + 2)]
    assert waits[-1] == pytest.approx(INTERVAL_S)
    assert tries.wait_s("2001:db8:1:3::1") == 0.0
    for n in range(2 * MAX_ADDRESSES):
        tries.wait_s(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(tries._due_s) == MAX_ADDRESSES


@pytest.mark.slow
def test_many_connections_with_wrong_keys_are_refused_and_a_right_key_is_not(tmp_path: Path) -> None:
    """From the same address. Each failure is counted."""
    keys = made(tmp_path)
    with (
        running(ScriptedEngine(), keys_file=str(keys.file)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        ThreadPoolExecutor(40) as threads,
    ):

        def attempt(key: str) -> httpx.Response:
            return client.get("/v1/models", headers={"Authorization": f"Token {key}"})

        answers = list(threads.map(attempt, [f"wrong-{n}" for n in range(120)]))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {401, 429}
        assert statuses[401] >= BURST
        assert {a.headers["retry-after"] for a in answers if a.status_code == 429} == {"2"}
        assert attempt(keys.secrets["all"]).status_code == 200
        assert server.metric("asr_failed_tries_total") == 120
