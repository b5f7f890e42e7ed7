"""Transcripts as values, and the files they are written as: text, JSON, SubRip, WebVTT, and tables (tsv, jsonl)."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr.events import Event, Final, Word
from asr.transcripts.subtitles import Cue, cues_of, encodable, one_line, spread_words

_SEGMENT_S = 5.0
"""A segment of this length ends at the next end of a sentence."""
_SENTENCE_ENDS = ".?!…。？！｡؟।"
_CLOSERS = "\"'”’»)]」』）"


@dataclass(frozen=True, slots=True)
class Segment:
    """An utterance, or a few sentences of a long one. `text` has no outer spaces; `words` keep theirs."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one recording, with times, and the model and settings that made it."""

    text: str
    language: str
    duration_s: float
    segments: tuple[Segment, ...]
    model: str = ""
    weights_sha256: str = ""
    audio_sha256: str = ""
    settings: Mapping[str, object] | None = None


def main_language(finals: Iterable[Final]) -> str:
    """The language of most words; "" without finals."""
    words = Counter[str]()
    for final in finals:
        words[final.language] += len(final.words)
    return max(words, key=words.__getitem__, default="")


def segments_from_finals(events: Iterable[Event]) -> tuple[Segment, ...]:
    """Groups the words of all `Final`s. A segment ends with its utterance, or with a sentence once it is 5 s long."""
    return tuple(iter_segments(events))


def iter_segments(events: Iterable[Event]) -> Iterator[Segment]:
    """The segments of `segments_from_finals`, each as soon as its last word is there."""
    words: list[Word] = []
    for event in events:
        if not isinstance(event, Final):
            continue
        for word in event.words:
            words.append(word)
            if word.end_s - words[0].start_s >= _SEGMENT_S and ends_sentence(word.text):
                yield _segment(words)
                words = []
        if event.ends_utterance and words:
            yield _segment(words)
            words = []
    if words:
        yield _segment(words)


def _segment(words: list[Word]) -> Segment:
    return Segment("".join(word.text for word in words).strip(), words[0].start_s, words[-1].end_s, tuple(words))


def ends_sentence(text: str) -> bool:
    """Whether a word is written as the last of a sentence."""
    return text.rstrip().rstrip(_CLOSERS).endswith(tuple(_SENTENCE_ENDS))


def to_txt(transcript: Transcript) -> str:
    """Plain text, one line per segment. An empty transcript is an empty file."""
    lines = [one_line(segment.text) for segment in transcript.segments] or [one_line(transcript.text)]
    return "".join(f"{line}\n" for line in lines if line)


def to_json(transcript: Transcript) -> str:
    """JSON with the transcript's fields by name. All times are seconds from the beginning of the recording.

    ``{"text", "language", "duration_s", "model", "weights_sha256", "segments": [{"text", "start_s", "end_s",
    "words": [{"text", "start_s", "end_s", "confidence"}]}]}``. A word's text keeps the space to its left neighbour, so
    joining a segment's words gives its text. ``"audio_sha256"`` and ``"settings"`` are present only if they are set.
    """
    table: dict[str, object] = {
        "text": transcript.text,
        "language": transcript.language,
        "duration_s": round(transcript.duration_s, 3),
        "model": transcript.model,
        "weights_sha256": transcript.weights_sha256,
        **({"audio_sha256": transcript.audio_sha256} if transcript.audio_sha256 else {}),
        **({"settings": transcript.settings} if transcript.settings else {}),
        "segments": [_segment_table(segment) for segment in transcript.segments],
    }
    return encodable(json.dumps(table, ensure_ascii=False, indent=2, allow_nan=False)) + "\n"


def _segment_table(segment: Segment) -> dict[str, object]:
    words = [_word_table(word) for word in segment.words]
    return {
        "text": segment.text,
        "start_s": round(segment.start_s, 3),
        "end_s": round(segment.end_s, 3),
        "words": words,
    }


def _word_table(word: Word) -> dict[str, object]:
    return {
        "text": word.text,
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        "confidence": round(word.confidence, 4),
    }


def to_srt(transcript: Transcript) -> str:
    """SubRip: numbered cues, ``hh:mm:ss,mmm``. It has no escapes, so ``-->`` in the text becomes ``->``."""
    return "\n".join(f"{number}\n{_srt_cue(cue)}" for number, cue in enumerate(_cues(transcript), 1))


def to_vtt(transcript: Transcript) -> str:
    """WebVTT (W3C): cues with ``hh:mm:ss.mmm``. ``&``, ``<`` and ``>`` are escaped, so no ``-->`` is left in a text."""
    return "\n".join(["WEBVTT\n", *(f"{_span(cue, '.')}\n{_escaped(_lines(cue))}\n" for cue in _cues(transcript))])


def to_tsv(transcript: Transcript) -> str:
    """One line per segment: start and end in milliseconds and text, separated by tabs, as OpenAI's `whisper` does."""
    return _tsv((segment.start_s, segment.end_s, segment.text) for segment in transcript.segments)


def _words_tsv(transcript: Transcript) -> str:
    words = (word for segment in transcript.segments for word in segment.words)
    return _tsv((word.start_s, word.end_s, word.text) for word in words)


def _tsv(rows: Iterable[tuple[float, float, str]]) -> str:
    lines = [f"{round(start_s * 1000)}\t{round(end_s * 1000)}\t{one_line(text)}\n" for start_s, end_s, text in rows]
    return "start\tend\ttext\n" + "".join(lines)


def to_jsonl(transcript: Transcript) -> str:
    """JSON lines, one per segment: ``{"start_s", "end_s", "text"}``."""
    return _jsonl(transcript, ("start_s", "end_s", "text"))


def _words_jsonl(transcript: Transcript) -> str:
    return _jsonl(transcript, ("start_s", "end_s", "text", "words"))


def _jsonl(transcript: Transcript, fields: Sequence[str]) -> str:
    tables = [_segment_table(segment) for segment in transcript.segments]
    rows = [{name: table[name] for name in fields} for table in tables]
    return "".join(encodable(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n" for row in rows)


FORMATS: Mapping[str, Callable[[Transcript], str]] = {
    "txt": to_txt,
    "json": to_json,
    "srt": to_srt,
    "vtt": to_vtt,
    "tsv": to_tsv,
    "jsonl": to_jsonl,
}
"""Writer of each format, by the name that `--format` takes and that files end in."""


def with_word_times(name: str) -> Callable[[Transcript], str]:
    """The writer of a format with word times: one line per word in tsv, each segment's words in jsonl.

    JSON has word times anyway; the other formats have none.
    """
    return {"tsv": _words_tsv, "jsonl": _words_jsonl}.get(name, FORMATS[name])


def _cues(transcript: Transcript) -> list[Cue]:
    words = (s.words or spread_words(s.text, s.start_s, s.end_s) for s in transcript.segments)
    return cues_of(words, transcript.duration_s)


def _srt_cue(cue: Cue) -> str:
    return f"{_span(cue, ',')}\n{re.sub('-{2,}>', '->', _lines(cue))}\n"


def _lines(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_ms, point)} --> {_clock(cue.end_ms, point)}"


def _clock(time_ms: int, point: str) -> str:
    minutes, rest_ms = divmod(time_ms, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest_ms // 1000:02}{point}{rest_ms % 1000:03}"
