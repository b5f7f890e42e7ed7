"""Reads transcripts that another system wrote: text, trn, CTM, STM, JSON lines, or a folder of text files."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from asr.text_files import fault, lines_of
from eval.data.types import Utterance


@dataclass(frozen=True, slots=True)
class Piece:
    """A word or a longer part of a transcript; times in seconds of the file that it names, None where not given."""

    text: str
    start_s: float | None = None
    end_s: float | None = None


Transcripts = dict[str, tuple[Piece, ...]]
"""Pieces by the name that the file gives a recording, in the file's order."""

_IDS = ("id", "utterance", "utt_id", "utterance_id", "audio_filepath", "audio", "file", "path")
_TEXTS = ("pred_text", "hypothesis", "hyp", "prediction", "transcript", "text")
"""Fields of JSON lines; the first that is there counts: NeMo has the label in "text" beside "pred_text"."""
_WORD_TEXTS = ("punctuated_word", "word", "text")
_TRN = re.compile(r"(.*)\(([^()\s]+)\)\s*$")
_COMMENT = ";;"
"""Begins a comment in CTM and STM (NIST SCTK)."""


def read_transcripts(path: Path, utterances: Sequence[Utterance]) -> Transcripts:
    """The transcripts in a file or folder, by the names of recordings that it uses.

    A folder has `NAME.txt` for each recording. A file is read by its suffix (`.ctm`, `.stm`, `.trn`, `.json`,
    `.jsonl`), any other as text: lines of `NAME words`, or, where the first word is no recording's name, one line for
    each of `utterances` in their order. Raises `ConfigError` that names the line.
    """
    if path.is_dir():
        return {file.stem: (Piece(_one_line(file)),) for file in sorted(path.glob("*.txt"))}
    try:
        lines = lines_of(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); name a file of transcripts") from None
    numbered: Sequence[tuple[int, str]] = [(i, line) for i, line in enumerate(lines, start=1) if line.strip()]
    for number, line in numbered:
        if fault(line):
            raise ConfigError(f"{path}:{number}: {fault(line)}")
    if path.suffix.lower() == ".json":
        numbered = _array(numbered)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return _text(path, lines, utterances)
    return _collected(path, numbered, reader)


def by_utterance(
    transcripts: Transcripts, utterances: Sequence[Utterance]
) -> tuple[dict[tuple[str, str], tuple[Piece, ...]], list[str]]:
    """The pieces of each utterance by data set and id, and the names that no utterance has.

    A name is an id, with or without `DATASET/` before it, or an audio file's path, name or stem. A name of several
    parts of one file gives each part the pieces whose middle is in it. Raises `ConfigError` for a name that fits
    several others.
    """
    named = _names(utterances)
    pieces: dict[tuple[str, str], tuple[Piece, ...]] = {}
    unknown: list[str] = []
    for name, parts in transcripts.items():
        users = named.get(name) or named.get(Path(name).stem) or []
        if not users:
            unknown.append(name)
        elif len(users) == 1 and _offset_s(users[0]) is None:
            pieces[_key(users[0])] = parts
        else:
            pieces |= {_key(user): _within(user, parts, name, len(users)) for user in users}
    return pieces, unknown


