"""The dispatcher with the real model: the texts of each recording alone, whichever workers fail or die."""

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
from batch.backend import Done, Failed, Outcome
from batch.dispatch import Dispatcher, Limits
from batch.inputs import Recording
from batch.messages import Answer, Hello, ReadPart, Recognise, RecordingPart, Request, Task
from batch.worker import BatchWorker, load_worker
from server.workers.pool import InlinePool, ProcessPool
from server.workers.process import WorkerDied
from tests import properties
from tests.speech import RATE_HZ, silence, speech

pytestmark = pytest.mark.model

SHORT_WINDOWS = offline_settings(SessionSettings(stream=StreamSettings(window_max_s=5.0)))
"""A recording of a minute has many windows, some of which end amid speech."""
TASK = Task("whisper-tiny.en", settings=SHORT_WINDOWS)


@pytest.fixture(scope="module")
def worker() -> BatchWorker:
    return BatchWorker(TASK)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """One of a minute, several short ones, one of silence, and a broken file."""
    folder = tmp_path_factory.mktemp("recordings")
    sounds = {"long": np.concatenate([speech(), silence(0.3)] * 5), "quiet": silence(3.0)}
    sounds |= {f"short{i}": np.concatenate([silence(0.1 * i), speech()])[: (3 + i) * RATE_HZ] for i in range(6)}
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ)
    (folder / "broken.mp3").write_text("no sound")
    return [Recording(path, path.stem) for path in sorted(folder.iterdir())]


def texts(outcomes: Sequence[Outcome], worker: BatchWorker) -> dict[str, Transcript]:
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    return {o.recording.stem: transcript_of(o.events, worker.engine, o.end.duration_s) for o in done}


def ignore(_seconds: float) -> None:
    """No progress is shown."""


@pytest.fixture(scope="module")
def alone(worker: BatchWorker, recordings: list[Recording]) -> dict[str, Transcript]:
    """Each recording by itself, window by window."""
    return {stem: stepped(path, worker.engine) for path, stem in sounds(recordings)}


def sounds(recordings: list[Recording]) -> list[tuple[Path, str]]:
    return [(recording.path, recording.stem) for recording in recordings if recording.path.suffix == ".wav"]


def stepped(path: Path, engine: Engine) -> Transcript:
    """As a live stream whose audio comes in one chunk."""
    session, samples = engine.open(SHORT_WINDOWS, partials=False), np.concatenate(list(read_blocks(path)))
    return transcript_of(properties.run(engine, samples, session, len(samples)), engine, session.received_s)


def test_in_batches_as_alone(worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]) -> None:
    """Texts, times and confidences to the last digit. A broken file is a failure."""
    outcomes = list(Dispatcher(InlinePool(worker), recordings, ignore).run())
    assert texts(outcomes, worker) == alone
    assert len(alone["long"].text) > 200
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert failed.recording.stem == "broken"
    assert "no recording" in str(failed.error)


def test_a_single_recording_in_batches_as_alone(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`transcribe` recognises windows in batches too, full ones and the rest."""
    monkeypatch.setattr(recording, "BATCH_WINDOWS", 3)
    assert {stem: transcribe(path, worker.engine, settings=SHORT_WINDOWS) for path, stem in sounds(recordings)} == alone


def test_the_models_memory_of_a_window_is_not_kept(worker: BatchWorker) -> None:
    """That of an hour of windows would take gigabytes."""
    ((part,),) = recognised([Window(speech())], worker.engine, gap_s=1.0)
    assert part.hypothesis.pieces
    assert part.hypothesis.memory is None


def test_in_small_batches_and_a_small_queue_as_alone(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """Which windows share a batch depends on timing; the texts do not."""
    limits = Limits(batch_windows=3, queue_s=20.0, part_s=7.0)
    outcomes = Dispatcher(InlinePool(worker), reversed(recordings), ignore, limits).run()
    assert texts(list(outcomes), worker) == alone


def test_progress_gets_all_speech(worker: BatchWorker, recordings: list[Recording]) -> None:
    """The recording of a minute has some pauses."""
    seconds: list[float] = []
    list(Dispatcher(InlinePool(worker), [r for r in recordings if r.stem == "long"], seconds.append).run())
    assert 40 < sum(seconds) < 65


Inline = InlinePool[Hello, Request, Answer]
Processes = ProcessPool[Hello, Request, Answer]
Result = tuple[int, Answer | Exception]


class Faulty(Inline):
    """A worker whose model fails on every batch that holds one window."""

    def __init__(self, worker: BatchWorker, samples: np.ndarray) -> None:
        super().__init__(worker)
        self._samples = samples

    def results(self) -> Sequence[Result]:
        request = self._request
        if isinstance(request, Recognise) and any(np.array_equal(w.samples, self._samples) for w in request.windows):
            self._request = None
            return [(0, InternalError("the model failed"))]
        return super().results()


def test_a_window_on_which_the_model_fails_fails_its_recording_only(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """The other windows of its batch are recognised again, without it."""
    (victim,) = [r for r in recordings if r.stem == "short3"]
    part = worker.answer(ReadPart(999, victim.path, 1e9))
    assert isinstance(part, RecordingPart)
    outcomes = list(Dispatcher(Faulty(worker, part.windows[0].samples), recordings, ignore).run())
    assert {o.recording.stem for o in outcomes if isinstance(o, Failed)} == {"broken", "short3"}
    assert texts(outcomes, worker) == {name: text for name, text in alone.items() if name != "short3"}


@pytest.fixture
def processes() -> Iterator[Processes]:
    pool = ProcessPool(functools.partial(load_worker, TASK), 2, "batch worker")
    yield pool
    pool.close()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    processes: Processes, worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """Two processes; one is killed while it reads or recognises something."""
    outcomes: list[Outcome] = []
    for outcome in Dispatcher(processes, recordings, ignore).run():
        if not outcomes:
            os.kill(processes.pids[0] or 0, signal.SIGKILL)
        outcomes.append(outcome)
    assert texts(outcomes, worker) == alone


class Deadly(Inline):
    """A worker that dies each time it reads one recording."""

    def __init__(self, worker: BatchWorker, path: Path) -> None:
        super().__init__(worker)
        self._path = path

    def results(self) -> Sequence[Result]:
        if isinstance(self._request, ReadPart) and self._request.path == self._path:
            self._request = None
            return [(0, WorkerDied("ended"))]
        return super().results()


def test_a_recording_that_kills_its_worker_fails_after_two_tries(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """All others are done, also those that the worker had open beside it."""
    (killer,) = [r for r in recordings if r.stem == "short1"]
    outcomes = list(Dispatcher(Deadly(worker, killer.path), recordings, ignore).run())
    failures = {o.recording.stem: str(o.error) for o in outcomes if isinstance(o, Failed)}
    assert "ended 2 worker processes" in failures["short1"]
    assert texts(outcomes, worker) == {name: text for name, text in alone.items() if name != "short1"}


class IdleDeath(Inline):
    """Two workers in this process; the second one has nothing to do and dies. Unreal: both are the same object."""

    size = 2  # type: ignore[assignment]

    def results(self) -> Sequence[Result]:
        return [*super().results(), (1, WorkerDied("idle"))]


def test_the_death_of_an_idle_worker_costs_nothing(
    worker: BatchWorker, recordings: list[Recording], alone: dict[str, Transcript]
) -> None:
    """It had no request, so there is nothing to repeat."""
    short = [r for r in recordings if r.stem == "short1"]
    outcomes = list(Dispatcher(IdleDeath(worker), short, ignore).run())
    assert texts(outcomes, worker) == {"short1": alone["short1"]}
