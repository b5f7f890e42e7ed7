"""Rows of any layout -> utterances. Layouts differ only in how they find their rows.

A row has NeMo's fields: audio_filepath, text, duration, offset; optionally language, speaker, words and segments (both
[[start_s, end_s, text], ...]). Every other field with a single value becomes an attribute.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from asr.audio.files import duration_s
from asr.errors import AudioError, ConfigError
from asr.languages import language_code
from asr.text_files import fault
from eval.data.types import Clip, Problem, Utterance
from eval.data.writing_systems import foreign_letters, is_foreign
from eval.trace import KEYWORDS, Attributes, Span

FIELDS = frozenset({"audio_filepath", "text", "duration", "offset", "language", "speaker", "words", "segments"})
"""Fields with a meaning; every other field is an attribute."""
GENDERS = {"m": "male", "f": "female", "male_masculine": "male", "female_feminine": "female"}
"""Values used by speechocean762, LibriSpeech and Common Voice (from version 17 on) -> the usual ones."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One recording as its layout describes it. ``line`` of ``file`` counts from 1; 0 means the whole file.

    A relative audio path is searched in ``folders``, in this order.
    """

    file: Path
    line: int
    fields: Mapping[str, Any]
    folders: tuple[Path, ...]


SourceRows = Iterator[SourceRow | Problem]


def utterances_of_rows(rows: SourceRows, dataset: str) -> Iterator[Utterance | Problem]:
    """Rows that cannot be used become problems. An id is the audio file's name; a repeated one gets `:line`."""
    seen: set[str] = set()
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        try:
            utterance = _utterance(row, dataset)
        except (ValueError, AudioError) as error:
            yield Problem(row.file, row.line, str(error))
            continue
        name = utterance.id if utterance.id not in seen else f"{utterance.id}:{row.line}"
        seen.add(name)
        yield replace(utterance, id=name, source=(row.file, row.line) if row.line else None)


def _utterance(row: SourceRow, dataset: str) -> Utterance:
    """Raises ValueError that names the wrong field, or says that the text is not in the row's language."""
    fields = row.fields
    audio = _audio_file(_string(fields, "audio_filepath", required=True), row.folders)
    offset_s, length_s = _offset_s(fields), _duration_s(fields, audio)
    words, segments = _spans(fields, "words"), _spans(fields, "segments")
    clip = Clip(audio, _string(fields, "text"), length_s, words, segments, offset_s)
    language, speaker = _language(fields), _string(fields, "speaker")
    if is_foreign(clip.text, language):
        raise ValueError(f"found a text in another script ({foreign_letters(clip.text, language)}) than {language} has")
    return Utterance(audio.stem, dataset, (clip,), language, speaker, attributes=_attributes(fields))


def _audio_file(path: str, folders: tuple[Path, ...]) -> Path:
    """The first existing file. Raises ValueError if there is none."""
    candidates = [folder / path for folder in folders]  # an absolute path ignores the folder
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if Path(path).is_absolute():
        raise ValueError(
            f"found the absolute path {path}, no file on this machine; wanted one relative to the manifest"
        )
    raise ValueError(f"no audio file at {candidates[0]}")


def _string(row: Mapping[str, Any], key: str, required: bool = False) -> str:
    value = row.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value):
        raise ValueError(f"found {key} {value!r}, wanted a text")
    return _sound(key, value)


def _sound(key: str, text: str) -> str:
    """`text`, if it can be written again. Raises ValueError that names the field."""
    if fault(text):
        raise ValueError(f"{key}: {fault(text)}")
    return text


def _language(row: Mapping[str, Any]) -> str:
    """The language as given, where it begins with its code ("zh-CN"); else its code, such as "en" for "English".

    Raises ValueError for a name that is no language.
    """
    given = _string(row, "language").strip()
    try:
        code = language_code(given)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return given if re.split("[-_]", given.lower())[0] == code else code


def _duration_s(row: Mapping[str, Any], audio: Path) -> float:
    value = row.get("duration")
    if value is None:
        value = duration_s(audio)
    if not _is_number(value) or not 0 < value < float("inf"):
        raise ValueError(f"found duration {value!r} of {audio.name}, wanted seconds above 0")
    return float(value)


def _offset_s(row: Mapping[str, Any]) -> float | None:
    value = row.get("offset")
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value < float("inf"):
        raise ValueError(f"found offset {value!r}, wanted seconds, 0 or more")
    if row.get("duration") is None:
        raise ValueError(f"found offset {value!r} without a duration, wanted both")
    return float(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spans(row: Mapping[str, Any], key: str) -> tuple[Span, ...]:
    try:
        return tuple(Span(str(text), float(start), float(end)) for start, end, text in row.get(key) or ())
    except (TypeError, ValueError):
        raise ValueError(f"found {key} {str(row[key])[:60]}, wanted [[start_s, end_s, text], ...]") from None


def _attributes(row: Mapping[str, Any]) -> Attributes:
    """Every other field with a single value, as text; empty ones are dropped."""
    listed = row.get(KEYWORDS)
    if isinstance(listed, list | tuple):
        row = {**row, KEYWORDS: ", ".join(map(str, listed))}
    values = {
        key: _sound(key, str(value)).strip() for key, value in row.items() if isinstance(value, str | int | float)
    }
    values["gender"] = GENDERS.get(values.get("gender", "").lower(), values.get("gender", ""))
    return tuple(sorted((key, value) for key, value in values.items() if value and key not in FIELDS))
