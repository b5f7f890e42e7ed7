"""The options of `asr transcribe`, checked as far as one can without a model."""

from dataclasses import dataclass
from pathlib import Path

from asr.config import DEFAULT_MODEL, SessionSettings


@dataclass(frozen=True, slots=True)
class RecognitionOptions:
    """The model, and the options that change its texts."""

    model: str = DEFAULT_MODEL
    language: str | None = None
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    beam_size: int | None = None
    fallback: bool = False
    settings: SessionSettings | None = None
    """From a file; the two options above take precedence."""
    precision: str = "auto"
    threads: int | None = None
    """Of each process. None: all cores for one process, one thread for each of several."""


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """The options of a run with `--output-dir`."""

    paths: tuple[Path, ...]
    """Files, folders, patterns and URLs to read."""
    output_dir: Path
    formats: tuple[str, ...]
    recognition: RecognitionOptions = RecognitionOptions()
    recursive: bool = False
    include: tuple[str, ...] = ()
    word_times: bool = False
    workers: int | None = None
    engine: str = "local"
    ray_address: str | None = None
