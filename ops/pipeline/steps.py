"""What each step of a pipeline does. Heavy ones are commands that anybody can repeat: `Result.result` has each command.

Each step may be killed and made again: folders are named by the hash of what they depend on, and the commands continue
in them; a release that is there is the same release; an alias that is where it should be stays.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tomlkit

from asr.aliases import CANARY, CHAMPION, SHADOW, SHARE
from asr.config import read_toml
from asr.errors import ConfigError, LedgerError
from asr.ledger import Ledger, Pipelines, Release, resolve
from asr.ledger.pipelines import DONE, FAILED, REJECTED, WAITING
from eval.data.dataset import data_sha256, load_dataset
from eval.report.command import GateFiles
from eval.report.command import gate as check
from eval.report.gate import GateError, Limits
from eval.runs.signature import commit, versions
from ops.gate import LOOKS
from ops.monitor import Verdicts
from ops.pipeline.plan import Plan, digest
from ops.policy import load_policy

BY = "asr pipeline"


@dataclass(frozen=True, slots=True)
class Result:
    """What a step came to: one of `asr.ledger.pipelines.STATES`, why, and figures for the ledger."""

    state: str
    why: str
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """One run. ``condition``: a chain such as "telephone+mulaw" that the training augments with; "": none."""

    ledger: Ledger
    plan: Plan
    condition: str
    now_s: float
    champion: Release
    """The champion when the run began, from which a training starts and with which the gate compares."""
    added: int | None = None
    """The release of the run, once it has one: from then on no other inputs make another."""

    @cached_property
    def train_table(self) -> dict[str, Any]:
        """The training's settings, with the condition as augmentation."""
        table = read_toml(Path(self.plan.train.config))
        model = table.get("model", {})
        if model.get("start") in (self.plan.name, f"{self.plan.name}@{CHAMPION}"):
            model["start"] = self.champion.ref  # the alias may move before the run has ended
        if self.condition:
            noise = [self.plan.eval.noise] if self.plan.eval.noise else []
            rooms = [self.plan.eval.rirs] if self.plan.eval.rirs else []
            own = table.get("augment", {})
            table["augment"] = {"noise": noise, "rooms": rooms, "noise_share": 0.0, "room_share": 0.0} | own
            table["augment"]["conditions"] = self.condition
        return table

    @cached_property
    def train_data(self) -> str:
        """Hash of the recordings and labels that the model learns from."""
        return _data(self.train_table.get("data", {}).get("train", []))

    @cached_property
    def eval_data(self) -> str:
        """Hash of the standing sets."""
        return _data(self.plan.eval.data)

    @cached_property
    def start(self) -> str:
        """Hash of the weights that the training starts from, or their name where they are no release."""
        name = str(self.train_table.get("model", {}).get("start", "random"))
        release = resolve(name, self.ledger)
        return release.sha256 if release else name

    @cached_property
    def code(self) -> dict[str, Any]:
        """The version of the code when the run went on: a commit that is made meanwhile must not move its folders."""
        return {"commit": commit(), **versions(("steadyword", "torch"))}

    def inputs(self, step: str) -> str:
        """Hash of all that the step depends on: settings, data, models, version of the code."""
        code = self.code
        audit = digest("audit", code, self.train_data, self.eval_data, self.plan.audit)
        train = digest("train", code, self.train_data, self.train_table, self.start, self.plan.train.minutes)
        standing = digest("eval", train, code, self.eval_data, self.plan.eval, self.condition, self.champion.sha256)
        gate = digest("gate", standing, self.plan.gate)
        own = {"audit": audit, "train": train, "eval": standing, "gate": gate}
        return own.get(step) or digest(step, gate, self.plan.shadow if step == "shadow" else "")

    def folder(self, step: str) -> Path:
        """Where the step's files are."""
        return Path(self.plan.work) / f"{step}-{self.inputs(step)[:16]}"

    @property
    def conditions(self) -> str:
        """The conditions of the evaluation, with the run's own."""
        chains = [chain for chain in self.plan.eval.conditions.split(",") if chain]
        return ",".join(dict.fromkeys([*chains, *([self.condition] if self.condition else [])]))


