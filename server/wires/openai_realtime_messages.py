"""What OpenAI's Realtime wire sends: the events of sessions, one stream after the other -> server events. Pure.

An item is one turn of a speaker, or with manual commits what was said between two of them. Its life:

    speech_started (voice activity), delta ..., speech_stopped (voice activity), committed, added, done, completed
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from asr.events import Ended, Final, SpeechEnded, SpeechStarted
from server.wires.base import Progress, StreamEvent
from server.wires.openai_transcriptions import TextDeltas

SESSION_S = 3600
"""OpenAI's longest session. Nothing ends here at its end; clients are free to reconnect before."""
TRANSCRIPTION = "conversation.item.input_audio_transcription"
MAX_KEPT_ITEMS = 100
"""How many can be retrieved; a connection may last for hours."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How the events of one stream are reported."""

    is_manual: bool
    with_logprobs: bool


@dataclass(slots=True)
class _Item:
    id: str
    start_s: float
    deltas: TextDeltas = field(default_factory=TextDeltas)
    language: str = ""


class RealtimeSender:
    """Makes the events of one connection.

    The wire announces each stream and each commit or clear before the connection carries it out; `results` meets them
    in the same order.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._expires_at = int(time.time()) + SESSION_S
        self._modes: deque[Mode] = deque()
        """Of the stream whose events come next, and of those after it."""
        self._marks: deque[Literal["commit", "clear"]] = deque()
        self._events = self._items = 0
        self._offset_s = 0.0
        """The audio of the streams before."""
        self._item: _Item | None = None
        self._last_id: str | None = None
        self._kept: dict[str, dict[str, Any]] = {}
        """The latest items that are committed, by id; a transcript is added when it is complete."""
        self._committed_s = 0.0
        self._named_release: dict[str, str] = {}

    def expect_stream(self, mode: Mode) -> None:
        """Another stream will be opened."""
        self._modes.append(mode)

    def expect(self, mark: Literal["commit", "clear"]) -> None:
        """The stream will be finalized, for this reason."""
        self._marks.append(mark)

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A server event."""
        self._events += 1
        return {"type": kind, "event_id": f"event_{self._session_id}_{self._events}", **fields}

    def session_event(self, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
        """`session.created` or `session.updated`, or those of the beta."""
        session = {
            "object": "realtime.transcription_session",
            "type": "transcription",
            "id": f"sess_{self._session_id}",
            "expires_at": self._expires_at,
        }
        return self.event(kind, session=session | settings)

    def failed(self, code: str, message: str) -> dict[str, Any] | None:
        """The event that says that the open item gets no text; None without one."""
        if self._item is None:
            return None
        error = {"type": "server_error", "code": code, "message": message, "param": None}
        return self.event(f"{TRANSCRIPTION}.failed", item_id=self._item.id, content_index=0, error=error)

    def retrieved(self, item_id: str) -> dict[str, Any] | None:
        """The item as it is now; None for one that there is not, or that is kept no more."""
        item = self._kept.get(item_id)
        return None if item is None else self.event("conversation.item.retrieved", item=item)

    def deleted(self, item_id: str) -> dict[str, Any] | None:
        """Forgets the item; None as for `retrieved`. Its transcript comes all the same if it is not complete yet."""
        if self._kept.pop(item_id, None) is None:
            return None
        return self.event("conversation.item.deleted", item_id=item_id)

    def results(self, events: Iterable[StreamEvent], progress: Progress) -> Iterator[dict[str, Any]]:
        """The server events for what a session emitted."""
        self._named_release = progress.named_release
        for event in events:
            if isinstance(event, SpeechStarted):
                yield from self._speech_started(self._offset_s + event.at_s)
            elif isinstance(event, Final):
                yield from self._final(event)
            elif isinstance(event, SpeechEnded):
                yield from self._speech_ended(self._offset_s + event.at_s)
            elif isinstance(event, Ended):
                self._offset_s += event.duration_s
                self._modes.popleft()

    def _speech_started(self, at_s: float) -> Iterator[dict[str, Any]]:
        if self._modes[0].is_manual:
            return
        item = self._opened(at_s)
        yield self.event("input_audio_buffer.speech_started", item_id=item.id, audio_start_ms=round(at_s * 1000))

    def _final(self, final: Final) -> Iterator[dict[str, Any]]:
        end_s = self._offset_s + final.end_s
        if not final.from_finalize:
            yield from self._delta(final)
        elif self._marks.popleft() == "clear":
            self._item, self._committed_s = None, end_s
            yield self.event("input_audio_buffer.cleared")
        else:
            yield from self._committed(self._opened(self._committed_s))
            yield from self._delta(final)
            yield from self._completed(end_s)

    def _delta(self, final: Final) -> Iterator[dict[str, Any]]:
        if not final.words:
            return
        item = self._opened(self._committed_s if self._modes[0].is_manual else self._offset_s + final.start_s)
        item.language = final.language or item.language
        delta, logprobs = item.deltas.add(final)
        fields = {"item_id": item.id, "content_index": 0, "delta": delta}
        yield self.event(f"{TRANSCRIPTION}.delta", **fields, **self._logprobs(logprobs))

    def _speech_ended(self, at_s: float) -> Iterator[dict[str, Any]]:
        if self._modes[0].is_manual:
            return
        item_id = self._item.id if self._item else self._last_id
        yield self.event("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=round(at_s * 1000))
        if self._item:  # a commit in the middle of speech may have taken it
            yield from self._committed(self._item)
            yield from self._completed(at_s)

    def _committed(self, item: _Item) -> Iterator[dict[str, Any]]:
        previous, self._last_id = self._last_id, item.id
        yield self.event("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous)
        fields = _item_fields(item.id, None)
        self._kept[item.id] = fields
        if len(self._kept) > MAX_KEPT_ITEMS:
            del self._kept[next(iter(self._kept))]
        for kind in ("added", "done"):
            yield self.event(f"conversation.item.{kind}", previous_item_id=previous, item=fields)

    def _completed(self, end_s: float) -> Iterator[dict[str, Any]]:
        item = self._opened(end_s)
        self._item, self._committed_s = None, end_s
        if item.id in self._kept:
            self._kept[item.id] = _item_fields(item.id, item.deltas.text)
        yield self.event(
            f"{TRANSCRIPTION}.completed",
            item_id=item.id,
            content_index=0,
            transcript=item.deltas.text,
            usage={"type": "duration", "seconds": round(max(0.0, end_s - item.start_s), 3)},
            **({"languages": [{"code": item.language}]} if item.language else {}),
            **self._named_release,
            **self._logprobs(item.deltas.logprobs),
        )

    def _opened(self, start_s: float) -> _Item:
        """The open item, or a new one that starts here."""
        if self._item is None:
            self._items += 1
            self._item = _Item(f"item_{self._session_id}_{self._items}", start_s)
        return self._item

    def _logprobs(self, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"logprobs": logprobs} if self._modes[0].with_logprobs else {}


def _item_fields(item_id: str, transcript: str | None) -> dict[str, Any]:
    """An item as OpenAI writes it; None: its transcript is not complete yet."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": transcript}],
    }
