"""The output folder of a run: a folder of this machine, or a URL of object storage. Each has texts and a journal."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from batch.journal import Journal, open_journal, read_journal
from batch.outputs import Outputs
from batch.store import StoredJournal, StoredOutputs, read_stored_journal
from batch.urls import url_of

AnyOutputs = Outputs | StoredOutputs
AnyJournal = Journal | StoredJournal


def outputs_in(folder: Path) -> AnyOutputs:
    """What writes texts to a folder or, for an `s3://` or `gs://` URL, to object storage."""
    return Outputs(folder) if url_of(folder) is None else StoredOutputs(folder)


def journal_for_run(folder: Path) -> AbstractContextManager[AnyJournal]:
    """The journal there, for one run. Raises `ConfigError` while another run has it."""
    return open_journal(folder) if url_of(folder) is None else nullcontext(read_stored_journal(folder))


def journal_to_read(folder: Path) -> AnyJournal:
    """The journal there; makes no file."""
    return read_journal(folder) if url_of(folder) is None else read_stored_journal(folder)
