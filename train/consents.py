"""Which consents a model was trained on: a file in its folder, so that every release made of it says so.

A consent that is forgotten names the releases that it still lives in. It stands there as a hash, see `server.clips`.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from asr.model_files.cache import write_text_atomically
from eval.data.types import Utterance

ATTRIBUTE, FILE = "consent", "consents.json"


def consents_in(folder: Path) -> set[str]:
    """The consents that the model in this folder was trained on; none where the folder has no such file."""
    try:
        table = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return set()
    return {value for value in table if isinstance(value, str)} if isinstance(table, list) else set()


def consents_of(utterances: Iterable[Utterance]) -> set[str]:
    """The consents that a manifest's lines name (``consent``)."""
    return {dict(utterance.attributes).get(ATTRIBUTE, "") for utterance in utterances} - {""}


def write_consents(folder: Path, consents: Iterable[str]) -> None:
    """Writes the file; nothing where there are none."""
    if listed := sorted(consents):
        write_text_atomically(folder / FILE, json.dumps(listed, indent=1) + "\n")
