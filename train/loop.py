"""The training loop: steps, evaluations on the dev set, checkpoints.

Randomness depends only on the seed and the number of the epoch or step. So after an interruption the same command
continues with the same batches, and ends with the same weights.
"""

import contextlib
import json
import math
import pickle
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from asr.model_files.cache import write_atomically, write_text_atomically
from eval.metrics.word_errors import Counts, total
from eval.progress import Bar
from train.augment import Augmenter, Batch
from train.config import TrainSettings
from train.data import Example, Split
from train.task import TrainingTask

WORK = "training"
CHECKPOINT, RECORD = "checkpoint.pt", "record.json"


@dataclass(slots=True)
class TrainingState:
    """The progress of a training. ``step`` counts within the epoch; ``curve`` has a row for each evaluation."""

    epoch: int = 0
    step: int = 0
    elapsed_s: float = 0.0
    best: float = math.inf
    since_best: int = 0
    losses: list[float] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    done: bool = False
    """True if it stopped early (see `LoopSettings.patience`)."""


class Training:
    """One training in its folder: the model at its root, checkpoint and record in `training/`."""

    def __init__(
        self, settings: TrainSettings, task: TrainingTask, split: Split, augmenter: Augmenter, folder: Path
    ) -> None:
        self.settings, self.task, self.split, self.folder = settings, task, split, folder
        self._augmenter = augmenter
        trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
        loop = settings.loop
        self._optimiser = torch.optim.AdamW(trained, lr=loop.learning_rate, weight_decay=loop.weight_decay)
        self._trained = trained
        self._start = [each.detach().clone() for each in trained] if settings.model.start_share else []
        quiet = replace(settings.augment, speed=(1.0, 1.0), noise_share=0.0, room_share=0.0, gain_db=(0.0, 0.0))
        quiet = replace(quiet, condition_share=0.0)
        self._dev = Augmenter(quiet).epoch(split.dev, loop.batch_s, np.random.default_rng(loop.seed))
        self.state = TrainingState()

    def run(self, bar: Bar, stop_after_s: float | None = None) -> bool:
        """Trains to the end, or until this call has taken `stop_after_s`. Returns True if the training is done.

        Continues from the folder's checkpoint. Raises `ConfigError` if that is of another training.
        """
        self._resume(bar)
        began = saved = time.monotonic()
        loop, state = self.settings.loop, self.state
        while not state.done and state.epoch < loop.epochs:
            batches = self._epoch(state.epoch)
            while state.step < len(batches):
                state.losses.append(self._step(batches[state.step], state.step, len(batches)))
                bar.advance(_seconds(batches[state.step]) / _audio_s(batches))
                state.step += 1
                now = time.monotonic()
                state.elapsed_s, spent = state.elapsed_s + now - self._time_of_last_step(now), now - began
                if now - saved > loop.save_every_s or (stop_after_s and spent > stop_after_s):
                    self._save()
                    saved = now
                if stop_after_s and spent > stop_after_s:
                    self._save_unevaluated(bar)
                    return False
            state.epoch, state.step = state.epoch + 1, 0
            if state.epoch % loop.dev_every == 0 or state.epoch == loop.epochs:
                self._evaluate(bar)
        self._save()
        return True

    def _time_of_last_step(self, now: float) -> float:
        """The time of the previous call; `now` at the first."""
        before, self._last = getattr(self, "_last", now), now
        return before

    def _epoch(self, epoch: int) -> list[Batch]:
        rng = np.random.default_rng([self.settings.loop.seed, epoch])
        augmenter = self._augmenter.at(epoch / self.settings.loop.epochs)
        return augmenter.epoch(self.split.train, self.settings.loop.batch_s, rng)

    def _step(self, batch: Batch, index: int, of: int) -> float:
        loop, state = self.settings.loop, self.state
        _seed(loop.seed + 1_000_003 * state.epoch + index)
        rate = learning_rate((state.epoch + index / of) / loop.epochs, loop.learning_rate, loop.warmup_share)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.task.model.train()
        with _mixed_precision(self._trained[0].device):
            loss = self.task.loss(batch)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._trained, loop.clip_norm)
        if torch.isfinite(norm):
            self._optimiser.step()
        return float(loss.detach())

    def _save_unevaluated(self, bar: Bar) -> None:
        """Saves the model as it is, where it is wanted as it is at the end, or no evaluation has saved one yet."""
        if self.settings.loop.keep == "last" or not self.state.curve:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._averaged():
                self.task.save(self.folder)
            if not self.state.curve:
                bar.say("stopped before the first evaluation: the model is saved as it is")

    def _evaluate(self, bar: Bar) -> None:
        """Evaluates on the dev set, saves the model if it is to be kept, and reports progress."""
        state, loop = self.state, self.settings.loop
        with self._averaged():
            rate = errors_of(self.task, self._dev).rate
            rate = math.inf if rate is None else rate
            state.since_best = 0 if rate < state.best else state.since_best + 1
            better = rate < state.best
            state.best = min(rate, state.best)
            if better or loop.keep == "last":
                self.folder.mkdir(parents=True, exist_ok=True)
                self.task.save(self.folder)
        loss = float(np.mean(state.losses)) if state.losses else 0.0
        state.curve.append({"epoch": state.epoch, "loss": loss, "dev": rate, "elapsed_s": round(state.elapsed_s, 1)})
        state.losses = []
        left_s = state.elapsed_s / state.epoch * (loop.epochs - state.epoch)
        bar.say(
            f"epoch {state.epoch}/{loop.epochs}: loss {loss:.3f}, dev {self.task.measure} {100 * rate:.2f} % "
            f"(best {100 * state.best:.2f} %), {state.elapsed_s / 60:.1f} min done, about {left_s / 60:.1f} min left"
        )
        if loop.patience and state.since_best >= loop.patience:
            bar.say(f"no better for {state.since_best} evaluations: stopped early")
            state.done = True

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The model with `ModelSettings.start_share` of the weights it started with, for as long as this lasts."""
        if not self._start:
            yield
            return
        learned = [each.detach().clone() for each in self._trained]
        with torch.no_grad():
            for each, start in zip(self._trained, self._start, strict=True):
                each.lerp_(start, self.settings.model.start_share)
        try:
            yield
        finally:
            with torch.no_grad():
                for each, weights in zip(self._trained, learned, strict=True):
                    each.copy_(weights)

    # -- continuing ----------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        table = {
            "settings": asdict(self.settings),
            "data": self.split.sha256,
            "state": asdict(self.state),
            "model": self.task.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        write_atomically(self.folder / WORK / CHECKPOINT, lambda path: torch.save(table, path))

    def _resume(self, bar: Bar) -> None:
        path = self.folder / WORK / CHECKPOINT
        if not path.is_file():
            return
        table = _checkpoint(path, self.settings, self.split)
        self.task.model.load_state_dict(table["model"])
        self._optimiser.load_state_dict(table["optimiser"])
        self.state = TrainingState(**table["state"])
        bar.say(f"continuing in {self.folder}: {self.state.epoch} of {self.settings.loop.epochs} epochs are done")
        bar.advance(self.state.epoch)

    def write_record(self, more: dict[str, Any]) -> Path:
        """Writes settings, data hash, curve and `more` to `training/record.json`; returns its path."""
        table = {
            "settings": asdict(self.settings),
            "data_sha256": self.split.sha256,
            "train_recordings": len(self.split.train),
            "dev_recordings": len(self.split.dev),
            "parameters": sum(p.numel() for p in self.task.model.parameters()),
            "trained_parameters": sum(p.numel() for p in self._trained),
            "measure": self.task.measure,
            "best_dev": self.state.best,
            "elapsed_s": round(self.state.elapsed_s, 1),
            "curve": self.state.curve,
        }
        path = self.folder / WORK / RECORD
        write_text_atomically(path, json.dumps(table | more, ensure_ascii=False, indent=1) + "\n")
        return path


def is_finished(folder: Path, settings: TrainSettings, split: Split) -> bool:
    """True if the folder holds this training, finished. Raises `ConfigError` if it holds another one."""
    path = folder / WORK / CHECKPOINT
    if not path.is_file():
        return False
    state = TrainingState(**_checkpoint(path, settings, split)["state"])
    return state.done or state.epoch >= settings.loop.epochs


def _checkpoint(path: Path, settings: TrainSettings, split: Split) -> dict[str, Any]:
    """The checkpoint. Raises `ConfigError` if it is of another training, or holds more than tensors and plain values.

    A pickle may run any code when it is loaded, and an `--out` folder may come from somebody else.
    """
    try:
        table: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError):
        wanted = (
            "wanted one of this program, with tensors and plain values alone; delete it to train from the beginning"
        )
        raise ConfigError(f"found {path} to be no checkpoint, or a damaged one; {wanted}") from None
    if _fixed(table["settings"]) != _fixed(asdict(settings)) or table["data"] != split.sha256:
        raise ConfigError(
            f"{path.parent.parent} holds a training with other settings or data; wanted the same ones, or another --out"
        )
    return table


def _fixed(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that must not change when a training continues: all but the number of epochs."""
    return settings | {"loop": {key: value for key, value in settings["loop"].items() if key != "epochs"}}


@torch.inference_mode()
def errors_of(task: TrainingTask, batches: Sequence[Sequence[Example]]) -> Counts:
    """The errors over all batches, without dropout."""
    task.model.eval()
    return total(task.errors(batch) for batch in batches)


def learning_rate(progress: float, peak: float, warmup: float) -> float:
    """Linear warm-up to the peak, then a half cosine down to zero; `progress` runs from 0 to 1."""
    if progress < warmup:
        return peak * (progress / warmup + 1e-3)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))))


def _seed(number: int) -> None:
    """Seeds dropout and SpecAugment's masks (Transformers draws them from NumPy's global generator)."""
    torch.manual_seed(number)
    np.random.seed(number % 2**32)
    random.seed(number)


@contextlib.contextmanager
def _mixed_precision(device: torch.device) -> Iterator[None]:
    """Autocasts to bfloat16 on CUDA; float32 on other devices."""
    if device.type != "cuda":
        yield
        return
    with torch.autocast("cuda", dtype=torch.bfloat16):
        yield


def _seconds(batch: Batch) -> float:
    return sum(len(example.samples) for example in batch) / SAMPLE_RATE_HZ


def _audio_s(batches: Sequence[Batch]) -> float:
    return sum(map(_seconds, batches))
