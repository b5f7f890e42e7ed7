"""Fits the number `accent` for a Whisper encoder: which direction of its pooled states tells accented speech.

    python -m scripts.fit_accent --accented SPEECH-TRAIN/en-accented --unseen SPEECH/en-crowd \\
        --plain SPEECH-TRAIN/en-crowd SPEECH-TRAIN/en-commands \\
        --noise SPEECH/noise-speech_commands_bg --rirs SPEECH/rirs

writes `asr/models/whisper/accents.json`. A logistic regression on `asr.models.whisper.accent.pooled_state`; each
speaker weighs the same, and so do both kinds. All recordings are taken as recorded, and every third also with noise,
in rooms and through Opus, so that a line that changes does not look like an accent. For figures on speakers that it
never saw, the speakers of the sets `--unseen` are left out, and of those with an accent all but `--speakers`.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import asr.models.whisper.accent as accent
from asr.models.linear import best_precision
from asr.models.registry import load_recogniser
from asr.models.whisper.recogniser import WhisperRecogniser
from eval.data.apply_conditions import audio_set, parse_chains, with_overlay
from eval.data.conditions import Overlay
from eval.data.dataset import load_dataset, read
from eval.data.types import Dataset, Utterance

CHAINS = ("noise:10", "reverb", "opus:8")
EVERY = 3
"""Of the recordings under each condition."""
STRENGTH = 0.01
"""The inverse of the ridge; from a thirtieth to three times as much was as good (docs/log/watch.md)."""
MOST_SAMPLES = 30 * 16_000
FILE = Path(accent.__file__).with_name("accents.json")


def main() -> None:
    """Measures, fits and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--accented", type=Path, nargs="+", required=True)
    parser.add_argument("--plain", type=Path, nargs="+", required=True)
    parser.add_argument("--unseen", type=Path, nargs="*", default=[])
    parser.add_argument("--speakers", type=int, default=30, help="with an accent, drawn with seed 0")
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--rirs", type=Path, required=True)
    options = parser.parse_args()
    unseen = {one.speaker for path in options.unseen for one in load_dataset(path).utterances}
    plain = [one for path in options.plain for one in load_dataset(path).utterances if one.speaker not in unseen]
    accented = [one for path in options.accented for one in load_dataset(path).utterances]
    names = sorted({one.speaker for one in accented})
    chosen = set(np.random.default_rng(0).permutation(names)[: options.speakers].tolist())
    accented = [one for one in accented if one.speaker in chosen]
    recogniser = load_recogniser(options.model, best_precision("cpu"), "cpu")
    assert isinstance(recogniser, WhisperRecogniser)
    network = recogniser.network
    noise, rooms = audio_set(options.noise), audio_set(options.rirs)
    overlays = [Overlay(parse_chains(chain, noise, rooms)[0]) for chain in CHAINS]
    values, weights, kinds = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for kind, utterances in enumerate((plain, accented)):
        found = [
            (speaker, pooled)
            for number, (speaker, samples) in enumerate(heard(utterances, overlays))
            if (pooled := accent.pooled_state(samples, network.encode(samples).encoder)) is not None
            for speaker in [speaker or str(number)]
        ]
        speakers, place, count = np.unique([s for s, _ in found], return_inverse=True, return_counts=True)
        values.append(np.array([pooled for _, pooled in found]))
        weights.append(1 / count[place] / len(speakers))
        kinds.append(np.full(len(found), kind))
        print(f"{('without', 'with')[kind]} an accent: {len(found)} recordings, {len(speakers)} speakers", flush=True)
    direction, offset = fit(np.concatenate(values), np.concatenate(kinds), np.concatenate(weights))
    table = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    table[network.encoder.key] = {
        "model": options.model,
        "speakers": sorted(chosen),
        "offset": round(offset, 4),
        "weights": [round(float(each), 4) for each in direction],
    }
    FILE.write_text(json.dumps(table) + "\n", encoding="utf-8")


def heard(utterances: Sequence[Utterance], overlays: Sequence[Overlay]) -> Iterator[tuple[str, np.ndarray]]:
    """Speaker and samples of each recording, and of every third one under each condition."""
    for overlay in (None, *overlays):
        some = tuple(utterances[:: EVERY if overlay else 1])
        for one in with_overlay(Dataset("accent", some, ()), overlay).utterances if overlay else some:
            yield one.speaker, np.ascontiguousarray(read(one).samples[:MOST_SAMPLES], np.float32)


def fit(values: np.ndarray, kinds: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights ``(width,)`` and offset for states ``(n, width)`` of kinds 0 and 1 ``(n,)``."""
    from sklearn.linear_model import LogisticRegression

    middle, scale = values.mean(axis=0), values.std(axis=0)
    model = LogisticRegression(C=STRENGTH, max_iter=500)
    model.fit((values - middle) / scale, kinds, sample_weight=weights * len(values) / 2)
    direction = model.coef_[0] / scale
    return direction, float(model.intercept_[0] - middle @ direction)


if __name__ == "__main__":
    main()
