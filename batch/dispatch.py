"""Keeps all workers of a pool busy: recordings in, outcomes out.

A worker reads a part of a recording and finds its speech, or recognises a batch of windows. All windows wait in one
queue, and a batch takes windows of similar length from it, whichever recordings they come from. So a recording of five
hours and hundreds of tiny ones share batches and workers, and the bound of the queue keeps memory flat.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from asr.errors import AsrError, InternalError
from asr.events import Final
from asr.models.base import Window
from asr.transcripts.recording import BATCH_WINDOWS, Part, filled, seconds_of
from batch.backend import Done, Failed, OnAudio, Outcome
from batch.inputs import Recording
from batch.messages import Answer, Pool, ReadPart, Recognise, RecordingEnd, RecordingPart, Request
from server.workers.process import WorkerDied

MAX_TRIES = 2
"""A recording whose worker died is tried once more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of batches and of the queue."""

    batch_windows: int = BATCH_WINDOWS
    batch_s: float = 400.0
    """Most seconds in a batch: the memory of the decoder grows with them."""
    min_batches: float = 2
    """Batches that should wait before one is taken, so that there are windows of similar length to choose from."""
    queue_s: float = 1200.0
    """Seconds of speech in the queue, 77 MB of samples, above which no more is read."""
    part_s: float = 60.0
    """Seconds that a worker reads at a time."""


@dataclass(slots=True)
class _InProgress:
    """A recording that was begun."""

    key: int
    recording: Recording
    worker: int
    """It has the open file, until the end is read."""
    tries: int = 0
    finals: list[Final] = field(default_factory=list)
    hypotheses: list[tuple[Part, ...] | None] = field(default_factory=list)
    missing: int = 0
    """Windows without a hypothesis."""
    end: RecordingEnd | None = None


@dataclass(frozen=True, slots=True)
class _QueuedWindow:
    """A window, and which of which recording it is."""

    key: int
    index: int
    window: Window

    @property
    def seconds(self) -> float:
        return seconds_of(self.window)


Batch = tuple[_QueuedWindow, ...]


class Dispatcher:
    """One run over some recordings with a pool of workers."""

    def __init__(self, pool: Pool, recordings: Iterable[Recording], on_audio: OnAudio, limits: Limits | None = None):
        self._pool, self._on_audio = pool, on_audio
        self._limits = limits or Limits()
        self._todo = deque((recording, 0) for recording in recordings)
        """With the number of tries so far."""
        self._in_progress: dict[int, _InProgress] = {}
        self._queue = _WindowQueue(self._limits)
        self._requests: dict[int, tuple[Request, Batch]] = {}
        """Of each busy worker: its request, and the windows in it."""
        self._being_read: set[int] = set()
        self._retries: deque[_QueuedWindow] = deque()
        """Windows of a batch that failed; each is recognised alone."""
        self._keys = count(1)
        self._outcomes: list[Outcome] = []

    def run(self) -> Iterator[Outcome]:
        """The outcome of each recording, as it comes. Raises what keeps a worker from being replaced."""
        while True:
            for worker in range(self._pool.size):
                if worker not in self._requests:
                    self._employ(worker)
            yield from self._take_outcomes()
            if not self._requests:
                return
            for worker, answer in self._pool.results():
                self._receive(worker, answer)
            yield from self._take_outcomes()

    def _take_outcomes(self) -> Iterator[Outcome]:
        outcomes, self._outcomes = self._outcomes, []
        yield from outcomes

    # -- giving requests -------------------------------------------------------------------------------------------

    def _employ(self, worker: int) -> None:
        """A batch with a choice of windows first; else read, so that there will be one; else what is left."""
        has_room = self._queue.seconds < self._limits.queue_s
        if self._retries:
            self._recognise(worker, (self._retries.popleft(),))
        elif batch := self._queue.take_batch(with_choice=has_room):
            self._recognise(worker, batch)
        elif has_room and (key := self._next_to_read(worker)) is not None:
            self._being_read.add(key)
            self._send(worker, ReadPart(key, self._in_progress[key].recording.path, self._limits.part_s), ())
        elif batch := self._queue.take_batch(with_choice=False):
            self._recognise(worker, batch)

    def _next_to_read(self, worker: int) -> int | None:
        """The key of a recording that this worker has open, else of a new one."""
        for key, current in self._in_progress.items():
            if current.worker == worker and current.end is None and key not in self._being_read:
                return key
        if not self._todo:
            return None
        recording, tries = self._todo.popleft()
        key = next(self._keys)
        self._in_progress[key] = _InProgress(key, recording, worker, tries)
        return key

    def _recognise(self, worker: int, batch: Batch) -> None:
        self._send(worker, Recognise(tuple(queued.window for queued in batch)), batch)

    def _send(self, worker: int, request: Request, batch: Batch) -> None:
        self._requests[worker] = (request, batch)
        self._pool.send(worker, request)

    # -- receiving answers -----------------------------------------------------------------------------------------

    def _receive(self, worker: int, answer: Answer | Exception) -> None:
        request, batch = self._requests.pop(worker, (None, ()))  # an idle worker can die
        if isinstance(request, ReadPart):
            self._being_read.discard(request.key)
        if isinstance(answer, WorkerDied):
            self._replace_lost(worker, request, batch)
        elif isinstance(answer, RecordingPart) and isinstance(request, ReadPart):
            self._receive_part(request.key, answer)
        elif isinstance(answer, tuple):
            for queued, hypothesis in zip(batch, answer, strict=True):
                self._receive_hypothesis(queued, hypothesis)
        elif isinstance(request, ReadPart):
            self._fail(request.key, answer)
        else:
            self._receive_failed_batch(batch, answer)

    def _receive_part(self, key: int, part: RecordingPart) -> None:
        current = self._in_progress.get(key)
        if current is None:  # another of its windows failed meanwhile
            return
        for window in part.windows:
            self._queue.add(_QueuedWindow(key, len(current.hypotheses), window))
            current.hypotheses.append(None)
            current.missing += 1
        current.finals += part.finals
        current.end = part.end
        self._finish(current)

    def _receive_hypothesis(self, queued: _QueuedWindow, hypothesis: tuple[Part, ...]) -> None:
        current = self._in_progress.get(queued.key)
        if current is None:
            return
        current.hypotheses[queued.index] = hypothesis
        current.missing -= 1
        self._on_audio(queued.seconds)
        self._finish(current)

    def _finish(self, current: _InProgress) -> None:
        if current.end is None or current.missing:
            return
        del self._in_progress[current.key]
        hypotheses = [hypothesis for hypothesis in current.hypotheses if hypothesis is not None]
        self._outcomes.append(Done(current.recording, current.end, tuple(filled(current.finals, hypotheses))))

    # -- failures --------------------------------------------------------------------------------------------------

    def _receive_failed_batch(self, batch: Batch, error: object) -> None:
        """Recognise its windows one by one, so that only the recording of the faulty window fails."""
        if len(batch) > 1:
            self._retries.extend(batch)
        else:
            self._fail(batch[0].key, error)

    def _fail(self, key: int, error: object) -> None:
        current = self._in_progress.pop(key, None)
        if current is not None:
            failure = error if isinstance(error, AsrError) else InternalError(f"failed with {error}")
            self._outcomes.append(Failed(current.recording, failure))

    def _replace_lost(self, worker: int, request: Request | None, batch: Batch) -> None:
        """The worker died: read its open recordings again from their beginning, and retry its windows one by one.

        A recording that it was reading, or whose window it had alone, may have killed it: that counts as a try.
        """
        suspects = {request.key} if isinstance(request, ReadPart) else {batch[0].key} if len(batch) == 1 else set()
        for current in list(self._in_progress.values()):
            is_open_there = current.worker == worker and current.end is None
            if current.key in suspects or is_open_there:
                self._retry(current, current.tries + (current.key in suspects))
        self._retries.extend(queued for queued in batch if queued.key in self._in_progress)

    def _retry(self, current: _InProgress, tries: int) -> None:
        if tries >= MAX_TRIES:
            message = f"{current.recording.path} ended {MAX_TRIES} worker processes; wanted a recording that does not"
            self._fail(current.key, InternalError(message))
        else:
            del self._in_progress[current.key]
            self._todo.append((current.recording, tries))


class _WindowQueue:
    """Windows to recognise. Windows of similar length share a batch: they take about as many decoding steps.

    The other windows in a batch do not change a bit of a window's text, times and confidences.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: list[_QueuedWindow] = []
        self.seconds = 0.0

    def add(self, queued: _QueuedWindow) -> None:
        self._windows.append(queued)
        self.seconds += queued.seconds

    def take_batch(self, *, with_choice: bool) -> Batch:
        """The window that has waited longest, and those nearest to it in length.

        Empty if `with_choice` and fewer than `Limits.min_batches` full batches are waiting.
        """
        limits = self._limits
        batches = max(len(self._windows) / limits.batch_windows, self.seconds / limits.batch_s)
        if not self._windows or (with_choice and batches < limits.min_batches):
            return ()
        length_s = self._windows[0].seconds
        nearest = sorted(self._windows, key=lambda queued: abs(queued.seconds - length_s))
        room = max(1, min(limits.batch_windows, int(limits.batch_s / max(1.0, length_s))))
        taken = set(map(id, nearest[:room]))
        self._windows = [queued for queued in self._windows if id(queued) not in taken]
        self.seconds = max(0.0, self.seconds - sum(queued.seconds for queued in nearest[:room]))
        return tuple(nearest[:room])
