"""`asr train`: loads settings, data and model, runs the loop -> a folder that `--model` takes."""

import warnings
from dataclasses import replace
from pathlib import Path

import torch

from asr.model_files.trained import models_dir
from eval.progress import progress
from eval.runs.signature import commit, machine, versions
from train.augment import Augmenter
from train.config import TrainSettings, load_settings
from train.consents import consents_in, write_consents
from train.ctc_task import case_of, check_labels, ctc_task, start_folder, start_vocabulary
from train.data import Split, chains, letters_of, load_split, sounds
from train.distil_task import distil_task
from train.language_model import write_language_model
from train.loop import Training, is_finished
from train.task import TrainingTask, best_device
from train.teacher import load_teacher
from train.whisper_task import whisper_task

PACKAGES = ("steadyword", "torch", "transformers", "numpy")


def train(config: Path, out: Path | None, minutes: float | None) -> None:
    """Raises `CallerError` for unusable settings, data or start."""
    # Transformers' WavLM passes torch a bias and a mask of different types: allowed, with a warning.
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
    settings = load_settings(config)
    if settings.loop.threads:
        torch.set_num_threads(settings.loop.threads)
    folder = out or models_dir() / settings.name
    settings = _with_letter_case(settings)
    split = load_split(settings.data, settings.labels, settings.loop.seed)
    if is_finished(folder, settings, split):
        with progress(settings.name, 1) as bar:
            bar.say(f"{folder} is already trained for {settings.loop.epochs} epochs")
        return
    augment = settings.augment
    augmenter = Augmenter(augment, sounds(augment.noise), sounds(augment.rooms), chains(augment))
    torch.manual_seed(settings.loop.seed)
    task, split = _task(settings, split)
    training = Training(settings, task, split, augmenter, folder)
    with progress(settings.name, settings.loop.epochs) as bar:
        bar.say(
            f"{settings.name}: {len(split.train)} training and {len(split.dev)} dev recordings, "
            f"{sum(p.numel() for p in training.task.model.parameters()) / 1e6:.2f} million parameters"
        )
        if settings.labels.language_model:
            folder.mkdir(parents=True, exist_ok=True)
            write_language_model(folder, (example.text for example in split.train))
        is_done = training.run(bar, 60 * minutes if minutes else None)
        write_consents(folder, split.consents | _start_consents(settings.model.start))
        record = training.write_record(
            {"config": str(config), "commit": commit(), "machine": str(machine()), "versions": versions(PACKAGES)}
        )
        if is_done:
            best = f"dev {training.task.measure} {100 * training.state.best:.2f} %"
            bar.say(f"done: wrote {folder} ({best}) and its record {record}")
        else:
            bar.say(f"stopped after {minutes:g} minutes; the same command continues")


def _start_consents(start: str) -> set[str]:
    """Those of the model that the training starts from: their speech is in the new one too."""
    return set() if start == "random" else consents_in(start_folder(start))


def _with_letter_case(settings: TrainSettings) -> TrainSettings:
    """Replaces the case `auto` by the one of the start's vocabulary."""
    if settings.labels.case != "auto":
        return settings
    vocabulary = start_vocabulary(settings.model.start) if settings.model.start != "random" else None
    case = case_of(list(vocabulary)) if vocabulary and settings.kind == "ctc" else "keep"
    return replace(settings, labels=replace(settings.labels, case=case))


def _task(settings: TrainSettings, split: Split) -> tuple[TrainingTask, Split]:
    """The task, and the examples with their targets."""
    device = best_device(settings.loop.device)
    if settings.kind == "whisper":
        return whisper_task(settings.model, device, settings.data.language), split
    if settings.kind == "distil":
        return distil_task(settings.model, settings.augment, load_teacher(settings.teacher), split, device)
    examples = (*split.train, *split.dev)
    task = ctc_task(settings.model, settings.augment, letters_of(e.text for e in examples), device)
    where = "the new vocabulary" if settings.model.start == "random" else settings.model.start
    check_labels(task, examples, settings.labels, where)
    return task, split
