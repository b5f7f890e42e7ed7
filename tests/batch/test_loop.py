"""The loop, on the real model: the same text as alone, whoever works, whatever goes wrong with some."""

import functools
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio.files import read_blocks
from asr.config import SessionSettings, StreamSettings
from asr.engine import Engine
from asr.errors import InternalError
from asr.models.base import Window
from asr.transcripts import recording
from asr.transcripts.formats import Transcript
from asr.transcripts.recording import offline_settings, recognised, transcribe, transcript_of
from batch import loop as work
from batch.inputs import Recording
from batch.loop import Done, Failed, Loop, Outcome
from batch.worker import Answer, BatchWorker, Hello, Listen, Recognise, Request, Task, load_worker
from server.workers.pool import InlinePool, ProcessPool
from server.workers.process import WorkerDied
from tests import properties
from tests.speech import RATE_HZ, silence, speech

SHORT_WINDOWS = offline_settings(SessionSettings(stream=StreamSettings(window_max_s=5.0)))
"""So that a recording of a minute has many windows, some cut where speech goes on."""
TASK = Task("whisper-tiny.en", settings=SHORT_WINDOWS)


@pytest.fixture(scope="module")
def worker() -> BatchWorker:
    return BatchWorker(TASK)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """One of a minute, several short ones, one of silence, one that is none."""
    folder = tmp_path_factory.mktemp("recordings")
    sounds = {"long": np.concatenate([speech(), silence(0.3)] * 5), "quiet": silence(3.0)}
    sounds |= {f"short{i}": np.concatenate([silence(0.1 * i), speech()])[: (3 + i) * RATE_HZ] for i in range(6)}
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ)
    (folder / "broken.mp3").write_text("no sound")
    return [Recording(path, path.stem) for path in sorted(folder.iterdir())]


def texts(outcomes: Sequence[Outcome], worker: BatchWorker) -> dict[str, Transcript]:
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    return {o.recording.stem: transcript_of(o.events, worker.engine, o.heard.duration_s) for o in done}


def ignore(_seconds: float) -> None:
    """Nobody looks on."""


@pytest.fixture(scope="module")
def alone(worker: BatchWorker, recordings: list[Recording]) -> dict[str, Transcript]:
    """Each recording by itself, window by window."""
    return {stem: stepped(path, worker.engine) for path, stem in sounds(recordings)}


def sounds(recordings: list[Recording]) -> list[tuple[Path, str]]:
    return [(recording.path, recording.stem) for recording in recordings if recording.path.suffix == ".wav"]


def stepped(path: Path, engine: Engine) -> Transcript:
    """As a live stream would be recognised that ends at once."""
    session, samples = engine.open(SHORT_WINDOWS, partials=False), np.concatenate(list(read_blocks(path)))
    return transcript_of(properties.run(engine, samples, session, len(samples)), engine, session.received_s)


def test_in_batches_as_alone(worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]) -> None:
    """Texts, times and confidences, to the last digit; a broken file is a failure with its sentence."""
    outcomes = list(Loop(InlinePool(worker), recordings, ignore).run())
    assert texts(outcomes, worker) == alone
    assert len(alone["long"].text) > 200
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert failed.recording.stem == "broken"
    assert "no recording" in str(failed.error)


def test_a_single_recording_in_batches_as_alone(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`transcribe` recognises windows side by side too, whole batches and what is left."""
    monkeypatch.setattr(recording, "BATCH_WINDOWS", 3)
    assert {stem: transcribe(path, worker.engine, settings=SHORT_WINDOWS) for path, stem in sounds(recordings)} == alone


def test_what_is_kept_of_a_recognised_window_is_its_text_alone(worker: BatchWorker) -> None:
    """An hour's windows would hold gigabytes of the model's memories."""
    (hypothesis,) = recognised([Window(speech())], worker.engine)
    assert hypothesis.pieces
    assert hypothesis.memory is None


def test_in_small_batches_and_a_small_pool_as_alone(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shares a batch depends on time and luck; the texts do not."""
    monkeypatch.setattr(work, "BATCH_WINDOWS", 3)
    monkeypatch.setattr(work, "POOL_S", 20.0)
    monkeypatch.setattr(work, "STRETCH_S", 7.0)
    assert texts(list(Loop(InlinePool(worker), reversed(recordings), ignore).run()), worker) == alone


def test_all_speech_is_told_of(worker: BatchWorker, recordings: list[Recording]) -> None:
    """The seconds that progress is made of."""
    heard: list[float] = []
    list(Loop(InlinePool(worker), [r for r in recordings if r.stem == "long"], heard.append).run())
    assert 40 < sum(heard) < 65


Inline = InlinePool[Hello, Request, Answer]
Processes = ProcessPool[Hello, Request, Answer]
Result = tuple[int, Answer | Exception]


class Faulty(Inline):
    """A worker whose model fails on every batch with one window, as a defect in it would."""

    def __init__(self, worker: BatchWorker, samples: np.ndarray) -> None:
        super().__init__(worker)
        self._samples = samples

    def results(self) -> Sequence[Result]:
        request = self._request
        if isinstance(request, Recognise) and any(np.array_equal(w.samples, self._samples) for w in request.windows):
            self._request = None
            return [(0, InternalError("the model failed"))]
        return super().results()


def test_a_window_that_the_model_fails_on_fails_its_recording_only(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """The others of its batch are recognised again, without it."""
    (victim,) = [r for r in recordings if r.stem == "short3"]
    windows = worker.answer(Listen(999, victim.path, 1e9)).windows  # type: ignore[union-attr]
    outcomes = list(Loop(Faulty(worker, windows[0].samples), recordings, ignore).run())
    assert {o.recording.stem for o in outcomes if isinstance(o, Failed)} == {"broken", "short3"}
    assert texts(outcomes, worker) == {name: text for name, text in alone.items() if name != "short3"}


@pytest.fixture
def processes() -> Iterator[Processes]:
    pool = ProcessPool(functools.partial(load_worker, TASK), 2, "batch worker")
    yield pool
    pool.close()


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    processes: Processes, worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """Two processes, one killed while it listens to or recognises something."""
    outcomes: list[Outcome] = []
    for outcome in Loop(processes, recordings, ignore).run():
        if not outcomes:
            os.kill(processes.pids[0] or 0, signal.SIGKILL)
        outcomes.append(outcome)
    assert texts(outcomes, worker) == alone


class Deadly(Inline):
    """A worker that one recording kills each time it is listened to."""

    def __init__(self, worker: BatchWorker, path: Path) -> None:
        super().__init__(worker)
        self._path = path

    def results(self) -> Sequence[Result]:
        if isinstance(self._request, Listen) and self._request.path == self._path:
            self._request = None
            return [(0, WorkerDied("ended"))]
        return super().results()


def test_a_recording_that_kills_its_worker_fails_after_two_tries(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """With a sentence; all others are done, also those that the worker was listening to beside it."""
    (killer,) = [r for r in recordings if r.stem == "short1"]
    outcomes = list(Loop(Deadly(worker, killer.path), recordings, ignore).run())
    told = {o.recording.stem: str(o.error) for o in outcomes if isinstance(o, Failed)}
    assert "ended 2 worker processes" in told["short1"]
    assert texts(outcomes, worker) == {name: text for name, text in alone.items() if name != "short1"}
