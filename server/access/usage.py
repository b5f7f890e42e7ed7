"""What each key has sent today, in a small file beside the keys: a server that is restarted goes on from there.

Written every `WRITE_S` seconds if something has changed, and at the end. A server that is killed forgets what came
after the last write. Servers that share the file of keys would overwrite each other's: give each a file of its own.
"""

import asyncio
import json
import logging
import os
from pathlib import Path

from asr.model_files.cache import write_atomically
from server.access.quotas import Quotas

WRITE_S = 10.0

_log = logging.getLogger("steadyword.server")


class UsageFile:
    """The file of one server's counts."""

    def __init__(self, file: Path, quotas: Quotas) -> None:
        self._file, self._quotas = file, quotas
        self._written = self._failed = ""

    def read(self) -> None:
        """Goes on from the counts in the file; a file that is missing or broken, or of another day, changes nothing."""
        try:
            text = self._file.read_text(encoding="utf-8")
            table = json.loads(text)
            self._quotas.restore(int(table["day"]), {str(k): float(v) for k, v in table["audio_s"].items()})
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("what the keys have used today is counted from 0: %s (%s)", self._file, type(error).__name__)
        else:
            self._written = text

    async def keep(self) -> None:
        """Writes what has changed, until it is cancelled."""
        while True:
            await asyncio.sleep(WRITE_S)
            await asyncio.to_thread(self.write)

    def write(self) -> None:
        """Writes the counts if there are new ones. A folder that cannot be written to is reported once."""
        day, audio_s = self._quotas.counts()
        text = json.dumps({"day": day, "audio_s": audio_s}, indent=1)
        if not audio_s or text == self._written:
            return
        try:
            write_atomically(self._file, lambda fresh: _write_privately(fresh, text))
            self._written, self._failed = text, ""
        except OSError as error:
            if not self._failed:
                _log.error("a restart will forget what the keys have used today: cannot write %s", self._file)
            self._failed = str(error)


def _write_privately(file: Path, text: str) -> None:
    """Only the owner may read it: the names of keys concern nobody else."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as writing:
        writing.write(text)
