"""Reads JSON manifests, folders of audio and text files, and LibriSpeech as numbered rows; broken lines as problems."""

import json
import re
from pathlib import Path

from asr.audio.kinds import is_recording
from asr.errors import ConfigError
from asr.languages import language_code
from asr.text_files import fault, lines_of
from eval.data.rows import SourceRow, SourceRows
from eval.data.types import Problem

MANIFEST = "manifest.jsonl"
TRANSCRIPTS = "*.trans.txt"
"""LibriSpeech's transcripts: one file per chapter, next to its recordings."""

_FOLDER_CODE = re.compile("[a-z]{2}(-[A-Z]{2}|_[A-Za-z]{2})?")


def manifest_rows(manifest: Path) -> SourceRows:
    """JSON lines with NeMo's fields; audio paths are relative to the manifest."""
    for number, line in enumerate(lines_of(manifest.read_bytes()), start=1):
        if not line.strip():
            continue
        if fault(line):
            yield Problem(manifest, number, fault(line).replace("found ", "found no JSON but ", 1))
            continue
        try:
            fields = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            yield Problem(manifest, number, f"found no JSON ({error}), wanted one object a line")
            continue
        if isinstance(fields, dict):
            yield SourceRow(manifest, number, fields, (manifest.parent,))
        else:
            yield Problem(manifest, number, f"found {type(fields).__name__}, wanted an object")


def folder_rows(folder: Path) -> SourceRows:
    """Every audio file with a text file of the same name. A folder named after a language is in that language."""
    language = _language_of(folder.resolve().name)
    for audio in sorted(path for path in folder.iterdir() if is_recording(path)):
        text = _text_of(audio.with_suffix(".txt"))
        if isinstance(text, Problem):
            yield Problem(audio, 0, text.what)
        else:
            yield SourceRow(audio, 0, {"audio_filepath": audio.name, "text": text, "language": language}, (folder,))


def _language_of(folder_name: str) -> str:
    """The language of "de", "de-DE", "de_de" and "German", else "": "run" and "my-talks" are no codes here."""
    try:
        code = language_code(folder_name)
    except ConfigError:
        return ""
    return code if (len(folder_name) > 3 and folder_name.isalpha()) or _FOLDER_CODE.fullmatch(folder_name) else ""


def _text_of(beside: Path) -> str | Problem:
    try:
        lines = lines_of(beside.read_bytes())
    except FileNotFoundError:
        return Problem(beside, 0, f"no text at {beside.name} next to it")
    wrong = next((number for number, line in enumerate(lines, start=1) if fault(line)), 0)
    if wrong:
        return Problem(beside, wrong, f"{beside.name}:{wrong}: {fault(lines[wrong - 1])}")
    return " ".join(" ".join(lines).split())


def librispeech_rows(root: Path) -> SourceRows:
    """Lines of `ID TEXT` in every `*.trans.txt` below `root`, in English. The speaker is the id's first part."""
    speakers = _librispeech_speakers(root)
    for transcripts in sorted(root.rglob(TRANSCRIPTS)):
        for number, line in enumerate(lines_of(transcripts.read_bytes()), start=1):
            if not line.strip():
                continue
            name, _, text = line.partition(" ")
            speaker = name.split("-")[0]
            fields = {"audio_filepath": f"{name}.flac", "text": text.strip(), "language": "en", "speaker": speaker}
            yield SourceRow(transcripts, number, fields | speakers.get(speaker, {}), (transcripts.parent,))


def _librispeech_speakers(root: Path) -> dict[str, dict[str, str]]:
    """Speaker -> attributes, from `SPEAKERS.TXT` in `root` or up to two folders above.

    Its lines are `ID | SEX | ...`; lines that begin with `;` are comments.
    """
    speakers: dict[str, dict[str, str]] = {}
    files = [folder / "SPEAKERS.TXT" for folder in (root, *root.resolve().parents[:2])]
    for file in (file for file in files if file.is_file()):
        for line in lines_of(file.read_bytes()):
            parts = [part.strip() for part in line.split("|")]
            if len(parts) > 1 and not line.startswith(";"):
                speakers.setdefault(parts[0], {"gender": parts[1].lower()})
    return speakers
