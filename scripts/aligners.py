"""Compares aligners: aligns known texts with recordings whose true times are known.

    .venv/bin/python scripts/aligners.py --data runs/digits/strings --model wav2vec2-digits --model whisper-tiny.en

If the data has word times, each word counts. If it has segment times, the start of each segment's first word and the
end of its last word count.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from asr.align import AlignedWord, align
from asr.engine import Engine
from eval.data.dataset import load_dataset, read
from eval.data.types import Recording


def main() -> None:
    """Prints one line for each model and edge (beginning, end)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--limit", type=int, default=0, help="no more recordings than this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recordings = [read(u) for u in load_dataset(options.data).utterances[: options.limit or None]]
    print(f"{'aligner':52}{'edge':10}{'words':>6}{'mean':>9}{'median |.|':>12}{'95 % |.|':>10}{'largest |.|':>13}  s")
    for name in options.model:
        engine = Engine.load(name)
        errors_s = [pair for recording in recordings for pair in _errors_s(recording, engine)]
        for edge, column in zip(("beginning", "end"), np.array(errors_s).T, strict=True):
            print(f"{engine.aligner:52}{edge:10}{_figures(column)}", flush=True)


def _errors_s(recording: Recording, engine: Engine) -> Iterator[tuple[float, float]]:
    """For each span, the error of its start and of its end; positive is too late."""
    spans = recording.words or recording.segments
    words = align(recording.samples, " ".join(span.text for span in spans), engine).words
    ends = accumulate(len(span.text.split()) for span in spans)
    for span, end in zip(spans, ends, strict=True):
        aligned: Sequence[AlignedWord] = words[end - len(span.text.split()) : end]
        if aligned:
            yield aligned[0].start_s - span.start_s, aligned[-1].end_s - span.end_s


def _figures(errors_s: np.ndarray) -> str:
    absolute_s = np.abs(errors_s)
    median_s, p95_s = np.percentile(absolute_s, (50, 95))
    return f"{len(errors_s):6d}{errors_s.mean():+9.3f}{median_s:12.3f}{p95_s:10.3f}{absolute_s.max():13.3f}"


if __name__ == "__main__":
    main()
