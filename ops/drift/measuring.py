"""`asr drift conditions`: the own labelled sets as recorded and under conditions, and other sets, measured once."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.engine import Engine
from asr.ledger import Ledger
from eval.data.apply_conditions import audio_set, parse_chains, with_overlay
from eval.data.conditions import Overlay
from eval.data.dataset import load_dataset
from eval.measured_vitals import MeasuredSet, measure, save
from ops.drift.nearest import conditions_file

DEFAULT = ("telephone+mulaw", "opus:8")
WITH_NOISE, WITH_ROOMS = "noise:10", "reverb"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, with which model. ``chains`` as `asr eval run --condition` takes them; "": the usual ones."""

    model: str
    data: tuple[Path, ...]
    others: tuple[Path, ...] = ()
    chains: str = ""
    noise: Path | None = None
    rirs: Path | None = None
    limit: int | None = None

    @property
    def conditions(self) -> list[str]:
        """Each chain, as text."""
        usual = [*DEFAULT, *([WITH_NOISE] if self.noise else []), *([WITH_ROOMS] if self.rirs else [])]
        return [each.strip() for each in self.chains.split(",") if each.strip()] or usual

    def command(self, path: Path, chain: str) -> str:
        """The evaluation that repeats it."""
        words = ["asr", "eval", "run", "--model", self.model, "--data", str(path), "--out", "replay"]
        words += ["--condition", chain] if chain else []
        words += ["--noise", str(self.noise)] if self.noise and "noise" in chain else []
        words += ["--rirs", str(self.rirs)] if self.rirs and "reverb" in chain else []
        words += ["--limit", str(self.limit)] if self.limit else []
        return shlex.join(words)


def measured(engine: Engine, plan: Plan, say: Callable[[str], None]) -> list[MeasuredSet]:
    """Recognises everything once. Raises `ConfigError` for an unknown condition and for sets without speech."""
    noise, rooms = audio_set(plan.noise), audio_set(plan.rirs)
    overlays = [(text, Overlay(parse_chains(text, noise, rooms)[0])) for text in plan.conditions]
    found = []
    for path in (*plan.data, *plan.others):
        whole, is_own = load_dataset(path), path in plan.data
        dataset = replace(whole, utterances=whole.utterances[: plan.limit])
        for text, overlay in [("", None), *(overlays if is_own else ())]:
            of = with_overlay(dataset, overlay) if overlay else dataset
            found.append(measure(engine, of, dataset.name, text, plan.command(path, text), is_own))
            say(f"{of.name}: {len(found[-1].words)} recordings, WER {found[-1].wer:.1f} %")
    return found


def keep(ledger: Ledger, name: str, sets: Sequence[MeasuredSet]) -> Path:
    """Makes them the measured sets of the model; returns their file."""
    file = conditions_file(ledger, name)
    save(file, sets)
    return file
