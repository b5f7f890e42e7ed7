"""What a full training mends of a drift: errors on the drifted slice and on the old sets, before and after.

    python -m scripts.full_training --condition telephone+mulaw --out runs/telephone

Trains whisper-tiny.en twice on ../shared/speech-train (en-crowd, en-prompts): the decoder alone, and the encoder too.
Half of the examples are under the condition. Speakers are unheard in all that is evaluated: of en-crowd half of those
who have no more than `MOST_OF_ONE` recordings are left out of the training, en-accented and en-read (one reader) are in
no training. Then `asr eval run` recognises these sets as recorded and under the condition, and `asr eval compare` pairs
the models by recording, with intervals by speaker. Interrupted, the same command continues.
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
MOST_OF_ONE = 30
"""Recordings of one speaker: whoever has more would decide the evaluation alone."""
MOST_EVALUATED = 5
"""Recordings of one speaker that are evaluated."""


def main() -> None:
    """Trains, evaluates and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--condition", default="telephone+mulaw")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument("--limit", default="200", help="recordings of each set that are evaluated")
    parser.add_argument("--learn", nargs="*", default=list(LEARNING), choices=LEARNING)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    left_out = unheard(options.shared)
    models = [START]
    for name in options.learn:
        models.append(str(options.out / name))
        file = options.out / f"{name}.toml"
        file.write_text(settings(options, name, left_out), encoding="utf-8")
        if code := run(["train", "--config", str(file), "--out", models[-1]]):
            raise SystemExit(code)
    crowd = options.out / "en-crowd-unheard.jsonl"
    crowd.write_text("".join(json.dumps(row) + "\n" for row in rows_of(options.shared, left_out)), encoding="utf-8")
    data = [crowd, *(options.shared / "speech" / name for name in ("en-accented", "en-read"))]
    command = ["eval", "run", "--mode", "offline", "--threads", "1", "--limit", options.limit]
    command += [part for path in data for part in ("--data", str(path))]
    command += [part for model in models for part in ("--model", model)]
    noise = options.shared / "speech" / "noise-speech_commands_bg"
    command += ["--condition", options.condition, "--noise", str(noise), "--out", str(options.out / "run")]
    code = run(command)
    raise SystemExit(code or run(["eval", "compare", str(options.out / "run"), "--out", str(options.out / "report")]))


def unheard(shared: Path) -> list[str]:
    """Speakers of en-crowd who are left out of the training."""
    counts = Counter(row["speaker"] for row in _rows(shared / "speech-train" / "en-crowd"))
    few = sorted(speaker for speaker, count in counts.items() if count <= MOST_OF_ONE)
    return sorted(np.random.default_rng(0).permutation(few)[: len(few) // 2].tolist())


def rows_of(shared: Path, speakers: list[str]) -> list[dict[str, str]]:
    """Manifest rows of these speakers' recordings, of both folders."""
    found, counts = [], Counter[str]()
    for folder in (shared / "speech" / "en-crowd", shared / "speech-train" / "en-crowd"):
        for row in _rows(folder):
            if row["speaker"] in speakers and counts[row["speaker"]] < MOST_EVALUATED:
                counts[row["speaker"]] += 1
                found.append(row | {"audio_filepath": str((folder / row["audio_filepath"]).resolve())})
    return found


def settings(options: argparse.Namespace, name: str, left_out: list[str]) -> str:
    """The training's settings as TOML."""
    shared = (options.shared / "speech-train").resolve()
    noise = (options.shared / "speech" / "noise-picovoice").resolve()
    return f"""name = "{START}-{name}"
kind = "whisper"

[data]
train = {json.dumps([str(shared / each) for each in ("en-crowd", "en-prompts")])}
left_out_speakers = {json.dumps(left_out)}
dev_share = 0.06
longest_s = 12.0

[labels]
case = "keep"

[model]
start = "{START}"
train_only = {json.dumps(LEARNING[name])}

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


def _rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
