"""The loop: recordings in, transcripts out, everybody busy.

Workers listen (read, find speech) and recognise. What they hear goes into one pool of windows, from which batches of
like length are taken, whichever recordings they come from: a recording of five hours and hundreds of tiny ones share
their batches and all workers, and the pool's bound keeps memory flat.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from asr.errors import AsrError, InternalError
from asr.events import Event, Final
from asr.models.base import Hypothesis, Window
from asr.transcripts.recording import BATCH_WINDOWS, filled, seconds_of
from batch.inputs import Recording
from batch.recordings import Heard
from batch.worker import Listen, Pool, Recognise, Request
from server.workers.process import WorkerDied

BATCH_S = 400.0
"""A batch is about this at most: what the decoder keeps of it in memory grows with its seconds."""
CHOICE = 2
"""So many batches wait before one is taken, so that it can be of like lengths."""
POOL_S = 1200.0
"""So much heard speech waits to be recognised, 77 MB of samples, before nobody listens on."""
STRETCH_S = 60.0
"""A worker listens so long at a time."""
TRIES = 2
"""A recording that a worker ended on is tried once more."""


@dataclass(frozen=True, slots=True)
class Done:
    """A recording that was heard and recognised whole."""

    recording: Recording
    heard: Heard
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    recording: Recording
    error: AsrError


Outcome = Done | Failed


@dataclass(slots=True)
class _Open:
    """A recording in hand."""

    key: int
    recording: Recording
    worker: int
    tries: int = 0
    finals: list[Final] = field(default_factory=list)
    hypotheses: list[Hypothesis | None] = field(default_factory=list)
    missing: int = 0
    last: Heard | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A window in the pool, and whose it is."""

    key: int
    index: int
    window: Window

    @property
    def seconds(self) -> float:
        return seconds_of(self.window)


