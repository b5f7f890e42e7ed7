"""The folder of clips. Files are for their owner alone (mode 0600), and each consent has a subfolder.

    salt                    with which consents are hashed
    forgotten               hashes of consents, one a line, of which nothing may be kept any more
    CONSENT-HASH/ID.flac    the audio of one utterance, mono 16 kHz
    CONSENT-HASH/ID.json    its `Clip`; written last, so a clip with this file is whole
    CONSENT-HASH/ID.label.json          what a person found was said
    CONSENT-HASH/STREAM.second.json     what another release says of the stream

All texts are in these subfolders, so removing one of them removes every word and every sample of a consent.
"""

import hmac
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError

CLIP, LABEL, SECOND, AUDIO = ".json", ".label.json", ".second.json", ".flac"
_ID = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,199}")
_HASH = re.compile(r"[0-9a-f]{32}")
_STALE_S = 3600.0
"""A file that belongs to no clip after so long was left by a process that died."""
DAY_S = 86_400.0


class ClipError(CallerError):
    """The folder of clips cannot be used."""


@dataclass(frozen=True, slots=True)
class ClipWord:
    """A word as the model wrote it, with its times in seconds from the start of the clip."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance that is kept. ``consent`` and ``client`` are hashes; ``at_s`` is in seconds since 1970.

    ``start_s`` and ``end_s`` bound it in its stream. ``utterance`` counts those of its channel from 0.
    """

    consent: str
    at_s: float
    name: str
    release: int
    stream_id: str
    client: str
    channel: int
    utterance: int
    language: str
    start_s: float
    end_s: float
    words: tuple[ClipWord, ...]

    @property
    def id(self) -> str:
        """The name of its files."""
        return f"{self.stream_id}.{self.channel}.{self.utterance}"

    @property
    def text(self) -> str:
        """What the release wrote."""
        return "".join(word.text for word in self.words).strip()

    @property
    def audio_s(self) -> float:
        """Its length in seconds."""
        return self.end_s - self.start_s


