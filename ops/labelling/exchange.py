"""Clips and their texts as JSON lines, or in Label Studio's form (labelstud.io: tasks with `predictions` and
`annotations` of the type `textarea`)."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from asr.ledger import Ledger
from ops.labelling.queue import Queue
from ops.labelling.record import MOST_CHARACTERS, GoneError, record
from server.clips.store import Clip, ClipStore

FROM, TO = "transcription", "audio"
"""Names of the controls in Label Studio's template "Automatic Speech Recognition"."""


def exported(ledger: Ledger, store: ClipStore, labelled: bool) -> Iterator[dict[str, Any]]:
    """The clips that wait; or those that people have labelled, each with ``label``, ``by`` and ``at_s``."""
    for clip in store.clips() if labelled else Queue(ledger, store).waiting():
        found = store.label(clip)
        if (found is not None) != labelled or store.is_forgotten(clip.consent):
            continue
        row = {"id": clip.id, "name": clip.name, "release": clip.release, "language": clip.language}
        row |= {"audio_filepath": str(store.audio_file(clip)), "duration": clip.audio_s, "recognised": clip.text}
        yield row | ({"text": found["text"], "by": found["by"], "at_s": found["at_s"]} if found else {})


def studio_task(row: dict[str, Any]) -> dict[str, Any]:
    """One exported row as a task. The audio is a path: Label Studio reads it with local files switched on."""
    data = {"audio": row["audio_filepath"], **{key: row[key] for key in ("id", "name", "release", "language")}}
    task: dict[str, Any] = {"data": data}
    task["predictions"] = [{"model_version": f"{row['name']}/{row['release']}", "result": [_area(row["recognised"])]}]
    if "text" in row:
        task["annotations"] = [{"completed_by": row["by"], "result": [_area(row["text"])]}]
    return task


def _area(text: str) -> dict[str, Any]:
    return {"from_name": FROM, "to_name": TO, "type": "textarea", "value": {"text": [text]}}


def is_texts(path: Path) -> bool:
    """Whether a file has texts of clips, and no counts of errors. Raises `ConfigError`."""
    return any("text" in row or "data" in row for _, row in _rows(path))


def import_texts(path: Path, ledger: Ledger, store: ClipStore, by: str, now_s: float) -> tuple[int, int, list[str]]:
    """Adds the texts of a file, JSON lines or Label Studio's export; returns how many are new, how many were there, and
    what was wrong. Raises `ConfigError` for a file that is neither, and `LedgerError`."""
    clips = {clip.id: clip for clip in store.clips()}
    new, known, problems = 0, 0, []
    for place, row in _rows(path):
        try:
            clip, text, who = _text_of(row, clips, by)
            found = store.label(clip)
            if found is not None and found["text"] == text:
                known += 1
                continue
            record(ledger, store, clip, text, who, now_s)
            new += 1
        except (ValueError, GoneError) as error:
            problems.append(f"{path}:{place}: {error}")
    return new, known, problems


def _text_of(row: dict[str, Any], clips: dict[str, Clip], by: str) -> tuple[Clip, str, str]:
    is_task = isinstance(row.get("data"), dict)
    clip_id = row["data"].get("id") if is_task else row.get("id")
    text = _annotation(row) if is_task else row.get("text")
    who = row.get("by", by)
    if not isinstance(clip_id, str) or clip_id not in clips:
        raise ValueError(f"found the id {clip_id!r}, wanted that of a clip that is kept")
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        raise ValueError(f"found no text of up to {MOST_CHARACTERS} characters, wanted what was said")
    if not isinstance(who, str) or not who:
        raise ValueError(f"by: found {who!r}, wanted a name")
    return clips[clip_id], text.strip(), who


def _annotation(task: dict[str, Any]) -> str | None:
    """The text of the last annotation that was not cancelled."""
    given = task.get("annotations") or task.get("completions") or []
    for annotation in reversed(given if isinstance(given, list) else []):
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or ():
            if isinstance(result, dict) and result.get("type") == "textarea":
                texts = (result.get("value") or {}).get("text")
                return " ".join(map(str, texts)) if isinstance(texts, list) else texts
    return None


def write(path: Path, text: str) -> None:
    """Writes a file that only its owner may read: it has words of people. Raises `ConfigError`."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); wanted a file in a folder that can") from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read ({reason}); wanted a file of JSON") from None
    try:
        whole = json.loads(text) if text.lstrip().startswith("[") else None
        rows = whole if isinstance(whole, list) else [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return  # `ops.labels` says what is wrong, line by line
    yield from ((number, row) for number, row in enumerate(rows, 1) if isinstance(row, dict))
