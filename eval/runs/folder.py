"""A run's folder: `run.json` says what the run was made with, `traces.jsonl` holds its traces.

A run can be interrupted at any moment. Every finished utterance is in `traces.jsonl`, and the same command continues
with the rest. A folder never mixes traces of different data, weights, settings, code or machines.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from eval.runs.signature import Machine, Model, Signature
from eval.trace import Trace, read_traces

RUN, TRACES, CAPACITY = "run.json", "traces.jsonl", "capacity.jsonl"


@dataclass(frozen=True, slots=True)
class UnsupportedLanguage:
    """Utterances that were not run, because the model does not support their language."""

    model: str
    dataset: str
    language: str
    utterances: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run as read from its folder.

    Attributes:
        name: The folder's name.
        signature: What it was made with.
        traces: Each recording once, by model and mode.
        capacity: The traces of many streams at once.
        left_out: Recordings and lines that could not be used.
        not_taken: Recordings in languages that a model does not take.
        repeats: The traces of the repeats after the first.
    """

    name: str
    signature: Signature
    traces: tuple[Trace, ...]
    capacity: tuple[Trace, ...] = ()
    left_out: tuple[str, ...] = ()
    not_taken: tuple[UnsupportedLanguage, ...] = ()
    repeats: tuple[Trace, ...] = ()


@dataclass(slots=True)
class RunFolder:
    """The folder of a run in progress."""

    path: Path
    signature: Signature
    not_taken: tuple[UnsupportedLanguage, ...]
    left_out: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Writes `run.json` atomically: a crash leaves the old file or the new one."""
        table = {
            "signature": asdict(self.signature),
            "not_taken": [asdict(item) for item in self.not_taken],
            "left_out": list(dict.fromkeys(self.left_out)),
        }
        temporary = self.path / f".{RUN}"
        temporary.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path / RUN)

    @property
    def traces(self) -> Path:
        return self.path / TRACES

    @property
    def capacity(self) -> Path:
        return self.path / CAPACITY


def open_folder(path: Path, signature: Signature, not_taken: Sequence[UnsupportedLanguage]) -> RunFolder:
    """A new folder, or that of an interrupted run with the same signature. Raises `ConfigError` for any other run's."""
    folder = RunFolder(path, signature, tuple(not_taken))
    if (path / RUN).exists():
        _check_same(path, signature)
        for file in (folder.traces, folder.capacity):
            drop_partial_line(file)
    elif (path / TRACES).exists():
        raise ConfigError(f"{path} holds traces without {RUN}; name another folder for --out")
    else:
        _make(path)
    folder.write()
    return folder


def read_run(path: Path) -> Run:
    """The run in this folder, finished or not. Raises `ConfigError` if there is none."""
    table = _read_table(path)
    capacity = path / CAPACITY
    traces = tuple(read_traces(path / TRACES)) if (path / TRACES).exists() else ()
    try:
        return Run(
            path.resolve().name,
            signature_of(table["signature"]),
            tuple(trace for trace in traces if not trace.repeat),
            tuple(read_traces(capacity)) if capacity.exists() else (),
            tuple(table["left_out"]),
            tuple(UnsupportedLanguage(**item) for item in table["not_taken"]),
            tuple(trace for trace in traces if trace.repeat),
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path / RUN} is not of a run ({error!r}); name a folder made by `asr eval run`") from None


def signature_of(table: Mapping[str, Any]) -> Signature:
    """The signature from its JSON table: the inverse of `dataclasses.asdict`."""
    models = tuple(Model(**model) for model in table["models"])
    return Signature(**(dict(table) | {"models": models, "machine": Machine(**table["machine"])}))


def drop_partial_line(file: Path) -> None:
    """Truncates the file after its last complete line: a crash may have left a partial one."""
    if not file.exists():
        return
    content = file.read_bytes()
    kept = content[: content.rfind(b"\n") + 1]
    if len(kept) < len(content):
        with file.open("r+b") as opened:
            opened.truncate(len(kept))


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be created ({error.strerror}); name a folder for --out") from None


def _read_table(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads((path / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"found no {RUN} in {path}; name a folder made by `asr eval run`") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path / RUN} cannot be read ({error}); name a folder made by `asr eval run`") from None
    return table


def _check_same(path: Path, signature: Signature) -> None:
    """Raises `ConfigError` that names the first difference between the folder's signature and this one."""
    before, now = _read_table(path)["signature"], json.loads(json.dumps(asdict(signature)))
    for where, was, wanted in _differences("", before, now):
        raise ConfigError(
            f"{path} holds a run with another {where} (there {_short(was)}, now {_short(wanted)}); "
            "name another folder for --out"
        )


def _differences(where: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each difference of two nested tables: the keys that lead to it, the old value, the new one."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            yield from _differences(f"{where} {key}".strip(), before.get(key), now.get(key))
    elif before != now:
        yield where, before, now


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
