"""OpenAI's Realtime transcription, `GET /v1/realtime`, as a `server.wires.base.Wire`; events in docs/PROTOCOL.md.

The stream at the model is opened at the first audio: settings come before it in messages, and a client that only waits
holds no place. New settings, and a pause without audio, end the stream; the next audio opens another, whose times go
on. So `receive` knows which stream it opens, and `RealtimeSender` follows the streams in the order of their events.

Specification: https://platform.openai.com/docs/api-reference/realtime-client-events
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from asr.errors import CallerError, ModelError
from server.wires.base import (
    Audio,
    Cause,
    Command,
    Ending,
    Finalize,
    Frame,
    MessageError,
    Open,
    Progress,
    Release,
    Reply,
    StreamEvent,
    Summary,
)
from server.wires.openai_realtime_messages import MAX_KEPT_ITEMS, Mode, RealtimeSender
from server.wires.openai_realtime_session import RealtimeSession, SessionError

MIN_COMMIT_S = 0.1
"""OpenAI's: less audio cannot be committed."""

Choose = Callable[[str | None, Sequence[str]], tuple[str, str | None]]
"""A model's name and the languages that may be spoken -> the served model's name, and the language to open it with.

Raises `ModelError`, `ConfigError`.
"""


class RealtimeWire:
    """One connection of OpenAI's Realtime protocol, for transcription."""

    def __init__(self, session: RealtimeSession, choose: Choose, session_id: str, *, is_beta: bool = False) -> None:
        self._session, self._choose, self._is_beta = session, choose, is_beta
        self._model, self._language = choose(session.model, session.languages)
        self._sender = RealtimeSender(session_id)
        self._is_open = False
        self._opened_with = session
        """The settings of the stream that is open."""
        self._stream_bytes = 0
        self._uncommitted_s = 0.0

    def open(self) -> tuple[Frame, ...]:
        """`session.created`, which clients await before they send settings."""
        return (_written(self._session_event("created")),)

    # -- what the client sends ---------------------------------------------------------------------------------------

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        """Never raises: what cannot be read is answered with an `error`, and the session goes on."""
        event_id = None
        try:
            message = _message(frame)
            event_id = message.get("event_id")
            return self._handlers[message["type"]](self, message)
        except CallerError as error:
            return (self._error(error, event_id),)

    def idle(self) -> tuple[Command, ...]:
        """After a pause without any frame: frees the stream's place. There are no keep-alive messages here."""
        return self._release()

    def _update(self, message: Mapping[str, Any]) -> tuple[Command, ...]:
        session = self._session.updated(message.get("session"))
        self._model, self._language = self._choose(session.model, session.languages)
        self._session = session
        return (Reply((_written(self._session_event("updated")),)),)

    def _update_beta(self, message: Mapping[str, Any]) -> tuple[Command, ...]:
        """The beta's name of `session.update`; its client reads the beta's answers."""
        self._is_beta = True
        return self._update(message)

    def _append(self, message: Mapping[str, Any]) -> tuple[Command, ...]:
        data = _audio(message.get("audio"))
        if not data:
            return ()
        opening = () if self._is_open and not self._opened_with.needs_new_stream(self._session) else self._open()
        self._stream_bytes += len(data)
        self._uncommitted_s += len(data) / self._session.bytes_per_s
        return (*opening, Audio(data))

    def _commit(self, _: Mapping[str, Any]) -> tuple[Command, ...]:
        if self._uncommitted_s < MIN_COMMIT_S:
            raise SmallCommitError(
                f"found a commit of {self._uncommitted_s * 1000:.0f} ms of audio, wanted {MIN_COMMIT_S * 1000:.0f} ms"
            )
        self._uncommitted_s = 0.0
        opening = () if self._is_open else self._open()  # a pause has ended the stream: the answer needs one
        self._sender.expect("commit")
        return (*opening, Finalize())

    def _clear(self, _: Mapping[str, Any]) -> tuple[Command, ...]:
        self._uncommitted_s = 0.0
        opening = () if self._is_open else self._open()
        self._sender.expect("clear")
        return (*opening, Finalize())

    def _retrieve(self, message: Mapping[str, Any]) -> tuple[Command, ...]:
        return (Reply(self._item_answer(message, self._sender.retrieved)),)

    def _delete(self, message: Mapping[str, Any]) -> tuple[Command, ...]:
        return (Reply(self._item_answer(message, self._sender.deleted)),)

    def _item_answer(
        self, message: Mapping[str, Any], answer: Callable[[str], dict[str, Any] | None]
    ) -> Iterator[Frame]:
        """Looked up when the results before it are sent: only then does the item have its text."""
        item_id = message.get("item_id")
        event = answer(item_id) if isinstance(item_id, str) else None
        if event is not None:
            yield _written(event)
            return
        error = ItemError(f"item_id: found {ascii(item_id)[:60]}, wanted one of the latest {MAX_KEPT_ITEMS} items")
        yield from self._error(error, message.get("event_id")).frames

    def _open(self) -> tuple[Command, ...]:
        commands = self._release()
        self._is_open, self._opened_with = True, self._session
        self._sender.expect_stream(Mode(self._session.is_manual, self._session.with_logprobs))
        return (*commands, Open(self._session.stream(self._language)))

    def _release(self) -> tuple[Command, ...]:
        """Ends the stream that is open, with a byte added where its last sample is cut in two."""
        if not self._is_open:
            return ()
        rest = self._stream_bytes % self._opened_with.sample_bytes
        self._is_open, self._stream_bytes = False, 0
        return (Audio(b"\0"), Release()) if rest else (Release(),)

    _handlers: Mapping[str, Callable[["RealtimeWire", Mapping[str, Any]], tuple[Command, ...]]] = {
        "session.update": _update,
        "transcription_session.update": _update_beta,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "conversation.item.retrieve": _retrieve,
        "conversation.item.delete": _delete,
    }

    # -- what the server sends ---------------------------------------------------------------------------------------

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        return map(_written, self._sender.results(events, progress))

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        if cause in (Cause.FINISHED, Cause.SHUTDOWN):
            return Ending((), CLOSE_CODES[cause], description)
        code, is_ours = cause.name.lower(), cause in (Cause.INTERNAL, Cause.OVERLOADED)
        failed = self._sender.failed(code, description) if is_ours else None
        kind = "server_error" if is_ours else "invalid_request_error"
        last = failed or self._sender.event("error", error=_error_fields(description, kind=kind, code=code))
        return Ending((_written(last),), CLOSE_CODES[cause], f"{code}: {description}", code)

    def _session_event(self, what: Literal["created", "updated"]) -> dict[str, Any]:
        """The whole session; ``model_info`` is our own and names the model that serves."""
        fields = self._session.flat_fields() if self._is_beta else self._session.fields()
        kind = "transcription_session" if self._is_beta else "session"
        return self._sender.session_event(f"{kind}.{what}", fields | {"model_info": {"name": self._model}})

    def _error(self, error: CallerError, event_id: Any) -> Reply:
        param = error.param if isinstance(error, SessionError) else None
        code = next(code for kind, code in ERROR_CODES if isinstance(error, kind))
        fields = _error_fields(str(error), code=code, param=param, event_id=event_id)
        return Reply((_written(self._sender.event("error", error=fields)),))


