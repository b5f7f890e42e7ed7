"""Made-up runs whose figures are known, for the tests of reports."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from eval.runs.folder import Run
from eval.runs.signature import Machine, Model, Signature
from eval.trace import Trace, write_traces
from tests.eval.fakes import final, partial, trace, word

WORDS = ("red", "green", "blue", "black", "white", "brown", "grey", "pink")


def signature(*models: str) -> Signature:
    """The signature of a run of these models."""
    named = tuple(Model(model, "0" * 64, "int8", 1) for model in models)
    return Signature({"d": "0" * 64}, "n 1", named, {"options": {}}, "abc", Machine("cpu", 2, "Linux"), {"python": "3"})


def spoken(
    model: str,
    mode: str = "replay",
    *,
    every: int = 0,
    late_s: float = 0.0,
    cost: float = 1.0,
    utterances: int = 40,
    seed: int = 1,
    speakers: int = 12,
) -> list[Trace]:
    """Utterances of eight words of 0.5 s each.

    Each speaker has neighbouring utterances. In every third utterance one word is wrong, in one of `every` one word
    more. Words are shown `late_s` late, plus a little that depends on the utterance only. CPU time is a tenth of the
    audio times `cost`.
    """
    traces = []
    for number in range(utterances):
        rng = random.Random(1000 * seed + number)
        reference = [rng.choice(WORDS) for _ in range(8)]
        recognised = list(reference)
        if number % 3 == 0:
            recognised[2] = "wrong"
        if every and number % every == 0:
            recognised[5] = "bad"
        at = [0.5 * (i + 1) for i in range(8)]
        wait = late_s + rng.uniform(0.1, 0.3)
        words = [word(text, end - 0.4, end) for text, end in zip(recognised, at, strict=True)]
        entries = [partial(end + wait, *recognised[: i + 1]) for i, end in enumerate(at)]
        entries.append(final(at[-1] + wait + 0.5, *words, ends=True))
        streamed = trace(*entries, reference=" ".join(reference), mode=mode, utterance=f"u{number}", duration_s=5.0)
        about = {
            "model": model,
            "speaker": f"s{number * speakers // utterances}",
            "cpu_s": 0.5 * cost,
            "busy_s": 0.4 * cost,
        }
        traces.append(replace(streamed, end_wall_s=5.0, peak_memory_bytes=10**8, **about))
    return traces


def run_of(name: str, traces: Sequence[Trace], **fields: object) -> Run:
    """A run of these traces."""
    models = dict.fromkeys(trace.model for trace in traces)
    first, later = [t for t in traces if not t.repeat], [t for t in traces if t.repeat]
    return Run(name, signature(*models), tuple(first), repeats=tuple(later), **fields)  # type: ignore[arg-type]


def repeated(traces: Sequence[Trace], noise: Sequence[float] = (1.0, 1.02, 0.99), began_s: float = 0.0) -> list[Trace]:
    """The traces once for each repeat, whose CPU times are multiplied by its noise.

    A repeat begins 1000 s after the one before, the first at ``began_s``.
    """
    rounds = []
    for repeat, factor in enumerate(noise):
        for each in traces:
            cpu_s = None if each.cpu_s is None else each.cpu_s * factor
            rounds.append(replace(each, cpu_s=cpu_s, repeat=repeat, began_s=1 + began_s + 1000 * repeat))
    return rounds


def write_run(folder: Path, traces: Sequence[Trace], capacity: Sequence[Trace] = ()) -> Path:
    """Writes a run's folder as `asr eval run` does."""
    folder.mkdir(parents=True)
    table = {"signature": asdict(signature(*dict.fromkeys(t.model for t in traces))), "not_taken": [], "left_out": []}
    (folder / "run.json").write_text(json.dumps(table))
    write_traces(folder / "traces.jsonl", traces)
    if capacity:
        write_traces(folder / "capacity.jsonl", capacity)
    return folder