def audit(at: Context) -> Result:
    """`asr eval audit` of training and standing sets: too many unusable recordings, or shared ones, end the run."""
    sets = [*map(str, at.train_table["data"]["train"]), *at.plan.eval.data]
    out = at.folder("audit")
    failed = _command(at, "audit", ["eval", "audit", *dict.fromkeys(sets), "--out", str(out), "--embed-mb", "0"])
    if failed:
        return failed
    table = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    listed = len(table["recordings"]) + len(table["left_out"])
    share = len(table["left_out"]) / max(1, listed)
    if share > at.plan.audit.most_left_out:
        found = f"{len(table['left_out'])} of {listed} recordings cannot be used"
        return Result(REJECTED, f"{found}; allowed are {at.plan.audit.most_left_out:.0%}")
    audio = [leak for leak in table["leaks"] if leak["kind"] in ("recording", "speaker")]
    if audio and at.plan.audit.refuse_leaks:
        one = audio[0]
        return Result(REJECTED, f"{' and '.join(one['sets'])} share {one['shared']} of {one['kind']}: scores would lie")
    return Result(DONE, " ".join(table["verdict"][:2]), {"listed": listed, "left_out": len(table["left_out"])})


def train(at: Context) -> Result:
    """`asr train`, which continues what was interrupted, and changes nothing where it is finished."""
    folder = at.folder("train")
    settings = folder.with_suffix(".toml")
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(tomlkit.dumps(at.train_table), encoding="utf-8")
    minutes = ["--minutes", str(at.plan.train.minutes)] if at.plan.train.minutes else []
    failed = _command(at, "train", ["train", "--config", str(settings), "--out", str(folder), *minutes])
    if failed:
        return failed
    if not (folder / "config.json").is_file():
        return Result(REJECTED, "the training saved no model: no evaluation was better, or the time was too short")
    return Result(DONE, f"trained{f' with {at.condition}' if at.condition else ''}", {"folder": str(folder)})


def evaluate(at: Context) -> Result:
    """`asr eval run` of the new model and of the champion on the standing sets."""
    for model, run in ((str(at.folder("train")), "new"), (at.champion.ref, "champion")):
        plan, out = at.plan.eval, at.folder("eval") / run
        options = ["--mode", plan.mode, "--threads", "1", "--audio-mb", "0", "--out", str(out)]
        options += [word for data in plan.data for word in ("--data", data)]
        pairs = (("--condition", at.conditions), ("--noise", plan.noise), ("--rirs", plan.rirs))
        options += [word for option, value in pairs if value for word in (option, value)]
        options += ["--limit", str(plan.limit)] if plan.limit else []
        if failed := _command(at, f"eval-{run}", ["eval", "run", "--model", model, *options]):
            return failed
    return Result(DONE, f"both models were run on {len(at.plan.eval.data)} sets")


def gate(at: Context) -> Result:
    """`asr eval gate`; its looks are counted with those of `asr models gate`."""
    runs = at.folder("eval")
    looks = at.ledger.releases_folder.parent / LOOKS
    limits = Limits(wer=at.plan.gate.max_wer_rise, p95_s=at.plan.gate.max_p95_rise or None)
    try:
        results = check(GateFiles(runs / "new", runs / "champion", looks), limits, None)
    except GateError as error:
        return Result(REJECTED, str(error).replace(f"{runs}/", ""))
    except ConfigError as error:
        return Result(FAILED, str(error))
    sentences = [f"{each.system}: {each.sentence}" for each in results]
    rose = [sentence for sentence, each in zip(sentences, results, strict=True) if each.rose]
    why = f"not worse than {at.champion.ref}{' beyond chance' if rose else ''}"
    return Result(DONE, why, {"checks": sentences, "rose": rose})


def add(at: Context) -> Result:
    """`asr models add`; the gate's result becomes a row of the ledger beside it.

    A rise that chance may explain is no pass, as in `asr models gate`; the trial goes on, and proves what is true.
    """
    name, folder = at.plan.name, at.folder("train")
    why = f"{BY}{f', {at.condition}' if at.condition else ''}"
    if failed := _command(at, "add", ["models", "add", name, str(folder), "--because", why]):
        return failed
    new = _added(at)
    if new.number == at.champion.number:
        return Result(REJECTED, f"the training changed nothing: it is {new.ref}, the champion")
    inputs, known = at.inputs("gate"), at.ledger.gates(name)
    if not any(each.release == new.number and (each.has_passed or each.by == BY) for each in known):
        rows = [row for row in Pipelines(at.ledger).steps(name) if (row.step, row.inputs) == ("gate", inputs)]
        rose = rows[-1].result.get("rose", []) if rows else []
        evidence = {"inputs": inputs, **({"rose": rose} if rose else {})}
        at.ledger.add_gate(name, new.number, has_passed=not rose, by=BY, evidence=evidence)
    return Result(DONE, f"it is {new.ref}", {"release": new.number})


