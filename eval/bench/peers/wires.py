"""The protocols of other streaming servers, as their own clients speak them, without I/O.

    wire.hello, wire.is_ready(message)      the first message to send, and the one to wait for
    wire.chunk(samples), wire.end           the messages to send then
    wire.receive(message)                   the whole text so far, in words
    wire.is_over(message)                   whether the stream has ended

These protocols send segments or lines that may still change, so each message gives the text that a reader sees.
"""

import json
import uuid
from typing import Any, Protocol

import numpy as np

from server.client.protocol import StreamError, pcm16

WHISPER_LIVE, WHISPER_LIVE_KIT = "whisper-live", "whisperlivekit"
STREAMING_PEERS = (WHISPER_LIVE, WHISPER_LIVE_KIT)


class PeerWire(Protocol):
    """One stream. ``hello`` is "" where nothing is sent first.

    ``quiet_s`` without a message after the last audio end the stream; None where the server ends it itself.
    """

    path: str
    hello: str
    end: bytes
    quiet_s: float | None

    def is_ready(self, message: str | bytes) -> bool: ...

    def chunk(self, samples: np.ndarray) -> bytes:
        """A message with mono float32 samples ``(n,)`` at 16 kHz."""

    def receive(self, message: str | bytes) -> tuple[str, ...] | None:
        """The words of the text so far; None for a message without text. Raises `StreamError` for a reported error."""

    def is_over(self, message: str | bytes) -> bool: ...


def wire_of(peer: str, language: str, folder: str) -> PeerWire:
    """The wire of a new stream; `folder` has the model."""
    return WhisperLiveWire(language, folder) if peer == WHISPER_LIVE else WhisperLiveKitWire(language)


class WhisperLiveWire:
    """WhisperLive 0.10 (`whisper_live/client.py`): segments as JSON, the newest ten each time, the last one open.

    Its server does not end a stream: its client waits until no message has come for 15 s.
    """

    path = "/"
    end = b"END_OF_AUDIO"
    quiet_s: float | None = 15.0

    def __init__(self, language: str, folder: str) -> None:
        asked = {"uid": str(uuid.uuid4()), "language": language or None, "task": "transcribe", "model": folder}
        self.hello = json.dumps(asked | {"use_vad": True, "send_last_n_segments": 10})
        self._completed: dict[tuple[str, str], str] = {}
        """Text by start and end time, in order."""

    def is_ready(self, message: str | bytes) -> bool:
        return _table(message).get("message") == "SERVER_READY"

    def chunk(self, samples: np.ndarray) -> bytes:
        data: bytes = samples.astype("<f4").tobytes()
        return data

    def receive(self, message: str | bytes) -> tuple[str, ...] | None:
        table = _table(message)
        if table.get("status") in ("ERROR", "WAIT"):
            raise StreamError(f"the peer refused: {table.get('message')}")
        if "segments" not in table:
            return None
        open_text = ""
        for segment in table["segments"]:
            if segment["completed"]:
                self._completed[segment["start"], segment["end"]] = segment["text"]
            else:
                open_text = segment["text"]
        return tuple(" ".join([*self._completed.values(), open_text]).split())

    def is_over(self, message: str | bytes) -> bool:
        return _table(message).get("message") == "DISCONNECT"


class WhisperLiveKitWire:
    """WhisperLiveKit 0.2 (`whisperlivekit/basic_server.py`), started with ``--pcm-input``: each message has all lines
    and the text that may still change. An empty message ends the audio, ``ready_to_stop`` the stream."""

    hello = ""
    end = b""
    quiet_s: float | None = None

    def __init__(self, language: str) -> None:
        self.path = f"/asr?language={language}" if language else "/asr"

    def is_ready(self, message: str | bytes) -> bool:
        return _table(message).get("type") == "config"

    def chunk(self, samples: np.ndarray) -> bytes:
        return pcm16(samples)

    def receive(self, message: str | bytes) -> tuple[str, ...] | None:
        table = _table(message)
        if table.get("error") or table.get("type") == "error":
            raise StreamError(f"the peer failed: {table.get('error')}")
        if "lines" not in table:
            return None
        texts = [str(line.get("text") or "") for line in table["lines"]]
        return tuple(" ".join([*texts, str(table.get("buffer_transcription") or "")]).split())

    def is_over(self, message: str | bytes) -> bool:
        return _table(message).get("type") == "ready_to_stop"


def _table(message: str | bytes) -> dict[str, Any]:
    try:
        table = json.loads(message)
    except ValueError as error:
        raise StreamError(f"found message {str(message)[:80]!r}, wanted the peer's JSON ({error})") from None
    if not isinstance(table, dict):
        raise StreamError(f"found message {str(message)[:80]!r}, wanted a JSON object")
    return table
