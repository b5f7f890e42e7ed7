"""How much context a CTC model needs: text and frame log-probabilities in chunks against the recording at once.

    .venv/bin/python scripts/ctc_context.py --model wav2vec2-digits --data runs/digits/strings

The right context is tried with all of the past, the left one with the right one that the model wants. What is told is
the word error rate, the mean and the largest distance of the log-probabilities from those with the whole recording as
context, and how often a frame's best token is another one.
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
RIGHTS_S = (0.0, 0.08, 0.16, 0.32, 0.64, 1.28)
LEFTS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class FullContext:
    """A recording's text and its log-probabilities ``(n, V)`` with the whole recording as context."""

    samples: np.ndarray
    text: str
    whole: torch.Tensor


def main() -> None:
    """Prints the table."""
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
    recordings = [_heard(network, read(u).samples, u.text) for u in utterances]
    print("left_s  right_s      WER   mean |d log p|   largest   other best token")
    for left_s, right_s in contexts(files.decoding.settings):
        print(_row(network, files, recordings, left_s, right_s), flush=True)


def contexts(told: CtcSettings) -> Iterable[tuple[float, float]]:
    """Left and right in seconds: all; one finite; both as the settings have them."""
    usual_s = told.right_s or RIGHT_S
    yield ALL_S, ALL_S
    yield from ((ALL_S, right_s) for right_s in reversed(RIGHTS_S))
    yield from ((left_s, usual_s) for left_s in reversed(LEFTS_S))
    yield told.left_s, usual_s


def chunked(network: CtcNetwork, samples: np.ndarray, left_s: float, right_s: float) -> torch.Tensor:
    """The log-probabilities ``(n, V)`` with which each frame was settled, heard in chunks as in a stream."""
    chunk = UPDATE_MS * SAMPLE_RATE_HZ // 1000
    left, right = (round(s * SAMPLE_RATE_HZ / network.encoder.hop_samples) for s in (left_s, right_s))
    state, at, parts = StreamState(), 0, []
    for end in [*range(chunk, len(samples), chunk), len(samples)]:
        step = network.step([samples[at:end]], [state], [right], [left])[0]
        state, at = step.state, at + step.consumed
        parts.append(step.logprobs[: step.settled])
    return torch.cat([*parts, step.logprobs[step.settled :]])


def _heard(network: CtcNetwork, samples: np.ndarray, text: str) -> FullContext:
    everything = round(ALL_S * SAMPLE_RATE_HZ / network.encoder.hop_samples)
    whole = network.step([samples], [StreamState()], [everything], [everything])[0].logprobs
    return FullContext(samples, text, whole)


def _row(network: CtcNetwork, files: CtcFiles, recordings: Sequence[FullContext], left_s: float, right_s: float) -> str:
    found = [chunked(network, heard.samples, left_s, right_s) for heard in recordings]
    how = SearchOptions(files.decoding.beam or 1, (), files.decoding.settings)
    errors = total(
        count_words(heard.text, _text(lattice, files.vocabulary, how))
        for heard, lattice in zip(recordings, found, strict=True)
    )
    far = torch.cat([(lattice - heard.whole).abs() for heard, lattice in zip(recordings, found, strict=True)])
    other = torch.cat(
        [(lattice.argmax(-1) != heard.whole.argmax(-1)) for heard, lattice in zip(recordings, found, strict=True)]
    )
    return (
        f"{_span(left_s)}  {_span(right_s):>7}  {100 * (errors.rate or 0):6.2f}%   {far.mean():14.2e}  {far.max():8.2e}"
        f"   {100 * other.float().mean():7.2f} %"
    )


def _text(lattice: torch.Tensor, vocabulary: Vocabulary, how: SearchOptions) -> str:
    return "".join(word.text for word in search(lattice, vocabulary, how)).strip()


def _span(seconds: float) -> str:
    return "   all" if seconds == ALL_S else f"{seconds:6.2f}"


if __name__ == "__main__":
    main()