class Loop:
    """One run over some recordings with a pool of workers."""

    def __init__(self, pool: Pool, recordings: Iterable[Recording], on_audio: Callable[[float], None]) -> None:
        self._workers, self._on_audio = pool, on_audio
        self._queue = deque((recording, 0) for recording in recordings)
        self._open: dict[int, _Open] = {}
        self._pool = _Pool()
        self._asked: dict[int, tuple[Request, tuple[_Waiting, ...]]] = {}
        self._listening: set[int] = set()
        self._alone: deque[_Waiting] = deque()
        self._keys = 0
        self._outcomes: list[Outcome] = []

    def run(self) -> Iterator[Outcome]:
        """Each recording's outcome, as they come."""
        while True:
            for worker in range(self._workers.size):
                if worker not in self._asked:
                    self._employ(worker)
            yield from self._taken()
            if not self._asked:
                return
            for worker, answer in self._workers.results():
                self._take(worker, answer)
            yield from self._taken()

    def _taken(self) -> Iterator[Outcome]:
        outcomes, self._outcomes = self._outcomes, []
        yield from outcomes

    # -- giving work out -------------------------------------------------------------------------------------------

    def _employ(self, worker: int) -> None:
        """A whole batch first; else listen, so that there will be one; else what there is."""
        if self._alone:
            self._recognise(worker, (self._alone.popleft(),))
        elif batch := self._pool.batch(whole=self._pool.seconds < POOL_S):
            self._recognise(worker, batch)
        elif self._pool.seconds < POOL_S and (key := self._to_listen(worker)) is not None:
            self._listening.add(key)
            self._ask(worker, Listen(key, self._open[key].recording.path, STRETCH_S), ())
        elif batch := self._pool.batch(whole=False):
            self._recognise(worker, batch)

    def _to_listen(self, worker: int) -> int | None:
        """A recording of this worker's to listen on to, else a new one."""
        for key, opened in self._open.items():
            if opened.worker == worker and opened.last is None and key not in self._listening:
                return key
        if not self._queue:
            return None
        recording, tries = self._queue.popleft()
        self._keys += 1
        self._open[self._keys] = _Open(self._keys, recording, worker, tries)
        return self._keys

    def _recognise(self, worker: int, batch: tuple[_Waiting, ...]) -> None:
        self._ask(worker, Recognise(tuple(waiting.window for waiting in batch)), batch)

    def _ask(self, worker: int, request: Request, batch: tuple[_Waiting, ...]) -> None:
        self._asked[worker] = (request, batch)
        self._workers.send(worker, request)

    # -- taking answers --------------------------------------------------------------------------------------------

    def _take(self, worker: int, answer: object) -> None:
        request, batch = self._asked.pop(worker)
        if isinstance(request, Listen):
            self._listening.discard(request.key)
        if isinstance(answer, WorkerDied):
            self._lose(worker, request, batch)
        elif isinstance(request, Listen):
            self._take_heard(request.key, answer)
        elif isinstance(answer, tuple):
            for waiting, hypothesis in zip(batch, answer, strict=True):
                self._take_hypothesis(waiting, hypothesis)
        else:
            self._part(batch, answer)

    def _take_heard(self, key: int, heard: object) -> None:
        opened = self._open.get(key)
        if opened is None:  # failed meanwhile by another of its windows
            return
        if not isinstance(heard, Heard):
            self._fail(key, heard)
            return
        for window in heard.windows:
            self._pool.add(_Waiting(key, len(opened.hypotheses), window))
            opened.hypotheses.append(None)
            opened.missing += 1
        opened.finals += heard.finals
        opened.last = heard if heard.ended else None
        self._finish(opened)

    def _take_hypothesis(self, waiting: _Waiting, hypothesis: Hypothesis) -> None:
        opened = self._open.get(waiting.key)
        if opened is None:
            return
        opened.hypotheses[waiting.index] = hypothesis
        opened.missing -= 1
        self._on_audio(waiting.seconds)
        self._finish(opened)

    def _finish(self, opened: _Open) -> None:
        if opened.last is None or opened.missing:
            return
        del self._open[opened.key]
        answers = [hypothesis for hypothesis in opened.hypotheses if hypothesis is not None]
        events = tuple(filled(opened.finals, answers))
        self._outcomes.append(Done(opened.recording, opened.last, events))

    # -- when something goes wrong ---------------------------------------------------------------------------------

    def _part(self, batch: tuple[_Waiting, ...], error: object) -> None:
        """A batch failed: each window alone, and only the culprit's recording fails."""
        if len(batch) > 1:
            self._alone.extend(batch)
        else:
            self._fail(batch[0].key, error)

    def _fail(self, key: int, error: object) -> None:
        opened = self._open.pop(key, None)
        if opened is None:
            return
        failure = error if isinstance(error, AsrError) else InternalError(f"failed with {error}")
        self._outcomes.append(Failed(opened.recording, failure))

    def _lose(self, worker: int, request: Request, batch: tuple[_Waiting, ...]) -> None:
        """What the lost worker listened to begins anew; a window that it had goes alone, lest it take others along."""
        suspect = {request.key} if isinstance(request, Listen) else {w.key for w in batch} if len(batch) == 1 else set()
        for opened in [o for o in self._open.values() if o.key in suspect or (o.worker == worker and o.last is None)]:
            tries = opened.tries + (opened.key in suspect)
            if tries >= TRIES:
                message = f"{opened.recording.path} ended {TRIES} worker processes; wanted a recording that does not"
                self._fail(opened.key, InternalError(message))
            else:
                del self._open[opened.key]
                self._queue.append((opened.recording, tries))
        self._alone.extend(waiting for waiting in batch if waiting.key in self._open)


class _Pool:
    """Windows waiting. Those of like length share a batch, since they are written in about as many steps; the company
    that a window is in changes no bit of its text, times and confidences."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self.seconds = 0.0

    def add(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self.seconds += waiting.seconds

    def batch(self, *, whole: bool) -> tuple[_Waiting, ...]:
        """The window that has waited longest and those nearest to it in length; none, if there must be a choice and is
        not."""
        batches = max(len(self._waiting) / BATCH_WINDOWS, self.seconds / BATCH_S)
        if not self._waiting or (whole and batches < CHOICE):
            return ()
        length_s = self._waiting[0].seconds
        nearest = sorted(self._waiting, key=lambda waiting: abs(waiting.seconds - length_s))
        room = max(1, min(BATCH_WINDOWS, int(BATCH_S / max(1.0, length_s))))
        taken = set(map(id, nearest[:room]))
        self._waiting = [waiting for waiting in self._waiting if id(waiting) not in taken]
        self.seconds = max(0.0, self.seconds - sum(waiting.seconds for waiting in nearest[:room]))
        return tuple(nearest[:room])
