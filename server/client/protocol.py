"""Deepgram's live protocol from the client's side, without I/O: an address, audio as bytes, messages as events.

    url = listen_url("ws://127.0.0.1:8000", encoding="linear16", sample_rate=16_000, interim_results=True)
    data = pcm16(samples)           # one binary message; CLOSE_STREAM is the last one
    message = read_message(text)    # each message of the server

Works with any server of the protocol (developers.deepgram.com, "Live Audio", `GET /v1/listen`); docs/PROTOCOL.md has
what ours adds. `server.client.stream` runs it over a socket.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

import numpy as np

from asr.errors import CallerError, ConfigError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word

PATH = "/v1/listen"
CHUNK_S = 0.1
"""Audio in one message: what a browser's worklet or a telephone gateway sends at a time."""
CLOSE_STREAM = '{"type": "CloseStream"}'
FINALIZE = '{"type": "Finalize"}'
"""Asks for the final text of everything sent so far; the stream goes on."""


class StreamError(CallerError):
    """The server is not there, refused the stream, ended it early, or speaks another protocol."""


# -- what the client sends -------------------------------------------------------------------------------------------


def listen_url(url: str, **parameters: Any) -> str:
    """The address of a live stream on the server at `url` (ws, wss, http, https), with `PATH` where it has no path.

    Parameters that are None are left out; one with several values is repeated. Raises `ConfigError` for a URL that
    cannot be used.
    """
    parts = _parts(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    given = urlencode([(name, _value(value)) for name, values in parameters.items() for value in _each(values)])
    query = "&".join(part for part in (parts.query, given) if part)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in ("", "/") else PATH, query, ""))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        possible = parts.scheme in ("ws", "wss", "http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # unbalanced brackets, a port that is no number
        possible = False
    if not possible:
        raise ConfigError(f"found the address {url!r}, wanted one like ws://127.0.0.1:8000{PATH}")
    return parts


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _each(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else () if values is None else (values,)


def pcm16(samples: np.ndarray) -> bytes:
    """Mono float32 ``(n,)`` as little-endian signed 16-bit integers (``encoding=linear16``); clipped to [-1, 1]."""
    data: bytes = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()
    return data


# -- what the server sends -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A server's message. ``event`` is None for one that reports nothing of the speech."""

    event: Event | None
    error: str = ""
    """The description of an `Error` message: the stream ends."""
    lag_s: float | None = None
    """Audio received and not recognised yet, where the server reports it."""
    weights_sha256: str = ""
    """Of the model, where the server reports it."""
    release: str = ""
    """`NAME/7`, where the server reports it."""


Joiner = Callable[[str], str]
"""What stands between two words of a language: " ", or "" where none is written."""


def spaces(language: str) -> str:
    """The joiner of languages that write spaces."""
    return " "


def read_message(text: str | bytes, language: str = "", joiner: Joiner = spaces) -> Message:
    """One message of the server. Raises `StreamError` for what is not the protocol.

    Deepgram strips the space before a message's first word. Our server's ``text`` keeps it; for other servers it is
    restored: `joiner` of the message's language, or of `language` where the message names none.
    """
    try:
        table = json.loads(text)
        return Message(
            _event(table, language, joiner),
            _error(table),
            None if (lag_s := table.get("lag_s")) is None else float(lag_s),
            *(str((table.get("metadata") or {}).get(name, "")) for name in ("weights_sha256", "release")),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise StreamError(f"found message {str(text)[:80]!r}, wanted the live protocol's JSON ({error!r})") from None


def _error(table: Mapping[str, Any]) -> str:
    return str(table.get("description") or table.get("message") or table) if table["type"] == "Error" else ""


def _event(table: Mapping[str, Any], language: str, joiner: Joiner) -> Event | None:
    kind = table["type"]
    if kind == "Results":
        return _result(table, language, joiner)
    if kind == "SpeechStarted":
        return SpeechStarted(float(table["timestamp"]))
    if kind == "UtteranceEnd":
        return SpeechEnded(float(table["last_word_end"]))
    if kind == "Metadata":
        return Ended(float(table["duration"])) if "duration" in table else None
    return None


def _result(table: Mapping[str, Any], language: str, joiner: Joiner) -> Partial | Final:
    start_s = float(table["start"])
    end_s = start_s + float(table["duration"])
    best = table["channel"]["alternatives"][0]
    spoken = str((best.get("languages") or [language])[0])
    words = tuple(_words(best, joiner(spoken))) or _wordless(best, start_s, end_s, joiner(spoken))
    if not table.get("is_final"):
        return Partial(words, start_s, end_s, spoken)
    return Final(words, start_s, end_s, spoken, bool(table.get("speech_final")), bool(table.get("from_finalize")))


def _words(best: Mapping[str, Any], joiner: str) -> Iterator[Word]:
    """The words, each with its part of the text; the parts joined are the text."""
    written = [str(table.get("punctuated_word") or table["word"]) for table in best["words"]]
    for table, text in zip(best["words"], _pieces(_text(best, joiner), written, joiner), strict=True):
        yield Word(text, float(table["start"]), float(table["end"]), float(table.get("confidence", 0.0)))


def _wordless(best: Mapping[str, Any], start_s: float, end_s: float, joiner: str) -> tuple[Word, ...]:
    """The text of a server that sends no words, as one word."""
    text = _text(best, joiner)
    return (Word(text, start_s, end_s, float(best.get("confidence", 0.0))),) if text.strip() else ()


def _text(best: Mapping[str, Any], joiner: str) -> str:
    return str(best["text"]) if "text" in best else joiner + str(best["transcript"])


def _pieces(text: str, written: Sequence[str], joiner: str) -> list[str]:
    """The text cut after each word. A word that the text does not contain is inserted."""
    pieces: list[str] = []
    at = 0
    for word in written:
        found = text.find(word, at)
        end = at if found < 0 else found + len(word)
        pieces.append(joiner + word if found < 0 else text[at:end])
        at = end
    return [*pieces[:-1], pieces[-1] + text[at:]] if pieces else []