def shadow(at: Context) -> Result:
    """`asr models shadow`: the release hears a share of the live streams."""
    new, aliases = _added(at), at.ledger.aliases(at.plan.name)
    if _was_on_trial(at, new):
        return Result(DONE, f"{new.ref} is on trial")
    busy = aliases.get(CANARY) or aliases.get(SHADOW)
    if busy:
        return Result(WAITING, f"{busy.ref} is on trial; {new.ref} is next", {"version": at.ledger.version()})
    options = {SHARE: at.plan.shadow.share}
    at.ledger.move(at.plan.name, SHADOW, expected=None, to=new.number, by=BY, why="passed the gate", options=options)
    return Result(DONE, f"{new.ref} hears {at.plan.shadow.share:.0%} of the streams")


def canary(at: Context) -> Result:
    """One round of `asr monitor` for this model; done when the release serves clients."""
    return _trial(at, (CANARY, CHAMPION))


def promote(at: Context) -> Result:
    """One round of `asr monitor`; done when the release is the champion."""
    return _trial(at, (CHAMPION,))


ACTIONS: Mapping[str, Callable[[Context], Result]] = {
    "audit": audit,
    "train": train,
    "eval": evaluate,
    "gate": gate,
    "add": add,
    "shadow": shadow,
    "canary": canary,
    "promote": promote,
}
"""Each step of `asr.ledger.pipelines.STEPS`."""


def _trial(at: Context, wanted: Sequence[str]) -> Result:
    name, new = at.plan.name, _added(at)
    policy = load_policy(Path(at.plan.rollout) if at.plan.rollout else None)
    decisions = list(Verdicts(policy).look(at.ledger, name, time.time()))  # the run may have begun hours ago
    aliases = at.ledger.aliases(name)
    if any(move.alias in wanted and move.to_number == new.number for move in at.ledger.moves(name)):
        return Result(DONE, f"{new.ref} is or was {name}@{wanted[0]}")
    if new.number in (release.number for release in aliases.values()):
        return Result(WAITING, decisions[-1].action.why, {"version": at.ledger.version()})
    last = [move for move in at.ledger.moves(name) if move.from_number == new.number and move.to_number is None]
    return Result(REJECTED, last[-1].why if last else f"{new.ref} is on no alias")


def _was_on_trial(at: Context, new: Release) -> bool:
    return any(move.to_number == new.number for move in at.ledger.moves(at.plan.name))


def _added(at: Context) -> Release:
    """The release that the run added. Raises `LedgerError` where it did not."""
    from asr.ledger.folders import folder_sha256

    if at.added is not None:
        return at.ledger.release(at.plan.name, at.added)
    sha256 = folder_sha256(at.folder("train"))
    for release in at.ledger.releases(at.plan.name):
        if release.sha256 == sha256:
            return release
    raise LedgerError(f"{at.folder('train')} is no release of {at.plan.name} yet; wanted the step add before")


def _command(at: Context, log: str, arguments: Sequence[str]) -> Result | None:
    """Runs `asr ARGUMENTS`; its output goes to a log. None: it succeeded."""
    logs = Path(at.plan.work) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    file = logs / f"{log}-{digest(*arguments)[:16]}.log"
    with file.open("ab") as output:
        command = [sys.executable, "-m", "asr", *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, close_fds=False
        )
    if done.returncode == 0:
        return None
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    why = f"asr {arguments[0]} ended with {done.returncode}: {lines[-1][:300]} (more in {file})"
    return Result(FAILED, why, {"command": ["asr", *arguments]})


def _data(paths: Sequence[str]) -> str:
    return digest([data_sha256(load_dataset(Path(path)).utterances) for path in paths])
