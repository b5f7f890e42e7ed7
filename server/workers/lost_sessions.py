"""What the server keeps of a session, so that it can be continued when its worker dies.

A checkpoint is the whole session, saved by the worker between two steps. The calls since then are kept here, at most
about 40 s of audio. Opened again, the session gets those calls again and emits the same events again, except for
partials: those depend on when the steps came. So the events since the checkpoint are kept too, without partials. The
repeated ones are compared with them and dropped.

Other ways, and why not: the whole audio instead of a checkpoint is unbounded; the finals as a prefix for a new session
would not give the same words, since the model's memory and the rules for what is final look further back.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from asr.events import Event, Final, Partial
from server.workers.messages import Call, Open, State

_log = logging.getLogger("steadyword.server")


class Past:
    """The last checkpoint of one session, and what came after it."""

    def __init__(self, request: Open) -> None:
        self.request = request
        """Opens the session as it was at the last checkpoint."""
        self.calls: list[Call] = []
        """The calls that the worker received since the checkpoint."""
        self._given: list[Event] = []
        """The events since the checkpoint that the owner got, without partials."""
        self._repeated = 0
        """How many of those the session in the present worker has emitted."""
        self._shown_until_s = 0.0
        self._is_repeat = False

    def new_events(self, state: State) -> list[Event]:
        """The events of a session's new state that the owner has not got yet. Takes the state's checkpoint."""
        events = list(self._new(state.events))
        if state.checkpoint:
            self.request = replace(self.request, checkpoint=state.checkpoint)
            self.calls.clear()
            del self._given[: self._repeated]
            self._repeated = 0
        return events

    def repeat(self) -> list[Call]:
        """The calls since the checkpoint, to be made again in another worker."""
        calls, self.calls = self.calls, []
        self._repeated, self._is_repeat = 0, True
        return calls

    def _new(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Partial):
                if self._is_shown(event):
                    yield event
            elif self._repeated < len(self._given):
                _check(self._given[self._repeated], event)
                self._repeated += 1
            else:
                self._given.append(event)
                self._repeated += 1
                yield event

    def _is_shown(self, partial: Partial) -> bool:
        """While a dead worker's steps are repeated, its partials are older than the one on the screen."""
        if self._is_repeat:
            if self._repeated < len(self._given) or partial.end_s < self._shown_until_s:
                return False
            self._is_repeat = False
        self._shown_until_s = partial.end_s
        return True


def _check(given: Event, repeated: Event) -> None:
    """Events follow from samples alone. If that were wrong, words might be missing or come twice: the log must say so,
    without the text.
    """
    if _shape(given) != _shape(repeated):
        _log.error("a stream that was moved to another worker gave other events than before: %s", type(given).__name__)


def _shape(event: Event) -> tuple[object, ...]:
    return (type(event), event.text) if isinstance(event, Final) else (type(event),)
