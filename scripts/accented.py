"""Evaluates fine-tuned Whisper on accented speakers who were not in the training, and on other speech.

.venv/bin/asr train --config configs/train/whisper-accented.toml
.venv/bin/python scripts/accented.py --out runs/accented
"""

import argparse
import json
from pathlib import Path

from asr.cli import run

MODELS = ("whisper-tiny.en", "whisper-tiny.en-accented")


def main() -> None:
    """Both models on the left-out speakers, and on a professional reader as a regression test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("runs/accented"))
    parser.add_argument("--limit", default="150")
    options = parser.parse_args()
    manifest = left_out(options.shared, options.out)
    data = ["--data", str(manifest), "--data", str(options.shared / "speech" / "en-read")]
    models = [part for model in MODELS for part in ("--model", model)]
    more = ["--mode", "offline", "--limit", options.limit, "--threads", "1", "--out", str(options.out / "run")]
    raise SystemExit(run(["eval", "run", *data, *models, *more]))


def left_out(shared: Path, folder: Path) -> Path:
    """A manifest of the accented recordings whose speakers are not in the training part."""
    trained_speakers = {row["speaker"] for row in _rows(shared / "speech-train" / "en-accented")}
    test = shared / "speech" / "en-accented"
    rows = [row for row in _rows(test) if row["speaker"] not in trained_speakers]
    for row in rows:
        row["audio_filepath"] = str((test / row["audio_filepath"]).resolve())
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "en-accented-unheard.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest


def _rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
