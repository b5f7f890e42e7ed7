"""The worker's end on a scripted engine: sessions by key, calls in order, failures that stay with their session."""

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.errors import SessionError
from server.workers.messages import Audio, Call, End, Finalize, Input, Open, Step, StreamOptions
from server.workers.process import WorkerError
from server.workers.worker import RecognitionWorker
from tests.server.workers.helpers import scripted_worker

SECOND = Audio(np.zeros(SAMPLE_RATE_HZ, np.float32))


@pytest.fixture
def worker() -> RecognitionWorker:
    """With the sessions 1 and 2."""
    worker = scripted_worker()
    for key in (1, 2):
        [state] = worker.answer(Open(key, SessionSettings(), StreamOptions()))
        assert (state.decoded_s, state.ready, state.ended) == (0.0, False, False)
    return worker


def step(key: int, *calls: Call) -> Step:
    return Step((), (Input(key, calls),))


def test_calls_are_made_in_their_order(worker: RecognitionWorker) -> None:
    """Audio, then the mark behind it, then the end."""
    [state] = worker.answer(step(1, SECOND, Finalize(), SECOND, End()))
    assert state.events
    assert not state.ended
    while not state.ended:
        [state] = worker.answer(step(1))
    assert (state.decoded_s, state.voiced_until_s) == (2.0, 0.0)


def test_a_state_says_where_the_last_voice_ends(worker: RecognitionWorker) -> None:
    """Up to what is decoded."""
    [state] = worker.answer(step(1, Audio(np.ones(SAMPLE_RATE_HZ, np.float32)), SECOND, End()))
    while not state.ended:
        [state] = worker.answer(step(1))
    assert (state.decoded_s, state.voiced_until_s) == (2.0, 1.0)


def test_a_session_that_refuses_a_call_fails_in_every_step_and_no_other(worker: RecognitionWorker) -> None:
    """Its input has a hole. The other's input of the failed step is kept."""
    both = Step((), (Input(1, (End(), SECOND)), Input(2, (SECOND,))))
    for request in (both, step(1)):
        with pytest.raises(SessionError):
            worker.answer(request)
    assert worker.answer(step(2))[0].decoded_s == 1.0


def test_a_session_of_a_dead_worker_is_unknown(worker: RecognitionWorker) -> None:
    """A new process knows none of the old one's keys."""
    with pytest.raises(WorkerError, match="stream 3 was opened in a worker process that has ended"):
        worker.answer(step(3, SECOND))


def test_closed_sessions_are_dropped(worker: RecognitionWorker) -> None:
    """Also one that is closed before it was ever stepped."""
    worker.answer(Step((1, 7), (Input(2, (SECOND,)),)))
    assert worker.open_sessions == 1
