"""`asr quality fit`: labelled sets under conditions -> the model of a champion's errors, with its checks."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import ConfigError
from asr.ledger import Ledger
from eval.estimate import ErrorModel, Labelled, fit, labelled_of, rate_of_speakers, save
from eval.measured_vitals import load
from ops.drift.nearest import conditions_file
from ops.quality import ACCEPTED_RISE, champion_of, model_file


def fit_model(ledger: Ledger, name: str, files: Sequence[Path], accept: float | None, draw_share: float) -> ErrorModel:
    """Fits it on measured sets, and keeps it beside the ledger. ``accept``: the accepted WER in per cent; None: see
    `ops.quality.accepted_rates`.

    Sets of another language than the own ones are left out. Raises `ConfigError`.
    """
    found = [each for file in files or [conditions_file(ledger, name)] for each in load(file)]
    own = {each.language for each in found if each.is_own}
    sets = [each for each in found if each.language in own]
    clean_sets = [each for each in sets if each.is_own and not each.condition]
    if not clean_sets:
        raise ConfigError(f"found no own set as it was recorded, wanted one: asr drift conditions {name} --data SET")
    labelled, conditions = labelled_of(sets)
    clean, _ = labelled_of(clean_sets)
    number = champion_of(ledger, name)
    release = ledger.release(name, number)
    about: dict[str, Any] = {
        "release": release.ref,
        "release_sha256": release.sha256,
        "data_sha256": _sha256(labelled),
        "sets": [[each.data, each.condition, len(each.words), round(each.wer, 2)] for each in sets],
    }
    model = fit(labelled, conditions, about, data=[each.data for each in sets for _ in each.words])
    most = model.estimate(clean.numbers, clean.recognised).most
    rate, spread, speakers = rate_of_speakers(clean, model.dispersion)
    accepted = {"accepted_wer": rate + ACCEPTED_RISE, "speaker_spread": spread, "speakers": speakers}
    if accept is not None:
        accepted = {"accepted_wer": accept / 100}
    model = replace(model, about={**model.about, **accepted, "draw_scale": max(1.0, float(most.mean()) / draw_share)})
    save(model_file(ledger, name), model)
    return model


def table(model: ErrorModel) -> Iterator[str]:
    """What the model does on windows of unseen speakers: one line for each condition and each set, in points."""
    about = model.about
    yield f"{about['release']}: accepted WER {100 * about['accepted_wer']:.1f} %; windows of 200 utterances:"
    yield f"  {'condition':<22}{'WER':>7}{'error':>8}{'left out':>10}{'held by 90 %':>14}{'left out':>10}{'outside':>9}"
    for each in about["checks"]:
        wer, error, left_out = (_cell(each, key, 1) for key in ("wer", "error", "error_left_out"))
        held, unseen, outside = (_cell(each, key, 0, "%") for key in ("held", "held_left_out", "outside"))
        condition = each.get("data") or each["condition"] or "clean"
        yield f"  {condition:<22}{wer:>7}{error:>8}{left_out:>10}{held:>14}{unseen:>10}{outside:>9}"


def _cell(check: Mapping[str, Any], key: str, digits: int, unit: str = "") -> str:
    """A share in per cent; "-" where it was not measured."""
    return f"{100 * check[key]:.{digits}f}{unit}" if key in check else "-"


def _sha256(labelled: Labelled) -> str:
    digest = hashlib.sha256()
    for values in (labelled.numbers.astype("<f4"), labelled.words, labelled.errors, labelled.speaker):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
