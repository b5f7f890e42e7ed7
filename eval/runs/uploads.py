"""Whole recordings through OpenAI's endpoint `POST /v1/audio/transcriptions`, of a service or of a server of ours."""

import http.client
import io
import json
import time
import uuid
import wave
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError, ConfigError
from asr.events import Ended, Final, Word
from asr.normalisation.normalise import base_language
from eval.data.types import Recording
from eval.runs.live import OnTrace, Target
from eval.runs.replay import trace_of
from eval.trace import OFFLINE, Entry, Trace
from server.client.protocol import pcm16

PATH = "/v1/audio/transcriptions"
PATIENCE_S = 600.0
ATTEMPTS = 4
"""Attempts while the service says that it is busy (429, 503)."""


class UploadError(CallerError):
    """The service is not there, refused the recording, or answered something else than a transcript."""


def run_uploads(target: Target, recordings: Iterable[Recording], streams: int, on_trace: OnTrace) -> None:
    """Uploads all recordings, `streams` at a time; calls `on_trace` with each trace, in the recordings' order."""
    with ThreadPoolExecutor(streams) as pool:
        for trace in pool.map(lambda recording: upload(target, recording), recordings):
            on_trace(trace)


def upload(target: Target, recording: Recording) -> Trace:
    """One recording as a WAV file of 16 kHz. A failure becomes the trace's `error`.

    Its event comes when the answer came; `busy_s` is the time from the request to the answer.
    """
    began, error, text = time.monotonic(), "", ""
    try:
        text = _transcript(target, recording)
    except (UploadError, OSError, http.client.HTTPException) as failure:
        error = target.without_key(f"{type(failure).__name__}: {failure}")
    took_s = time.monotonic() - began
    words = (Word(text, 0.0, recording.duration_s, 1.0),) if text else ()
    final = Final(words, 0.0, recording.duration_s, recording.utterance.language, ends_utterance=True)
    entries = [Entry(event, recording.duration_s, took_s) for event in (final, Ended(recording.duration_s))]
    trace = trace_of(recording, OFFLINE, target.model, entries, 0.0)
    return replace(trace, busy_s=took_s, error=error)


def _transcript(target: Target, recording: Recording) -> str:
    fields = {
        "model": target.ask_model,
        "language": base_language(recording.utterance.language),
        "response_format": "json",
    }
    kind, body = _form({name: value for name, value in fields.items() if value}, _wav(recording))
    for attempt in range(ATTEMPTS):
        status, answer = _post(target, kind, body)
        if status not in (429, 503) or attempt == ATTEMPTS - 1:
            break
        time.sleep(2**attempt)
    if status != 200:
        raise UploadError(f"the service refused the recording (HTTP {status}): {_message(answer)}")
    try:
        return str(json.loads(answer)["text"]).strip()
    except (ValueError, KeyError, TypeError):
        raise UploadError(f"found the answer {answer[:80]!r}, wanted JSON with a text") from None


def _post(target: Target, kind: str, body: bytes) -> tuple[int, bytes]:
    connection, path = _connection(target.url)
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {target.key}"} if target.key else {})
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the service at `url` and the path to ask there; `PATH` where the address has none."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port, host = parts.port, parts.hostname
    except ValueError:  # a port that is no number, unbalanced brackets
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigError(f"found the address {url!r}, wanted one like http://127.0.0.1:8000")
    path = parts.path if parts.path not in ("", "/") else PATH
    opened = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return opened(host, port, timeout=PATIENCE_S), path + (f"?{parts.query}" if parts.query else "")


def _wav(recording: Recording) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE_HZ)
        written.writeframes(pcm16(recording.samples))
    return file.getvalue()


def _form(fields: dict[str, str], wav: bytes) -> tuple[str, bytes]:
    """The content type and the body of a form with these fields and a file (RFC 7578)."""
    boundary = uuid.uuid4().hex
    parts: Sequence[tuple[str, bytes]] = [
        *((f'name="{name}"', value.encode()) for name, value in fields.items()),
        ('name="file"; filename="audio.wav"\r\nContent-Type: audio/wav', wav),
    ]
    written = (
        f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode() + data for about, data in parts
    )
    return f"multipart/form-data; boundary={boundary}", b"\r\n".join(written) + f"\r\n--{boundary}--\r\n".encode()


def _message(answer: bytes) -> Any:
    try:
        return json.loads(answer)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace")
