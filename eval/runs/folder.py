"""A run's folder: what it was made with (`run.json`), its traces as they come, and going on where it stopped.

A run may be ended at any moment, by Ctrl-C or by the machine: every finished utterance lies in `traces.jsonl`, and the
same command goes on with the rest. Traces made with anything else (data, weights, settings, code, machine) do not mix.
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
    """Recordings in a language that a model does not take."""

    model: str
    dataset: str
    language: str
    utterances: int


@dataclass(frozen=True, slots=True)
class Run:
    """All that is known of a run; ``capacity`` are traces of many streams at once."""

    name: str
    signature: Signature
    traces: tuple[Trace, ...]
    capacity: tuple[Trace, ...] = ()
    left_out: tuple[str, ...] = ()
    not_taken: tuple[UnsupportedLanguage, ...] = ()


@dataclass(slots=True)
class RunFolder:
    """The folder while the run goes on."""

    path: Path
    signature: Signature
    not_taken: tuple[UnsupportedLanguage, ...]
    left_out: list[str] = field(default_factory=list)

    def write(self) -> None:
        """What is known so far, in one piece: a crash leaves the old file or the new one."""
        table = {
            "signature": asdict(self.signature),
            "not_taken": [asdict(item) for item in self.not_taken],
            "left_out": list(dict.fromkeys(self.left_out)),
        }
        beside = self.path / f".{RUN}"
        beside.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.path / RUN)

    @property
    def traces(self) -> Path:
        return self.path / TRACES

    @property
    def capacity(self) -> Path:
        return self.path / CAPACITY


def open_folder(path: Path, signature: Signature, not_taken: Sequence[UnsupportedLanguage]) -> RunFolder:
    """A new folder, or the one that an equal run left. Raises `ConfigError` where another run lies."""
    folder = RunFolder(path, signature, tuple(not_taken))
    if (path / RUN).exists():
        _check_same(path, signature)
        for file in (folder.traces, folder.capacity):
            drop_half_line(file)
    elif (path / TRACES).exists():
        raise ConfigError(f"{path} holds traces without their {RUN}; name another folder for --out")
    else:
        _make(path)
    folder.write()
    return folder


def read_run(path: Path) -> Run:
    """A run from its folder, finished or not. Raises `ConfigError` where there is none."""
    table = _read_table(path)
    traces, capacity = path / TRACES, path / CAPACITY
    try:
        return Run(
            path.resolve().name,
            signature_of(table["signature"]),
            tuple(read_traces(traces)) if traces.exists() else (),
            tuple(read_traces(capacity)) if capacity.exists() else (),
            tuple(table["left_out"]),
            tuple(UnsupportedLanguage(**item) for item in table["not_taken"]),
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path / RUN} is no run's ({error!r}); name a folder that `asr eval run` made") from None


def signature_of(table: Mapping[str, Any]) -> Signature:
    """The inverse of `dataclasses.asdict`."""
    models = tuple(Model(**model) for model in table["models"])
    return Signature(**(dict(table) | {"models": models, "machine": Machine(**table["machine"])}))


def drop_half_line(file: Path) -> None:
    """Cuts off what a crash left of a line; whole lines stay."""
    if not file.exists():
        return
    whole = file.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if len(kept) < len(whole):
        with file.open("r+b") as opened:
            opened.truncate(len(kept))


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made ({error.strerror}); name a folder for --out") from None


def _read_table(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads((path / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"found no {RUN} in {path}; name a folder that `asr eval run` made") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path / RUN} cannot be read ({error}); name a folder that `asr eval run` made") from None
    return table


def _check_same(path: Path, signature: Signature) -> None:
    """Raises `ConfigError` that names the first thing that differs."""
    before, now = _read_table(path)["signature"], json.loads(json.dumps(asdict(signature)))
    for where, was, wanted in _differences("", before, now):
        raise ConfigError(
            f"{path} holds a run with another {where} (there {_short(was)}, now {_short(wanted)}); "
            "name another folder for --out"
        )


def _differences(where: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each place where two tables differ, by its path in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            yield from _differences(f"{where} {key}".strip(), before.get(key), now.get(key))
    elif before != now:
        yield where, before, now


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