CLIENT_EVENTS = tuple(RealtimeWire._handlers)
"""The types of the events that a client may send."""


CONVERSATION_EVENTS = ("response.", "conversation.item.", "output_audio_buffer.")
"""Types that begin so belong to conversations with a model that answers."""


class SmallCommitError(MessageError):
    """A commit of too little audio."""


class ItemError(MessageError):
    """An item that there is not."""


ERROR_CODES: tuple[tuple[type[CallerError], str], ...] = (
    (SmallCommitError, "input_audio_buffer_commit_empty"),
    (ItemError, "item_not_found"),
    (ModelError, "model_not_found"),
    (MessageError, "invalid_event"),
    (CallerError, "invalid_value"),
)
"""The ``code`` of an `error` after which the session goes on; the first that matches."""

CLOSE_CODES: Mapping[Cause, int] = {
    Cause.FINISHED: 1000,
    Cause.SHUTDOWN: 1012,
    Cause.BAD_MESSAGE: 1008,
    Cause.BAD_AUDIO: 1008,
    Cause.NO_AUDIO: 1008,
    Cause.MESSAGE_TOO_BIG: 1009,
    Cause.IDLE: 1011,
    Cause.KEY_LIMIT: 1008,
    Cause.INTERNAL: 1011,
    Cause.OVERLOADED: 1013,
}


def _message(frame: Frame) -> dict[str, Any]:
    """An event of a known type. Raises `MessageError`."""
    wanted = 'wanted {"type": ...} with one of ' + ", ".join(CLIENT_EVENTS)
    if isinstance(frame, bytes):
        raise MessageError(f"found a binary message, {wanted}; audio comes in base64")
    try:
        message: Any = json.loads(frame, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise MessageError(f"found a message that is not JSON, {wanted}") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in CLIENT_EVENTS:
        if isinstance(kind, str) and kind.startswith(CONVERSATION_EVENTS):
            raise MessageError(
                f"found {ascii(kind)[:60]} in a session of transcription, where nobody answers; {wanted}"
            )
        raise MessageError(f"found an event of unknown type {ascii(kind)[:60]}, {wanted}")
    return dict(message)


def _no_number(name: str) -> float:
    """NaN and the infinities are none in JSON, and no client could read them in an echo."""
    raise ValueError(name)


def _audio(text: Any) -> bytes:
    """The bytes of an append. Raises `MessageError`."""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise MessageError("found an append whose audio is not base64, wanted the bytes in base64") from None


def _error_fields(
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    event_id: Any = None,
) -> dict[str, Any]:
    client_id = event_id[:512].encode(errors="replace").decode() if isinstance(event_id, str) else None
    return {"type": kind, "code": code, "message": message, "param": param, "event_id": client_id}


def _written(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
