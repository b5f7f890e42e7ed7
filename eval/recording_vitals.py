"""A recording -> the vitals of its utterances, as a server's worker makes them."""

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.engine import Engine
from asr.events import Final, Measured, Word

CHUNK_S = 1.0


def recording_vitals(
    engine: Engine, samples: np.ndarray, language: str | None = None
) -> tuple[tuple[Measured, ...], tuple[Word, ...]]:
    """The numbers of each utterance, and the words, of samples ``(n,)``: mono float32 at 16 kHz."""
    session = engine.open(language=language, partials=False, vitals=True)
    events = []
    chunk = round(CHUNK_S * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), chunk):
        session.receive_audio(np.ascontiguousarray(samples[start : start + chunk], np.float32))
        while session.ready:
            engine.step([session])
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        engine.step([session])
    events += session.take_events()
    words = tuple(word for event in events if isinstance(event, Final) for word in event.words)
    return tuple(event for event in events if isinstance(event, Measured)), words
