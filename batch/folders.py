"""`asr transcribe ... --output-dir`: from options to a run, a plan or a watch.

Heavy modules are imported once the options are checked, so that a wrong one is reported immediately.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from asr.errors import ConfigError
from batch.inputs import Inputs, Recording, check_output_dir, find_inputs, named_apart, size_bytes
from batch.journal import RESERVED
from batch.options import FolderOptions
from batch.urls import url_of
from server.workers.pool import cores

if TYPE_CHECKING:
    from batch.backend import Backend
    from batch.job import BatchJob
    from batch.run import Summary

BYTES_PER_WORKER = 1 << 20
"""Less than this is transcribed sooner than another process starts."""


def transcribe_folders(options: FolderOptions) -> int:
    """Transcribes what is not done yet. Returns the number of failures."""
    inputs = inputs_of(options)
    from batch.progress import display, input_lines, print_line, summary_line
    from batch.run import run

    job = job_of(options)
    workers = options.workers or default_workers(inputs.recordings)
    with display() as progress:
        summary = run(job, inputs, lambda: start_backend(options, job, workers), progress)
    for line in (summary_line(summary), *input_lines(inputs)):
        print_line(line)
    return len(summary.failures)


def plan(options: FolderOptions) -> int:
    """Prints what a run would do and how long it would take; writes nothing. Returns the number of failures so far."""
    inputs = inputs_of(options)
    from batch.estimate import estimate
    from batch.progress import input_lines

    lines = estimate(job_of(options), inputs, options.workers or default_workers(inputs.recordings))
    for line in (*lines, *input_lines(inputs)):
        print(line)
    return len(inputs.failures)


def watch(options: FolderOptions) -> int:
    """Transcribes files as they arrive, until Ctrl-C. Returns the number of failures."""
    from batch.progress import input_lines, print_line, summary_line
    from batch.watch import watch as watch_inputs

    job = job_of(options)
    workers = options.workers or cores()
    summary: Summary = watch_inputs(lambda: _find(options), job, lambda: start_backend(options, job, workers))
    for line in (summary_line(summary), *input_lines(_find(options))):
        print_line(line)
    return len(summary.failures)


def inputs_of(options: FolderOptions) -> Inputs:
    """The recordings. Raises `ConfigError` if there are none."""
    inputs = _find(options)
    if not (inputs.recordings or inputs.failures):
        paths = ", ".join(map(str, options.paths))
        from batch.progress import passed_over_lines

        found = "; ".join((f"no recording in {paths}", *passed_over_lines(inputs)))
        raise ConfigError(f"{found}; wanted some there, or --recursive, or --include '*.ending'")
    return inputs


def _find(options: FolderOptions) -> Inputs:
    """The recordings that are there now, perhaps none, with stems that overwrite nothing. Raises `ConfigError`."""
    check_output_dir(options.output_dir)
    inputs = find_inputs(
        options.paths, recursive=options.recursive, include=options.include, leave_out=options.output_dir
    )
    return named_apart(inputs, options.output_dir, options.formats, RESERVED)


def job_of(options: FolderOptions) -> "BatchJob":
    """The job, with the hash of the model's weights. Raises `ModelError`, `ConfigError`."""
    from asr.models.linear import best_precision
    from asr.models.registry import find_model
    from asr.released import pinned
    from asr.transcripts.recording import offline_settings
    from batch.job import BatchJob
    from batch.messages import Task

    wanted = options.recognition
    settings = offline_settings(wanted.settings, beam_size=wanted.beam_size, fallback=wanted.fallback)
    model = pinned(wanted.model)
    precision = best_precision() if wanted.precision == "auto" else wanted.precision
    task = Task(model, wanted.language, wanted.prompt, wanted.hotwords, precision, settings, wanted.threads or 1)
    weights_sha256 = find_model(model)[1].verified_sha256()
    return BatchJob(options.output_dir, task, weights_sha256, options.formats, options.word_times)


def start_backend(options: FolderOptions, job: "BatchJob", workers: int) -> "AbstractContextManager[Backend]":
    """Workers on this machine, or on a cluster, which chooses their number unless the options give it."""
    if options.engine == "ray":
        from batch.ray_cluster import ray_backend

        return ray_backend(job.task, options.ray_address, options.workers)
    from batch.local import local_backend

    return local_backend(job.task, workers)


def default_workers(recordings: Sequence[Recording]) -> int:
    """One for each core, fewer for little work. A store is not asked for sizes: all cores."""
    if any(url_of(recording.path) for recording in recordings):
        return cores()
    return max(1, min(cores(), sum(map(size_bytes, recordings)) // BYTES_PER_WORKER))
