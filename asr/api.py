"""`asr.transcribe`: one recording in one line, by the same code as everything else."""

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
    """The transcript of a file (its path, or open in binary), or of mono float32 samples ``(n,)`` at 16 kHz.

    `model` is a name from `asr models`, a folder, a hub id, or an engine; the last two that were named stay loaded.
    `hotwords` are names and words to expect; a `beam_size` above 1 looks at so many texts side by side.
    Raises `asr.errors.AudioError`, `ModelError`, `ConfigError`.
    """
    engine = model if isinstance(model, Engine) else _engine(model)
    settings = offline_settings(beam_size=beam_size)
    return transcribe_recording(source, engine, language=language, prompt=prompt, hotwords=hotwords, settings=settings)


@functools.lru_cache(maxsize=2)
def _engine(model: str) -> Engine:
    return Engine.load(model)
