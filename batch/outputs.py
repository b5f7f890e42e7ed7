"""Writes texts to files, each complete or not there at all, and checks that they are still as they were written."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.model_files.cache import sha256_of
from batch.journal import STATE_FOLDER

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Outputs:
    """The output folder. Temporary files are in its state folder, so that a crash leaves none among the texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._temporary = folder / STATE_FOLDER / "making"

    def clear(self) -> None:
        """Removes temporary files that a crash left. Only for the run that has the journal: others may be writing."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, stem: str, texts: Mapping[str, str]) -> dict[str, str]:
        """Writes the text of each format to its file. Returns the SHA-256 of each. Raises OSError."""
        hashes = {}
        for text_format, text in texts.items():
            content = text.encode("utf-8")
            self._replace(self.path(stem, text_format), content)
            hashes[text_format] = hashlib.sha256(content).hexdigest()
        return hashes

    def path(self, stem: str, text_format: str) -> Path:
        """The file of a recording's text in a format."""
        return self.folder / f"{stem}.{text_format}"

    def write_list(self, name: str, text: str) -> None:
        """Writes a file of ours beside the texts; removes it if the text is empty. Raises OSError."""
        if text:
            self._replace(self.folder / name, text.encode("utf-8"))
        else:
            (self.folder / name).unlink(missing_ok=True)

    def hold(self, stem: str, hashes: Mapping[str, str], formats: Sequence[str]) -> bool:
        """Whether the files of all these formats exist and have the hashes that were recorded."""
        try:
            return all(
                text_format in hashes and sha256_of([self.path(stem, text_format)]) == hashes[text_format]
                for text_format in formats
            )
        except OSError:
            return False

    def lost(self, stems: Sequence[str], formats: Sequence[str]) -> list[str]:
        """Those of these texts that are not there any more."""
        return [stem for stem in stems if not all(self.path(stem, name).exists() for name in formats)]

    def _replace(self, path: Path, content: bytes) -> None:
        self._temporary.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._temporary / secrets.token_hex(8)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
