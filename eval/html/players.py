"""Recordings inside a page: the worst ones as MP3, as many as fit; the others as links to their files."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr.errors import AudioError
from eval.metrics.scored_trace import Judged

SAMPLE_RATE_HZ = 16_000


def embedded(judged: Sequence[Judged], budget_bytes: int) -> dict[tuple[str, str], str]:
    """Data URIs by utterance, in the order of `judged` until the budget is spent; what cannot be read has none."""
    found: dict[tuple[str, str], str] = {}
    left = budget_bytes
    for each in judged:
        uri = _uri(each.trace.audio) if each.trace.audio and each.key not in found else None
        if uri is None or len(uri) > left:
            continue
        found[each.key] = uri
        left -= len(uri)
    return found


def _uri(file: str) -> str | None:
    """MP3 of every browser, at about 3 kB a second."""
    import soundfile

    from asr.audio.files import read_blocks

    if not Path(file).is_file():
        return None
    written = io.BytesIO()
    try:
        samples = np.concatenate(list(read_blocks(Path(file))))
        soundfile.write(written, samples, SAMPLE_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.9)
    except (AudioError, ValueError, RuntimeError):  # no sound, or a library without MP3: the page links the file
        return None
    return "data:audio/mpeg;base64," + base64.b64encode(written.getvalue()).decode()
