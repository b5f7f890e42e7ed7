"""Releases by name: NAME is the champion of that model, NAME@canary and NAME@shadow are its other aliases, NAME/7 is
one release. The ledger is the one of `$ASR_LEDGER`, else the user's own where there is one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from asr.errors import LedgerError
from asr.model_files.trained import models_dir
from asr.options import LEDGER

if TYPE_CHECKING:
    from asr.ledger import Release


def own_ledger() -> Path:
    """The user's own ledger: `ledger.db` in the folder of the models that were trained here. It may not exist yet."""
    return models_dir() / "ledger.db"


def ledger_place() -> str | None:
    """Where the ledger is: `$ASR_LEDGER`, else the user's own if it exists. None: there is none.

    An empty variable switches it off.
    """
    named = os.environ.get(LEDGER)
    if named is not None:
        return named or None
    return str(own_ledger()) if own_ledger().is_file() else None


def _existing_place() -> str | None:
    """`ledger_place`, if it is not a file that is missing: looking a name up must not create a ledger."""
    place = ledger_place()
    if place is None:
        return None
    from asr.ledger.database import missing_file

    return None if missing_file(place) else place


def find_release(name: str) -> "Release | None":
    """The release that the name means, with its files compared with their hash; None if the ledger does not know it.

    Raises `LedgerError` for a release that is missing or damaged, and for a ledger that cannot be used.
    """
    place = _existing_place()
    if place is None:
        return None
    from asr.ledger import open_ledger, resolve

    with open_ledger(place) as ledger:
        release = resolve(name, ledger)
        if release is not None:
            ledger.verified_folder(release)
        return release


def pinned(name: str) -> str:
    """NAME/7 for a name of a release, else the name as it is. A job of several processes then has one release, also
    when an alias moves while they start. Raises `LedgerError`."""
    release = find_release(name)
    return name if release is None else release.ref


def missing_champion(name: str) -> LedgerError | None:
    """The error of a model that has releases, but no champion, for a bare NAME that nothing else is called."""
    place = _existing_place()
    if place is None:
        return None
    from asr.ledger import open_ledger

    with open_ledger(place) as ledger:
        releases = ledger.releases(name)
    if not releases:
        return None
    numbers = ", ".join(release.ref for release in releases)
    return LedgerError(
        f"{name} has releases, but no champion; wanted {numbers}, or: asr models promote {releases[-1].ref}"
    )
