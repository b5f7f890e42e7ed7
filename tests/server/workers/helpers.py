"""A recognition worker without a process and without a model."""

from collections.abc import Callable
from typing import Any

from asr.config import SessionSettings
from server.workers.messages import StreamOptions
from server.workers.process import Handler, WorkerDied, WorkerProcess, answer_of
from server.workers.worker import RecognitionWorker
from tests.server.fakes import ScriptedEngine, ScriptedSession


class CoreEngine(ScriptedEngine):
    """The scripted engine with `open` as `asr.engine.Engine` has it: what a worker holds."""

    def open(self, settings: SessionSettings, **options: Any) -> ScriptedSession:  # type: ignore[override]
        return super().open(settings, StreamOptions(**options))


def scripted_worker() -> RecognitionWorker:
    return RecognitionWorker(CoreEngine())  # type: ignore[arg-type]


class InProcess(WorkerProcess[Any, Any, Any]):
    """A worker whose handler is an object in this process. Unreal: nothing is pickled, and it dies only on `kill`."""

    def __init__(self, make_handler: Callable[[], Handler[Any, Any, Any]]) -> None:
        super().__init__(make_handler, "worker")

    def _start(self) -> None:
        self.handler = self._make_handler()
        self._answer: Any = self.handler.hello
        self._died = self._was_still = False

    def _kill_if_still(self) -> None:
        """There is no process to look at."""

    @property
    def is_alive(self) -> bool:
        return not self._died

    def kill(self) -> None:
        self._died = True

    def restart(self) -> Any:
        self._start()
        return self.handler.hello

    def send(self, request: Any) -> None:
        self._answer = WorkerDied("the worker has ended") if self._died else answer_of(self.handler, request)

    def receive(self) -> Any:
        return self._answer

    def close(self, patience_s: float = 0.0) -> None:
        """There is no process to end."""
