"""Other implementations with the same weights and our settings: greedy, no fallback to other temperatures."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.errors import ConfigError, ModelError
from asr.installing import install_extra
from asr.model_files.configured import configured_models

FASTER_WHISPER = "faster-whisper"
FASTER_WHISPER_BATCHED = "faster-whisper-batched"
PEERS = (FASTER_WHISPER, FASTER_WHISPER_BATCHED)
BATCH = 8
"""Windows in a batch of faster-whisper's pipeline: its default."""

WITHOUT_TIMES_S = 30.0
"""Recordings that fit in one window are decoded without time tokens, as ours are. Longer ones need them, because
faster-whisper advances its window by them."""

Transcriber = Callable[[Path, str, float], str]
"""File, language ("" to detect it), duration in seconds -> text."""


@contextmanager
def faster_whisper(model: str, threads: int | None) -> Iterator[Transcriber]:
    """faster-whisper, int8, greedy (`beam_size=1`, temperature 0 only). Raises `ConfigError` when not installed."""
    try:
        from faster_whisper import WhisperModel
    except ImportError:
        raise ConfigError(f"faster-whisper is not installed; {install_extra('peers')}") from None
    with ctranslate2_folder(model) as folder:
        peer = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads or 0)

        def transcribe(file: Path, language: str, seconds: float) -> str:
            segments, _ = peer.transcribe(
                str(file),
                language=language or None,
                beam_size=1,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=seconds <= WITHOUT_TIMES_S,
            )
            return "".join(segment.text for segment in segments).strip()

        yield transcribe


@contextmanager
def faster_whisper_batched(model: str, threads: int) -> Iterator[Transcriber]:
    """faster-whisper's `BatchedInferencePipeline`: batches of windows by its own voice activity, int8, greedy."""
    try:
        from faster_whisper import BatchedInferencePipeline, WhisperModel
    except ImportError:
        raise ConfigError(f"faster-whisper is not installed; {install_extra('peers')}") from None
    with ctranslate2_folder(model) as folder:
        peer = BatchedInferencePipeline(
            WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        )

        def transcribe(file: Path, language: str, _seconds: float) -> str:
            options = {"beam_size": 1, "temperature": 0.0, "without_timestamps": True, "batch_size": BATCH}
            segments, _ = peer.transcribe(str(file), language=language or None, **options)
            return "".join(segment.text for segment in segments).strip()

        yield transcribe


@contextmanager
def ctranslate2_folder(model: str) -> Iterator[Path]:
    """A folder in CTranslate2's layout: the model's own, or its package's files assembled. Raises `ModelError`."""
    if Path(model).is_dir():
        yield Path(model)
        return
    configured = configured_models().get(model)
    if configured is None or configured.layout != "ctranslate2":
        raise ModelError(f"model {model} is not in CTranslate2's layout; wanted such a folder or configured model")
    source = configured.located()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer_json = source.tokenizer_json or source.folder / "tokenizer.json"
        _write(Path(folder), source.weights, source.config_json, tokenizer_json)
        yield Path(folder)


def _write(folder: Path, weights: tuple[Path, ...], config_json: Path, tokenizer_json: Path) -> None:
    with (folder / "model.bin").open("wb") as whole:
        for path in weights:
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole)
    beside = [path for path in config_json.parent.iterdir() if path.name.startswith(("vocabulary", "preprocessor"))]
    for path in (config_json, tokenizer_json, *beside):
        shutil.copyfile(path, folder / path.name)
