"""The client's side of the live protocol that Deepgram publishes, without I/O: messages -> events.

Source: developers.deepgram.com, "Live Audio" API reference (`GET /v1/listen`); `docs/PROTOCOL.md` has what our server
says of it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word
from eval.normalise import base_language, is_by_character

PATH = "/v1/listen"
CLOSE_STREAM = '{"type": "CloseStream"}'


class WireError(CallerError):
    """The server refused, or said what is not in the protocol."""


def listen_url(url: str, language: str = "", model: str = "") -> str:
    """The address of a live stream of linear16 at 16 kHz on the server at `url` (http, https, ws or wss)."""
    parts = urlsplit(url)
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise WireError(f"found server address {url!r}, wanted one like ws://127.0.0.1:8000")
    query = {"encoding": "linear16", "sample_rate": SAMPLE_RATE_HZ, "channels": 1, "interim_results": "true"}
    query |= {"vad_events": "true"}
    query |= {"language": base_language(language)} if language else {}
    query |= {"model": model} if model else {}
    path = parts.path if parts.path.strip("/") else PATH
    return urlunsplit((schemes[parts.scheme], parts.netloc, path, urlencode(query), ""))


def pcm16(samples: np.ndarray) -> bytes:
    """Mono float32 ``(n,)`` as little-endian signed 16-bit integers."""
    scaled: np.ndarray = (np.clip(samples, -1.0, 1.0) * 32767.0).round()
    return scaled.astype("<i2").tobytes()


@dataclass(frozen=True, slots=True)
class Heard:
    """A server's message: the event that it is (None when it says nothing of speech), and the model where it tells."""

    event: Event | None
    weights_sha256: str = ""


def parse(message: str | bytes, language: str) -> Heard:
    """What a server's message says. Raises `WireError`, for an `Error` message too.

    The words of a protocol that strips spaces get back the space before them, but in a language that writes none.
    """
    try:
        table = json.loads(message)
        return Heard(_event(table, language), str((table.get("metadata") or {}).get("weights_sha256", "")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise WireError(f"found message {str(message)[:80]!r}, wanted the live protocol's JSON ({error!r})") from None


def _event(table: Mapping[str, Any], language: str) -> Event | None:
    kind = table["type"]
    if kind == "Results":
        return _result(table, language)
    if kind == "SpeechStarted":
        return SpeechStarted(float(table["timestamp"]))
    if kind == "UtteranceEnd":
        return SpeechEnded(float(table["last_word_end"]))
    if kind == "Metadata":
        return Ended(float(table["duration"])) if "duration" in table else None
    if kind == "Error":
        raise WireError(str(table.get("description") or table.get("message") or table))
    return None


def _result(table: Mapping[str, Any], language: str) -> Partial | Final:
    start_s = float(table["start"])
    end_s = start_s + float(table["duration"])
    best = table["channel"]["alternatives"][0]
    said = str((best.get("languages") or [language])[0])
    words = tuple(_words(best, said))
    if not table.get("is_final"):
        return Partial(words, start_s, end_s, said)
    return Final(words, start_s, end_s, said, bool(table.get("speech_final")), bool(table.get("from_finalize")))


def _words(best: Mapping[str, Any], language: str) -> Iterator[Word]:
    """The words, each with its part of the text that they make up."""
    written = [str(table.get("punctuated_word") or table["word"]) for table in best["words"]]
    for table, text in zip(best["words"], _parts(_text(best, language), written, language), strict=True):
        yield Word(text, float(table["start"]), float(table["end"]), float(table.get("confidence", 0.0)))


def _text(best: Mapping[str, Any], language: str) -> str:
    """Our server's own ``text``, to the letter; of others the transcript, which has lost the space before it."""
    return str(best["text"]) if "text" in best else _joiner(language) + str(best["transcript"])


def _parts(text: str, written: Sequence[str], language: str) -> list[str]:
    """The text cut behind each word, so that the parts joined are the text; a word that is not in it is put in."""
    parts: list[str] = []
    at = 0
    for word in written:
        found = text.find(word, at)
        end = at if found < 0 else found + len(word)
        parts.append(_joiner(language) + word if found < 0 else text[at:end])
        at = end
    return [*parts[:-1], parts[-1] + text[at:]] if parts else []


def _joiner(language: str) -> str:
    return "" if is_by_character(language) else " "