def _names(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """The utterances by each name that a file of transcripts may use; an id comes before a file that is called so."""
    ids: dict[str, list[Utterance]] = defaultdict(list)
    files: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        audio = utterance.clips[0].audio
        for name in (utterance.id, f"{utterance.dataset}/{utterance.id}"):
            ids[name].append(utterance)
        for name in dict.fromkeys((str(audio), str(audio.resolve()), audio.name, audio.stem)):
            files[name].append(utterance)
    # Parts of one file share its stem, and the first part also has it as its id.
    return files | {name: users for name, users in ids.items() if len(files.get(name, ())) <= len(users)}


def _key(utterance: Utterance) -> tuple[str, str]:
    return utterance.dataset, utterance.id


def _offset_s(utterance: Utterance) -> float | None:
    return utterance.clips[0].offset_s if len(utterance.clips) == 1 else None


def _within(utterance: Utterance, parts: Sequence[Piece], name: str, users: int) -> tuple[Piece, ...]:
    """The pieces whose middle is in the utterance's part of its file, in times of the utterance."""
    offset_s = _offset_s(utterance)
    if offset_s is None:
        raise ConfigError(f"found the name {name!r}, which {users} recordings have; wanted DATASET/ID")
    if any(piece.start_s is None for piece in parts):
        if users > 1:
            raise ConfigError(f"found no times for {name!r}, of which {users} parts are listed; wanted one id for each")
        return tuple(parts)
    inside = [
        Piece(piece.text, (piece.start_s or 0.0) - offset_s, (piece.end_s or 0.0) - offset_s)
        for piece in parts
        if offset_s <= ((piece.start_s or 0.0) + (piece.end_s or 0.0)) / 2 < offset_s + utterance.duration_s
    ]
    return tuple(inside)


# -- formats -----------------------------------------------------------------------------------------------------------

Read = Callable[[str], tuple[str, Sequence[Piece]] | None]
"""One line -> a recording's name and pieces of its transcript; None for a line without any. Raises ValueError."""


def _collected(path: Path, numbered: Sequence[tuple[int, str]], read: Read) -> Transcripts:
    transcripts: dict[str, tuple[Piece, ...]] = {}
    for number, line in numbered:
        try:
            row = read(line)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigError(f"{path}:{number}: {error}") from None
        if row:
            name, pieces = row
            transcripts[name] = (*transcripts.get(name, ()), *pieces)
    timed = {name: all(piece.start_s is not None for piece in pieces) for name, pieces in transcripts.items()}
    return {
        name: tuple(sorted(pieces, key=lambda piece: piece.start_s or 0.0)) if timed[name] else pieces
        for name, pieces in transcripts.items()
    }


def _ctm(line: str) -> tuple[str, Sequence[Piece]] | None:
    """`file channel start duration word [confidence]`."""
    if line.startswith(_COMMENT):
        return None
    fields = line.split()
    if len(fields) < 5:
        raise ValueError(f"found {line!r}, wanted CTM: file channel start duration word")
    start_s, length_s = _seconds(fields[2]), _seconds(fields[3])
    return fields[0], [Piece(fields[4], start_s, start_s + length_s)]


def _stm(line: str) -> tuple[str, Sequence[Piece]] | None:
    """`file channel speaker start end [<labels>] words`."""
    if line.startswith(_COMMENT):
        return None
    fields = line.split(maxsplit=5)
    if len(fields) < 5:
        raise ValueError(f"found {line!r}, wanted STM: file channel speaker start end words")
    text = re.sub(r"^<[^>]*>\s*", "", fields[5]) if len(fields) > 5 else ""
    return fields[0], [Piece(text, _seconds(fields[3]), _seconds(fields[4]))]


def _trn(line: str) -> tuple[str, Sequence[Piece]] | None:
    """`words (name)`."""
    match = _TRN.fullmatch(line)
    if match is None:
        raise ValueError(f"found {line!r}, wanted trn: words (name)")
    return match.group(2), [Piece(match.group(1).strip())]


def _json(line: str) -> tuple[str, Sequence[Piece]] | None:
    """An object with a name and a text, or with `words` that have times."""
    table = json.loads(line)
    if not isinstance(table, dict):
        raise ValueError(f"found {type(table).__name__}, wanted an object")
    name, text = _first(table, _IDS), _first(table, _TEXTS)
    if name is None:
        raise ValueError(f"found no name, wanted one of {', '.join(_IDS)}")
    words = [_word(word) for word in table.get("words") or ()]
    if text is None and "words" not in table:
        raise ValueError(f"found no text, wanted one of {', '.join(_TEXTS)}")
    return str(name), words or [Piece(str(text or ""))]


def _array(numbered: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    """The elements of a file that is one JSON array, as lines; other files as they are, one object a line."""
    try:
        table = json.loads("\n".join(line for _, line in numbered))
    except ValueError:
        return numbered
    return [(i, json.dumps(row)) for i, row in enumerate(table, start=1)] if isinstance(table, list) else numbered


def _word(word: Any) -> Piece:
    """`[start, end, text]`, or an object as Whisper and Deepgram write it."""
    if isinstance(word, list):
        start, end, text = word
    else:
        start, end = (_first(word, (key, f"{key}_s", f"{key}_time")) for key in ("start", "end"))
        text = _first(word, _WORD_TEXTS)
    if text is None or start is None or end is None:
        raise ValueError(f"found the word {word!r}, wanted its text, start and end")
    return Piece(str(text), float(start), float(end))


def _first(table: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((table[key] for key in keys if table.get(key) is not None), None)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"found {text!r}, wanted seconds, 0 or more")
    return value


def _text(path: Path, lines: Sequence[str], utterances: Sequence[Utterance]) -> Transcripts:
    """Lines of `NAME words`, or one line for each utterance."""
    known = _names(utterances)
    named = [line.split(maxsplit=1) for line in lines if line.strip()]
    if named and all(fields[0] in known for fields in named):
        return {fields[0]: (Piece(fields[1] if len(fields) > 1 else ""),) for fields in named}
    written = list(lines)
    while len(written) > len(utterances) and not written[-1].strip():
        written.pop()
    if len(written) != len(utterances):
        first = next((fields[0] for fields in named if fields[0] not in known), "")
        raise ConfigError(
            f"{path} has {len(written)} lines for {len(utterances)} recordings, and {first!r} names none of them; "
            "wanted lines of `NAME words`, or one line for each recording in the order of the data"
        )
    return {f"{u.dataset}/{u.id}": (Piece(line.strip()),) for u, line in zip(utterances, written, strict=True)}


def _one_line(file: Path) -> str:
    return " ".join(" ".join(lines_of(file.read_bytes())).split())


_READERS: Mapping[str, Read] = {".ctm": _ctm, ".stm": _stm, ".trn": _trn, ".jsonl": _json, ".json": _json}
