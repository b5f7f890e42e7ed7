"""Reads data sets that Hugging Face's `datasets` saved on disk: folders of Arrow streams (extra `data`: pyarrow).

Embedded recordings are written once to the cache folder, each under its hash, because all other code reads files.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from asr.installing import install_extra
from asr.model_files.cache import cache_dir, write_atomically
from eval.data.rows import SourceRow, SourceRows
from eval.data.tables import renamed
from eval.data.types import DataError, Problem

STATE, SPLITS = "state.json", "dataset_dict.json"


def is_saved(folder: Path) -> bool:
    """True for a saved data set, or a saved dictionary of splits."""
    return (folder / STATE).is_file() or (folder / SPLITS).is_file()


def saved_rows(folder: Path) -> SourceRows:
    """SourceRows count from 1 in each split; of several splits, each row's attribute `split` says which."""
    if (folder / STATE).is_file():
        yield from _split_rows(folder, {})
        return
    for split in _json(folder / SPLITS).get("splits", []):
        yield from _split_rows(folder / split, {"split": split})


def _split_rows(folder: Path, more: Mapping[str, str]) -> SourceRows:
    labels = _class_labels(folder)
    for number, row in enumerate(_arrow_rows(folder), start=1):
        try:
            fields = renamed({key: labels[key].get(cell, "") if key in labels else cell for key, cell in row.items()})
            audio = _audio_file(fields["audio_filepath"], folder)
        except (ValueError, OSError) as error:
            yield Problem(folder, number, str(error))
            continue
        fields.update(more, audio_filepath=str(audio))
        yield SourceRow(folder, number, fields, (folder,))


def _arrow_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of all files listed in the state, one batch in memory at a time."""
    try:
        import pyarrow as pa
    except ImportError:
        raise ConfigError(f"{folder} needs pyarrow to be read; {install_extra('data')}") from None
    for entry in _json(folder / STATE).get("_data_files", []):
        file = folder / entry["filename"]
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                for batch in stream:
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"found {file} unreadable ({error}); wanted an Arrow stream") from None


def _class_labels(folder: Path) -> dict[str, dict[Any, str]]:
    """For columns of the type ClassLabel: number -> name."""
    info = folder / "dataset_info.json"
    features = _json(info).get("features") or {} if info.is_file() else {}
    kinds = {key: value for key, value in features.items() if isinstance(value, dict)}
    return {key: dict(enumerate(value["names"])) for key, value in kinds.items() if value.get("_type") == "ClassLabel"}


def _audio_file(audio: Any, folder: Path) -> Path:
    """The recording as a file. Raises ValueError if the cell has neither bytes, path nor samples."""
    if isinstance(audio, str) and audio:
        return folder / audio
    if not isinstance(audio, dict):
        raise ValueError(f"found audio {str(audio)[:40]!r}, wanted bytes, a path or samples")
    if audio.get("bytes"):
        return _cached(audio["bytes"], Path(audio.get("path") or "audio.wav"))
    if audio.get("array"):
        return _cached(_wav(audio["array"], int(audio.get("sampling_rate") or SAMPLE_RATE_HZ)), Path("array.wav"))
    if audio.get("path"):
        return folder / str(audio["path"])
    raise ValueError("found audio without bytes, path or samples, wanted one of them")


def _cached(data: bytes, name: Path) -> Path:
    """Writes the bytes to the cache, under the data set's own file name."""
    file = cache_dir() / "recordings" / hashlib.sha256(data).hexdigest()[:24] / name.name
    if not file.is_file():
        write_atomically(file, lambda temporary: _write(temporary, data))
    return file


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def _wav(samples: list[float], rate_hz: int) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples, np.float32), rate_hz, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def _json(file: Path) -> dict[str, Any]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"found {file} unreadable ({error}); wanted JSON") from None
    if not isinstance(table, dict):
        raise DataError(f"found no object in {file}; wanted what `datasets` writes there")
    return table
