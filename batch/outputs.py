"""A transcript -> its files, each whole or not there, and whether they still are as they were written."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.model_files.cache import sha256_of
from batch.journal import NOTES

FULL = (errno.ENOSPC, errno.EDQUOT)


class Outputs:
    """The output folder. Files in the making lie in its notes, so that a crash leaves none among the texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._making = folder / NOTES / "making"

    def clear(self) -> None:
        """Remove what a crash left in the making. Only for who holds the journal."""
        shutil.rmtree(self._making, ignore_errors=True)

    def write(self, stem: str, texts: Mapping[str, str]) -> dict[str, str]:
        """Each format's text to its file; the SHA-256 of each. Raises OSError."""
        self._making.mkdir(parents=True, exist_ok=True)
        hashes = {}
        for text_format, text in texts.items():
            content = text.encode("utf-8")
            self._replace(self.path(stem, text_format), content)
            hashes[text_format] = hashlib.sha256(content).hexdigest()
        return hashes

    def path(self, stem: str, text_format: str) -> Path:
        """Where a recording's text in a format lies."""
        return self.folder / f"{stem}.{text_format}"

    def write_list(self, name: str, text: str) -> None:
        """A file of our own beside the texts; none for an empty text. Raises OSError."""
        if text:
            self._making.mkdir(parents=True, exist_ok=True)
            self._replace(self.folder / name, text.encode("utf-8"))
        else:
            (self.folder / name).unlink(missing_ok=True)

    def hold(self, stem: str, hashes: Mapping[str, str], formats: Sequence[str]) -> bool:
        """Whether all these formats are there as they were written."""
        try:
            return all(
                text_format in hashes and sha256_of([self.path(stem, text_format)]) == hashes[text_format]
                for text_format in formats
            )
        except OSError:
            return False

    def _replace(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        making = self._making / secrets.token_hex(8)
        try:
            with making.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            making.replace(path)
        finally:
            making.unlink(missing_ok=True)
