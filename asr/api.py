"""`asr.transcribe`: one recording in one line of Python, by the same code as the command line."""

import functools
from collections.abc import Sequence

from asr.config import DEFAULT_MODEL
from asr.engine import Engine
from asr.transcripts.formats import Transcript
from asr.transcripts.recording import Source, offline_settings
from asr.transcripts.recording import transcribe as transcribe_recording


def transcribe(
    source: Source,
    model: str | Engine = DEFAULT_MODEL,
    *,
    language: str | None = None,
    prompt: str = "",
    hotwords: Sequence[str] = (),
    beam_size: int = 1,
) -> Transcript:
    """The transcript of a file (a path, or a binary file object), or of mono float32 samples ``(n,)`` at 16 kHz.

    `model`: a name from `asr models`, a folder, a hub id, or an `Engine`. The two most recent models that were given by
    name stay loaded. `prompt`: text that the decoder treats as spoken before. `hotwords`: names and words to expect.
    `beam_size`: hypotheses kept in parallel; 1 is greedy search.
    Raises `asr.errors.AudioError`, `ModelError`, `ConfigError`.
    """
    engine = model if isinstance(model, Engine) else _engine(model)
    settings = offline_settings(beam_size=beam_size)
    return transcribe_recording(source, engine, language=language, prompt=prompt, hotwords=hotwords, settings=settings)


@functools.lru_cache(maxsize=2)
def _engine(model: str) -> Engine:
    return Engine.load(model)
