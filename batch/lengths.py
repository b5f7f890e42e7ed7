"""Seconds of audio in recordings that are not read yet."""

from collections.abc import Sequence

from asr.audio.files import duration_s
from asr.errors import AudioError
from batch.inputs import Recording, size_bytes


def lengths_s(recordings: Sequence[Recording]) -> dict[str, float]:
    """Path -> seconds, from the headers: half a millisecond a file. Recordings whose headers give no length count by
    their size, at the rate of the others; all have 0 if none has one."""
    sizes = {str(recording.path): size_bytes(recording) for recording in recordings}
    measured = {str(recording.path): _duration_s(recording) for recording in recordings}
    known_bytes = sum(sizes[path] for path, length_s in measured.items() if length_s is not None)
    s_per_byte = sum(length_s or 0.0 for length_s in measured.values()) / max(1, known_bytes)
    return {path: sizes[path] * s_per_byte if length_s is None else length_s for path, length_s in measured.items()}


def _duration_s(recording: Recording) -> float | None:
    try:
        return duration_s(recording.path)
    except AudioError:
        return None
