"""Cuts long recordings at the segment times of their manifest, so that each sentence can be measured alone.

.venv/bin/python scripts/segments.py ../shared/speech/en-long runs/en-long-segments
.venv/bin/asr bench files --data ../shared/speech/en-long --data runs/en-long-segments
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ


def main() -> None:
    """Writes a FLAC file and a manifest line for each segment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for line in (options.data / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            samples = np.concatenate(list(read_blocks(options.data / row["audio_filepath"])))
            for start_s, end_s, text in row["segments"]:
                name = f"{Path(row['audio_filepath']).stem}-{start_s:.2f}.flac"
                cut = samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
                soundfile.write(options.out / name, cut, SAMPLE_RATE_HZ)
                fields = {"audio_filepath": name, "text": text, "duration": len(cut) / SAMPLE_RATE_HZ}
                manifest.write(json.dumps({**fields, "language": row["language"]}) + "\n")


if __name__ == "__main__":
    main()
