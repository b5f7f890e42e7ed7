"""Compares aligners: aligns known texts with recordings whose true times are known.

    .venv/bin/python scripts/aligners.py --data runs/digits/strings --model wav2vec2-digits --model whisper-tiny.en

If the data has word times, each word counts. If it has segment times, the start of each segment's first word and the
end of its last word count. With `--reference pocketsphinx` (`pip install pocketsphinx==5.1.1`; English) the times are
those of its forced alignment, which shares nothing with our models: of recordings with all words in its dictionary.
`--own` adds the word times that each model reports itself while it streams.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from asr.align import AlignedWord, align
from asr.engine import Engine
from eval.data.dataset import load_dataset, read
from eval.data.types import Recording
from eval.metrics.word_times import final_words, word_ends
from eval.runs.replay import replay
from eval.trace import Span
from server.client.protocol import pcm16


def main() -> None:
    """Prints one line for each model and edge (beginning, end)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--reference", choices=["data", "pocketsphinx"], default="data", help="whose times are true")
    parser.add_argument("--own", action="store_true", help="also compare the word times of the streamed transcript")
    parser.add_argument("--limit", type=int, default=0, help="no more recordings than this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recordings = [read(u) for u in load_dataset(options.data).utterances[: options.limit or None]]
    if options.reference == "pocketsphinx":
        recordings = list(_timed_by_pocketsphinx(recordings))
    print(f"{len(recordings)} recordings")
    columns = f"{'mean':>9}{'median':>9}{'median |.|':>12}{'95 % |.|':>10}{'largest |.|':>13}"
    print(f"{'aligner':52}{'edge':10}{'words':>6}{columns}  s")
    for name in options.model:
        engine = Engine.load(name)
        errors_s = [pair for recording in recordings for pair in _errors_s(recording, engine)]
        for edge, column in zip(("beginning", "end"), np.array(errors_s).T, strict=True):
            print(f"{engine.aligner:52}{edge:10}{_figures(column)}", flush=True)
        if options.own:
            ends_s = np.array([error_s for recording in recordings for error_s in _own_errors_s(recording, engine)])
            print(f"{engine.name + ', its own word times':52}{'end':10}{_figures(ends_s)}", flush=True)


def _timed_by_pocketsphinx(recordings: Sequence[Recording]) -> Iterator[Recording]:
    """Those that it can align, with its word times, to its frame of 10 ms."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL", beam=1e-80, wbeam=1e-60, pbeam=1e-80)
    for recording in recordings:
        texts = [text.strip("'") for text in re.findall(r"[a-z']+", recording.utterance.text.lower())]
        if re.search(r"\d", recording.utterance.text) or any(decoder.lookup_word(text) is None for text in texts):
            continue
        decoder.set_align_text(" ".join(texts))
        decoder.start_utt()
        decoder.process_raw(pcm16(recording.samples), full_utt=True)
        decoder.end_utt()
        found = decoder.seg() if decoder.hyp() is not None else ()
        spans = [Span(s.word, s.start_frame / 100, (s.end_frame + 1) / 100) for s in found if s.word[0] not in "<[("]
        if len(spans) == len(texts):
            named = (replace(span, text=text) for span, text in zip(spans, texts, strict=True))
            yield replace(recording, words=tuple(named))


def _own_errors_s(recording: Recording, engine: Engine) -> Iterator[float]:
    """For each word of the streamed transcript its own end minus that of its reference word."""
    trace = replace(replay(recording, engine), reference_words=recording.words)
    for word, end_s in zip(final_words(trace), word_ends(trace), strict=True):
        if end_s is not None:
            yield word.end_s - end_s


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
    signed = f"{errors_s.mean():+9.3f}{np.median(errors_s):+9.3f}"
    return f"{len(errors_s):6d}{signed}{median_s:12.3f}{p95_s:10.3f}{absolute_s.max():13.3f}"


if __name__ == "__main__":
    main()