class ClipStore:
    """Several processes may use one folder: each file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if there is none. Raises `ClipError` where that fails."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._salt = _salt(folder / "salt")
        except OSError as error:
            raise ClipError(f"{folder} cannot be used ({error.strerror}); wanted a folder for clips") from None

    def hash_of(self, consent: str) -> str:
        """The name under which this consent's files are kept: 32 hexadecimal digits."""
        return hmac.digest(self._salt, consent.encode(), "sha256").hex()[:32]

    def add(self, clip: Clip, samples: np.ndarray) -> bool:
        """Writes samples ``(n,)``, int16 at 16 kHz, and the clip; False if its consent was forgotten. Raises `OSError`.

        A consent may be forgotten while its clip is written: that is looked at again afterwards.
        """
        folder = self.folder / clip.consent
        if self.is_forgotten(clip.consent):
            return False
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            _write(folder / f"{clip.id}{AUDIO}", _flac(samples))
            _write(folder / f"{clip.id}{CLIP}", _json(asdict(clip)))
        except OSError:
            self._remove(folder, clip.id)
            raise
        return self._stays(clip.consent)

    def add_second(self, consent: str, stream_id: str, release: int, channels: Sequence[Sequence[ClipWord]]) -> bool:
        """Keeps another release's words of a stream, by channel, in the stream's time. As `add`."""
        folder = self.folder / consent
        if self.is_forgotten(consent) or not folder.is_dir():  # none of its utterances is kept
            return False
        words = [[asdict(word) for word in channel] for channel in channels]
        _write(folder / f"{stream_id}{SECOND}", _json({"release": release, "channels": words}))
        return self._stays(consent)

    def second(self, clip: Clip) -> tuple[int, str] | None:
        """The other release that heard the clip, and its text; None where there is none.

        A word belongs to the utterance that its middle lies in.
        """
        table = _read(self.folder / clip.consent / f"{clip.stream_id}{SECOND}")
        if table is None or clip.channel >= len(table["channels"]):
            return None
        middles = ((w["text"], (w["start_s"] + w["end_s"]) / 2) for w in table["channels"][clip.channel])
        mine = [text for text, middle_s in middles if clip.start_s <= middle_s < clip.end_s]
        return int(table["release"]), "".join(mine).strip()

    def second_of_stream(self, clip: Clip) -> tuple[int, list[str]] | None:
        """The other release that heard the clip's stream, and its text of each channel; None where there is none."""
        table = _read(self.folder / clip.consent / f"{clip.stream_id}{SECOND}")
        if table is None:
            return None
        return int(table["release"]), ["".join(word["text"] for word in channel) for channel in table["channels"]]

    def clips(self) -> Iterator[Clip]:
        """All clips that are whole, the oldest first."""
        files = [file for file in self.folder.glob(f"*/*{CLIP}") if not file.name.endswith((LABEL, SECOND))]
        found = [clip for file in files if (clip := _clip(file)) is not None]
        return iter(sorted(found, key=lambda clip: (clip.at_s, clip.id)))

    def clips_of(self, stream_id: str, files: Mapping[str, Sequence[Path]] | None = None) -> list[Clip]:
        """The clips of one stream that are whole, by channel and utterance.

        ``files``: stream -> their files (`server.clips.names.ClipNames`); without it all folders are searched.
        """
        mine = self._files_of(stream_id) if files is None else files.get(stream_id, ())
        found = [clip for file in mine if (clip := _clip(file)) is not None]
        return sorted(found, key=lambda clip: (clip.channel, clip.utterance))

    def _files_of(self, stream_id: str) -> Iterator[Path]:
        for file in self.folder.glob(f"*/{escape(stream_id)}.*{CLIP}"):
            is_clip = not file.name.endswith((LABEL, SECOND))
            if is_clip and file.name.removesuffix(CLIP).rsplit(".", 2)[0] == stream_id:
                yield file

    def clip(self, file: Path) -> Clip | None:
        """The clip in this file; None where it is gone or broken."""
        return _clip(file)

    def audio_file(self, clip: Clip) -> Path:
        """Its FLAC file."""
        return self.folder / clip.consent / f"{clip.id}{AUDIO}"

    def label(self, clip: Clip) -> Mapping[str, Any] | None:
        """What a person found: ``text``, ``by``, ``at_s``; None where nobody has looked."""
        return _read(self.folder / clip.consent / f"{clip.id}{LABEL}")

    def add_label(self, clip: Clip, text: str, by: str, at_s: float) -> bool:
        """Keeps what was said, by a person; a later label replaces it. As `add`."""
        if not self.audio_file(clip).is_file() or self.is_forgotten(clip.consent):
            return False
        file = self.folder / clip.consent / f"{clip.id}{LABEL}"
        _write(file, _json({"text": text, "by": by, "at_s": at_s}))
        return self._stays(clip.consent)

    def size_bytes(self) -> int:
        """The bytes of all files."""
        return sum(size for _, size, _ in _files(self.folder))

    def is_forgotten(self, consent: str) -> bool:
        """Whether nothing of this consent (its hash) may be kept any more."""
        return consent in self.forgotten()

    def forgotten(self) -> set[str]:
        """The hashes of the consents of which nothing may be kept any more."""
        with suppress(FileNotFoundError):
            return set((self.folder / "forgotten").read_text(encoding="ascii").split())
        return set()

    def forget(self, consent: str) -> int:
        """Removes every file of a consent, given by its name, for ever; returns how many there were. Raises `OSError`.

        The note comes first: a server that is about to write a clip of it sees the note, or its file is found here.
        """
        hashed = self.hash_of(consent)
        if not self.is_forgotten(hashed):
            descriptor = os.open(self.folder / "forgotten", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(descriptor, "ab") as file:
                file.write(f"{hashed}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        return self._remove_consent(hashed)

    def sweep(self, retain_days: float, now_s: float) -> int:
        """Removes what is older than this, what belongs to no clip, and what is forgotten; returns how many files."""
        oldest_s = now_s - retain_days * DAY_S
        removed = sum(self._remove_consent(folder.name) for folder in self._folders() if self.is_forgotten(folder.name))
        for folder in self._folders():
            for file, _, changed_s in list(_files(folder)):
                if changed_s < oldest_s or (changed_s < now_s - _STALE_S and not _is_of_clip(file)):
                    file.unlink(missing_ok=True)
                    removed += 1
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        return removed

    def _folders(self) -> list[Path]:
        return [folder for folder in self.folder.iterdir() if _HASH.fullmatch(folder.name) and folder.is_dir()]

    def _stays(self, consent: str) -> bool:
        if not self.is_forgotten(consent):
            return True
        self._remove_consent(consent)
        return False

    def _remove_consent(self, hashed: str) -> int:
        folder = self.folder / hashed
        count = sum(1 for _ in _files(folder))
        for _ in range(3):  # another process may write a last file into it
            with suppress(FileNotFoundError, OSError):
                shutil.rmtree(folder)
            if not folder.exists():
                break
        return count

    @staticmethod
    def _remove(folder: Path, clip_id: str) -> None:
        for suffix in (AUDIO, CLIP):
            with suppress(OSError):
                (folder / f"{clip_id}{suffix}").unlink()


def default_folder() -> Path:
    """Where clips are kept if the settings name no folder."""
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".local" / "share") / "steadyword" / "clips"


def open_store(folder: str) -> ClipStore:
    """The store in this folder, or for "" in the default one. Raises `ClipError`."""
    return ClipStore(Path(folder).expanduser() if folder else default_folder())


def _is_of_clip(file: Path) -> bool:
    """Whether a clip that is whole has the file. A second text has no clip of its own, and goes by its age."""
    if file.name.endswith(SECOND):
        return True
    clip_id = next((file.name.removesuffix(end) for end in (LABEL, CLIP, AUDIO) if file.name.endswith(end)), "")
    return bool(clip_id) and all((file.parent / f"{clip_id}{end}").is_file() for end in (CLIP, AUDIO))


def _salt(file: Path) -> bytes:
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        _write(fresh, secrets.token_hex(32).encode())
        with suppress(FileExistsError):  # another process was first: its salt counts
            os.link(fresh, file)
        fresh.unlink()
    return file.read_bytes()


def _write(file: Path, data: bytes) -> None:
    """The whole file or nothing, for its owner alone. Raises `OSError`."""
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writing:
            writing.write(data)
        os.replace(fresh, file)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def _flac(samples: np.ndarray) -> bytes:
    import io

    import soundfile  # only a server that keeps clips needs it here

    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _json(table: Mapping[str, Any]) -> bytes:
    return json.dumps(table, ensure_ascii=False).encode()


def _read(file: Path) -> dict[str, Any] | None:
    """The object in the file; None where there is none, or no JSON: a person may have changed it."""
    try:
        table = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return table if isinstance(table, dict) else None


def _clip(file: Path) -> Clip | None:
    table = _read(file)
    if table is None or not file.with_suffix(AUDIO).is_file():
        return None
    try:
        words = tuple(ClipWord(**word) for word in table.pop("words"))
        clip = Clip(words=words, **table)
    except (TypeError, KeyError):
        return None
    is_its_own = clip.id == file.name.removesuffix(CLIP) and clip.consent == file.parent.name
    return clip if is_its_own and _ID.fullmatch(clip.id) else None


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Every file below, its size in bytes, and when it last changed. What another process removes is left out."""
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found = file.stat()
            if file.is_file():
                yield file, found.st_size, found.st_mtime
