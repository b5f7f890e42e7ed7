"""What a full training mends of a drift: errors on the drifted slices and on the old sets, before and after.

    python -m scripts.full_training --condition telephone+mulaw,noise:10 --out runs/drifted

Trains whisper-tiny.en twice on ../shared/speech-train: the decoder alone, and the encoder too. Half of the examples are
under one of the conditions. Half of the speakers of en-crowd and of en-accented are left out of the training, and what
they said is evaluated; en-read has one reader, who is in both with other sentences. `asr eval run` recognises these
sets as recorded and under the conditions, and `asr eval compare` pairs the models by recording, with intervals by
speaker. Interrupted, the same command continues.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from asr.cli import run

START = "whisper-tiny.en"
LEARNING = {"decoder": (), "encoder": ("model.encoder", "model.decoder.layers")}
"""Which part learns -> `model.train_only`."""
SETS = ("en-crowd", "en-accented", "en-read")
"""Data sets with a part for training and one for evaluation."""
MOST_OF_ONE = 30
"""Recordings of one speaker: a speaker with more would decide the evaluation alone, and is in the training."""
MOST_EVALUATED = 10
"""Recordings of one speaker that are evaluated."""


def main() -> None:
    """Trains, evaluates and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--condition", default="telephone+mulaw,noise:10")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument("--start-share", type=float, default=0.4)
    parser.add_argument("--limit", default="400", help="recordings of each set that are evaluated")
    parser.add_argument("--learn", nargs="*", default=list(LEARNING), choices=LEARNING)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    left_out = {name: unheard(options.shared, name) for name in SETS}
    data = [labelled(options.shared, options.out, name) for name in (*SETS, "en-prompts")]
    models = [START]
    for name in options.learn:
        models.append(str(options.out / name))
        file = options.out / f"{name}.toml"
        file.write_text(
            settings(options, name, data, [one for ids in left_out.values() for one in ids]), encoding="utf-8"
        )
        if code := run(["train", "--config", str(file), "--out", models[-1]]):
            raise SystemExit(code)
    evaluated = [evaluation(options.shared, options.out, name, left_out[name]) for name in SETS]
    command = ["eval", "run", "--mode", "offline", "--threads", "1", "--limit", options.limit]
    command += [part for path in evaluated for part in ("--data", str(path))]
    command += [part for model in models for part in ("--model", model)]
    noise = options.shared / "speech" / "noise-speech_commands_bg"
    command += ["--condition", options.condition, "--noise", str(noise), "--out", str(options.out / "run")]
    code = run(command)
    raise SystemExit(code or run(["eval", "compare", str(options.out / "run"), "--out", str(options.out / "report")]))


def unheard(shared: Path, name: str) -> list[str]:
    """Speakers of a set who are left out of the training: half of those who have few recordings."""
    counts = Counter(row["speaker"] for row in _rows(shared / "speech-train" / name))
    few = sorted(speaker for speaker, count in counts.items() if count <= MOST_OF_ONE)
    return sorted(np.random.default_rng(0).permutation(few)[: len(few) // 2].tolist())


def labelled(shared: Path, out: Path, name: str) -> Path:
    """The set's manifest for training. Labels in capitals alone would teach the model to write so."""
    folder = shared / "speech-train" / name
    rows = [_placed(row, folder) for row in _rows(folder)]
    return _write(out / f"{name}-train.jsonl", [row | {"text": _sentence(row["text"])} for row in rows])


def _sentence(text: str) -> str:
    return f"{text.capitalize()}." if text.isupper() else text


def evaluation(shared: Path, out: Path, name: str, speakers: list[str]) -> Path:
    """The recordings of the speakers who are left out, of both folders; where there are none, those of `speech`."""
    folders = [shared / part / name for part in ("speech", "speech-train")]
    found, counts = [], Counter[str]()
    trained = {row["speaker"] for row in _rows(folders[1])}
    for folder in folders if speakers else folders[:1]:
        for row in _rows(folder):
            speaker = row["speaker"]
            if not speakers or ((speaker in speakers or speaker not in trained) and counts[speaker] < MOST_EVALUATED):
                counts[speaker] += 1
                found.append(_placed(row, folder))
    return _write(out / f"{name}-evaluation.jsonl", found)


def settings(options: argparse.Namespace, name: str, data: list[Path], left_out: list[str]) -> str:
    """The training's settings as TOML."""
    noise = (options.shared / "speech" / "noise-picovoice").resolve()
    return f"""name = "{START}-{name}"
kind = "whisper"

[data]
train = {json.dumps([str(path) for path in data])}
left_out_speakers = {json.dumps(left_out)}
dev_share = 0.06
longest_s = 12.0

[labels]
case = "keep"

[model]
start = "{START}"
train_only = {json.dumps(LEARNING[name])}
start_share = {options.start_share}

[augment]
conditions = "{options.condition}"
noise = ["{noise}"]
noise_share = 0.0

[loop]
epochs = {options.epochs}
batch_s = 30.0
learning_rate = {options.rate}
keep = "last"
threads = 1
"""


def _placed(row: dict[str, str], folder: Path) -> dict[str, str]:
    """The row with a path that does not depend on its manifest's folder."""
    return row | {"audio_filepath": str((folder / row["audio_filepath"]).resolve())}


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
