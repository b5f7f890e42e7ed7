"""Is a device right, and how many streams does it bear? For a machine with a new GPU: ten minutes.

    .venv/bin/python -m scripts.device_check --device cuda --data ../shared/speech/en-read

Prints a line of JSON for each of three parts. Properties: texts of windows in a batch and alone, and with a draft and
without. Words: error rates of recordings on this device and on the CPU. Load: simulated streams that all speak without
a pause, in real time; the clock is moved on by the time that each step took, so nobody waits for the audio.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.engine import Engine
from asr.models.base import Window
from asr.normalisation.normalise import normalise
from asr.self_test import SAMPLE
from asr.streaming.session import Session
from asr.transcripts.recording import transcribe
from eval.data.dataset import load_dataset, read
from eval.metrics.word_errors import count_words, total

WINDOWS = 16
IDLE_S = 0.02
"""How far the clock moves when no stream has enough new audio."""


def main() -> None:
    """Prints the three parts, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--data", type=Path, help="labelled recordings; without them the built-in sample is used")
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 64, 256, 512, 1024])
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech in each stream")
    parser.add_argument("--batch", type=int, default=128, help="streams in one step")
    options = parser.parse_args()
    engine = Engine.load(options.model, device=options.device, precision=options.precision)
    audio, texts = recordings(options.data, options.recordings)
    show("properties", device=options.device, precision=engine.precision, **properties(engine, audio))
    if texts:
        cpu = Engine.load(options.model)
        here, there = (word_errors(each, audio, texts) for each in (cpu, engine))
        show("words", recordings=len(texts), wer_percent=there, on_cpu=here, cpu_precision=cpu.precision)
    speech = np.concatenate(audio)
    for count in options.streams:
        show("load", streams=count, **load(engine, speech, count, options.seconds, options.batch))


def show(part: str, **figures: Any) -> None:
    print(json.dumps({"part": part, **figures}), flush=True)


def recordings(data: Path | None, count: int) -> tuple[list[np.ndarray], list[str]]:
    """Samples ``(n,)`` and texts of the first recordings; without data the sample, and no text."""
    if data is None:
        return [np.concatenate(list(read_blocks(SAMPLE)))], []
    utterances = load_dataset(data).utterances[:count]
    return [read(utterance).samples for utterance in utterances], [utterance.text for utterance in utterances]


def properties(engine: Engine, audio: Sequence[np.ndarray]) -> dict[str, Any]:
    """How many windows have the same text in a batch as alone, and with their own text as a draft as without.

    On a CPU all have. A GPU adds in another order for another batch, so a text at the edge of two may differ.
    """
    sound = np.concatenate(audio)
    length = min(len(sound) // 2, 8 * SAMPLE_RATE_HZ)
    starts = np.linspace(0, len(sound) - length, WINDOWS).astype(int)
    windows = [Window(sound[start : start + length - 800 * i]) for i, start in enumerate(starts.tolist())]
    alone = [engine.recogniser.recognise([window])[0] for window in windows]
    together = engine.recogniser.recognise(windows)
    drafted = [
        replace(window, draft=tuple(token for piece in each.pieces for token in piece.tokens))
        for window, each in zip(windows, alone, strict=True)
    ]
    with_draft = engine.recogniser.recognise(drafted)
    texts = [["".join(piece.text for piece in each.pieces) for each in some] for some in (alone, together, with_draft)]
    pairs = [
        (p.confidence, q.confidence)
        for a, b in zip(alone, together, strict=True)
        for p, q in zip(a.pieces, b.pieces, strict=False)
    ]
    return {
        "windows": len(windows),
        "batched_as_alone": sum(a == b for a, b in zip(texts[0], texts[1], strict=True)),
        "drafted_as_greedy": sum(a == b for a, b in zip(texts[0], texts[2], strict=True)),
        "largest_difference_of_a_confidence": round(max((abs(a - b) for a, b in pairs), default=0.0), 4),
    }


def word_errors(engine: Engine, audio: Sequence[np.ndarray], texts: Sequence[str]) -> float | None:
    """Word error rate in percent, one-shot."""
    counts = [
        count_words(normalise(text, "en"), normalise(transcribe(samples, engine, language="en").text, "en"))
        for samples, text in zip(audio, texts, strict=True)
    ]
    rate = total(counts).rate
    return None if rate is None else round(100 * rate, 2)


def load(engine: Engine, speech: np.ndarray, count: int, seconds: float, batch: int) -> dict[str, Any]:
    """`count` streams of `seconds`, each from another place of the speech. Times in seconds.

    ``behind_p95_s``: how much of its audio a stream has not seen recognised, at the end; an idle machine is an update
    interval behind.
    """
    wanted = round(seconds * SAMPLE_RATE_HZ)
    speech = np.tile(speech, -(-2 * wanted // len(speech)))
    begins = np.random.default_rng(1).integers(0, len(speech) - wanted, count)
    sessions, sent, took_s, sizes, clock_s = [engine.open() for _ in range(count)], 0, [], [], 0.0
    while clock_s < seconds:
        until = min(wanted, round(clock_s * SAMPLE_RATE_HZ))
        for session, begin in zip(sessions, begins.tolist(), strict=True):
            if until > sent:
                session.receive_audio(speech[begin + sent : begin + until])
        sent = until
        ready = most_behind(sessions, batch)
        if not ready:
            clock_s += IDLE_S
            continue
        before_s = time.perf_counter()
        engine.step(ready)
        took_s.append(time.perf_counter() - before_s)
        sizes.append(len(ready))
        clock_s += took_s[-1]
    behind = [session.received_s - session.decoded_s for session in sessions]
    return {
        "steps": len(took_s),
        "streams_a_step": round(float(np.mean(sizes)), 1) if sizes else 0,
        "step_p50_s": round(float(np.percentile(took_s, 50)), 4) if took_s else None,
        "step_p95_s": round(float(np.percentile(took_s, 95)), 4) if took_s else None,
        "busy": round(sum(took_s) / clock_s, 3),
        "behind_p50_s": round(float(np.percentile(behind, 50)), 2),
        "behind_p95_s": round(float(np.percentile(behind, 95)), 2),
    }


def most_behind(sessions: Sequence[Session], batch: int) -> list[Session]:
    """Those that can be stepped, the latest first."""
    ready = [session for session in sessions if session.ready]
    return sorted(ready, key=lambda session: session.decoded_s - session.received_s)[:batch]


if __name__ == "__main__":
    main()
