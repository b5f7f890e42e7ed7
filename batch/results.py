"""Writes outcomes: texts to the output folder, then a line to the journal; failures to a list."""

import errno
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from asr.errors import CallerError
from asr.transcripts.doubts import doubts
from asr.transcripts.formats import FORMATS, Transcript, with_word_times
from asr.transcripts.recording import transcript_of
from batch.backend import Done, Failed, Outcome
from batch.destination import AnyJournal, AnyOutputs
from batch.inputs import Failure, Recording
from batch.job import BatchJob
from batch.journal import FAILURES, Entry
from batch.messages import Hello
from batch.outputs import DISK_FULL
from batch.urls import name_of


class Progress(Protocol):
    """Shows a run while it goes on."""

    def begin(self, recordings: Sequence[Recording], kept: int) -> None:
        """The recordings to do, and the number of those done by earlier runs."""
        ...

    def recognised(self, seconds: float) -> None:
        """Seconds of speech that were just recognised."""
        ...

    def done(self, recording: Recording, notices: Sequence[str]) -> None:
        """A recording that was written, and what the user should know about its file."""
        ...

    def failed(self, failure: Failure) -> None: ...


class ResultWriter:
    """Writes the outcomes of one run, and counts them."""

    def __init__(self, job: BatchJob, journal: AnyJournal, outputs: AnyOutputs, progress: Progress) -> None:
        self._job, self._key = job, job.key
        self._journal, self._outputs, self._progress = journal, outputs, progress
        self.failures: list[Failure] = []
        self.done, self.audio_s = 0, 0.0
        self._written: dict[str, Recording] = {}

    def write(self, outcome: Outcome, hello: Hello) -> None:
        """Raises `CallerError` when the disk is full. Another error of the file system fails this recording alone."""
        if isinstance(outcome, Failed):
            self.fail(Failure(outcome.recording.path, str(outcome.error)))
            return
        try:
            self._write(outcome, hello)
        except OSError as error:
            self._fail_to_write(outcome.recording, error)
            return
        self.done += 1
        self._written[outcome.recording.stem] = outcome.recording
        self.audio_s += outcome.end.duration_s
        self._progress.done(outcome.recording, (*outcome.end.notices, *doubts(outcome.events, hello)))

    def _write(self, done: Done, hello: Hello) -> None:
        recording, end, job = done.recording, done.end, self._job
        transcript = replace(
            transcript_of(done.events, hello, end.duration_s),
            audio_sha256=end.sha256,
            settings=job.settings(hello.precision),
        )
        hashes = self._outputs.write(recording.stem, texts_of(transcript, job.formats, job.word_times))
        self._journal.record(
            Entry(
                input=name_of(recording.path),
                stem=recording.stem,
                size_bytes=end.version.size_bytes,
                mtime_ns=end.version.mtime_ns,
                sha256=end.sha256,
                task=self._key,
                outputs=hashes,
                audio_s=round(end.duration_s, 3),
            )
        )

    def _fail_to_write(self, recording: Recording, error: OSError) -> None:
        if error.errno in DISK_FULL:
            message = f"{self._job.output_dir} is full after {self.done} recordings, which are safe"
            raise CallerError(f"{message}; make room and run the same command again") from None
        why = error.strerror or type(error).__name__
        where = self._outputs.path(recording.stem, self._job.formats[0])
        self.fail(Failure(recording.path, f"{where} cannot be written ({why}); wanted a folder to write to"))

    def check_kept(self) -> None:
        """Counts as failed what was written and is not there any more: somebody removed it while the run went on."""
        for stem in self._outputs.lost(list(self._written), self._job.formats):
            recording = self._written.pop(stem)
            self.done -= 1
            where = self._outputs.path(stem, self._job.formats[0])
            self.fail(Failure(recording.path, f"{where} was written and then removed; run the same command again"))

    def fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._progress.failed(failure)


def texts_of(transcript: Transcript, formats: Sequence[str], word_times: bool) -> dict[str, str]:
    """The transcript in each format."""
    return {name: (with_word_times(name) if word_times else FORMATS[name])(transcript) for name in formats}


def write_failures(outputs: AnyOutputs, failures: Sequence[Failure]) -> None:
    """Writes `failures.jsonl`, by name, the last failure of each; removes it where there are none.

    A full or read-only folder is no error here: the run has already reported it.
    """
    rows = sorted({str(failure.path): failure.sentence for failure in failures}.items())
    lines = [json.dumps({"input": name, "error": sentence}) + "\n" for name, sentence in rows]
    try:
        outputs.write_list(FAILURES, "".join(lines))
    except OSError as error:
        if error.errno not in (*DISK_FULL, errno.EROFS):
            raise
