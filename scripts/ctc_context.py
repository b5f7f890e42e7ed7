"""Measures how much context a CTC model needs: streams recordings in chunks and compares with one-shot recognition.

    .venv/bin/python scripts/ctc_context.py --model wav2vec2-digits --data runs/digits/strings

Right contexts are tried with the whole past as left context; left contexts with the right context of the model's
settings. Prints the word error rate, the mean and the largest difference of the log-probabilities from those with the
whole recording as context, and how often the best token of a frame differs.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ, CtcSettings
from asr.models.ctc.files import CtcFiles
from asr.models.ctc.network import CtcNetwork, StreamState
from asr.models.ctc.recogniser import RIGHT_S, UPDATE_MS
from asr.models.ctc.search import SearchOptions, search
from asr.models.ctc.vocabulary import Vocabulary
from asr.models.registry import load_model_files
from eval.data.dataset import load_dataset, read
from eval.metrics.word_errors import count_words, total

ALL_S = 1e4
"""Stands for the whole recording."""
RIGHTS_S = (0.0, 0.08, 0.16, 0.32, 0.64, 1.28)
LEFTS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class FullContext:
    """A recording's text and its log-probabilities ``(n, V)`` with the whole recording as context."""

    samples: np.ndarray
    text: str
    logprobs: torch.Tensor


def main() -> None:
    """Prints the error rate for each pair of contexts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="wav2vec2-digits")
    parser.add_argument("--data", type=Path, default=Path("runs/digits/strings"))
    parser.add_argument("--limit", type=int, default=0, help="no more recordings than this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = load_model_files(options.model)
    assert isinstance(files, CtcFiles), f"{options.model} is no CTC model"
    network = CtcNetwork(files.tensors, files.config, normalise=files.vocabulary.normalise)
    utterances = load_dataset(options.data).utterances[: options.limit or None]
    recordings = [_full_context(network, read(u).samples, u.text) for u in utterances]
    print("left_s  right_s      WER   mean |d log p|   largest   other best token")
    for left_s, right_s in contexts(files.decoding.settings):
        print(_row(network, files, recordings, left_s, right_s), flush=True)


def contexts(settings: CtcSettings) -> Iterable[tuple[float, float]]:
    """(left, right) in seconds: all; then one side finite; then both from the settings."""
    usual_s = settings.right_s or RIGHT_S
    yield ALL_S, ALL_S
    yield from ((ALL_S, right_s) for right_s in reversed(RIGHTS_S))
    yield from ((left_s, usual_s) for left_s in reversed(LEFTS_S))
    yield settings.left_s, usual_s


def chunked(network: CtcNetwork, samples: np.ndarray, left_s: float, right_s: float) -> torch.Tensor:
    """The settled log-probabilities ``(n, V)`` of samples streamed in chunks."""
    chunk = UPDATE_MS * SAMPLE_RATE_HZ // 1000
    left, right = (round(s * SAMPLE_RATE_HZ / network.encoder.hop_samples) for s in (left_s, right_s))
    state, at, parts = StreamState(), 0, []
    for end in [*range(chunk, len(samples), chunk), len(samples)]:
        step = network.step([samples[at:end]], [state], [right], [left])[0]
        state, at = step.state, at + step.consumed
        parts.append(step.logprobs[: step.settled])
    return torch.cat([*parts, step.logprobs[step.settled :]])


def _full_context(network: CtcNetwork, samples: np.ndarray, text: str) -> FullContext:
    everything = round(ALL_S * SAMPLE_RATE_HZ / network.encoder.hop_samples)
    logprobs = network.step([samples], [StreamState()], [everything], [everything])[0].logprobs
    return FullContext(samples, text, logprobs)


def _row(network: CtcNetwork, files: CtcFiles, recordings: Sequence[FullContext], left_s: float, right_s: float) -> str:
    lattices = [chunked(network, recording.samples, left_s, right_s) for recording in recordings]
    pairs = list(zip(recordings, lattices, strict=True))
    options = SearchOptions(files.decoding.beam or 1, (), files.decoding.settings)
    errors = total(
        count_words(recording.text, _text(lattice, files.vocabulary, options)) for recording, lattice in pairs
    )
    differences = torch.cat([(lattice - recording.logprobs).abs() for recording, lattice in pairs])
    changed = torch.cat([lattice.argmax(-1) != recording.logprobs.argmax(-1) for recording, lattice in pairs])
    return (
        f"{_span(left_s)}  {_span(right_s):>7}  {100 * (errors.rate or 0):6.2f}%   {differences.mean():14.2e}"
        f"  {differences.max():8.2e}"
        f"   {100 * changed.float().mean():7.2f} %"
    )


def _text(lattice: torch.Tensor, vocabulary: Vocabulary, options: SearchOptions) -> str:
    return "".join(word.text for word in search(lattice, vocabulary, options)).strip()


def _span(seconds: float) -> str:
    return "   all" if seconds == ALL_S else f"{seconds:6.2f}"


if __name__ == "__main__":
    main()
