"""Several workers with one task: numbered answers, dead ones replaced, one of them in this process."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from asr.errors import ConfigError, InternalError
from server.workers.pool import InlinePool, ProcessPool, WorkerPool, cores
from server.workers.process import WorkerDied, WorkerError
from tests.server.workers.handlers import Obedient, refuse_to_load

Pool = WorkerPool[Any, Any, Any]


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPool[Any, Any, Any]]:
    pool = ProcessPool(Obedient, 2, "test worker")
    yield pool
    pool.close()


@pytest.fixture(params=["inline", "processes"])
def pool(request: pytest.FixtureRequest) -> Any:
    return InlinePool(Obedient()) if request.param == "inline" else request.getfixturevalue("processes")


def answers(pool: Pool, count: int) -> dict[int, Any]:
    """Of `count` workers that have a request."""
    results: dict[int, Any] = {}
    while len(results) < count:
        results |= dict(pool.results())
    return results


def test_each_worker_answers_under_its_number(pool: Pool) -> None:
    """Whoever is ready first."""
    for number in range(pool.size):
        pool.send(number, f"request {number}")
    assert answers(pool, pool.size) == {number: f"request {number}" for number in range(pool.size)}
    assert pool.hello == "ready"


def test_errors_are_values(pool: Pool) -> None:
    """Ours as they are, others as `WorkerError`: the same inline and in processes."""
    for word, kind, message in (("refuse", ConfigError, "found this"), ("fail", WorkerError, "RuntimeError: broken")):
        pool.send(0, word)
        error = answers(pool, 1)[0]
        assert isinstance(error, kind)
        assert message in str(error)


def test_a_worker_that_dies_is_replaced(processes: ProcessPool[Any, Any, Any]) -> None:
    """Its request is answered by `WorkerDied`, the other one's as ever."""
    before = processes.pids
    processes.send(0, "die")
    processes.send(1, "pid")
    results = answers(processes, 2)
    assert isinstance(results[0], WorkerDied)
    assert results[1] == before[1]
    processes.send(0, "pid")
    assert answers(processes, 1)[0] == processes.pids[0] != before[0]


def test_what_keeps_a_worker_from_starting_is_raised() -> None:
    """And no process is left over."""
    with pytest.raises(ConfigError, match="found no model"):
        ProcessPool(refuse_to_load, 2, "test worker")


def test_no_answer_is_awaited_without_a_request() -> None:
    """It would be forever."""
    with pytest.raises(InternalError, match="found no request to answer"):
        InlinePool(Obedient()).results()


def test_cores_are_those_that_the_process_may_use() -> None:
    """Not all of the machine: a container or `taskset` may grant fewer."""
    assert 1 <= cores() <= (os.cpu_count() or 1)
