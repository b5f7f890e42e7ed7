"""Speech recognition whose words stay.

import asr

print(asr.transcribe("talk.mp3").text)                # a recording

for segment in asr.segments("talk.mp3"):              # the same, as it is recognised
    print(f"{segment.start_s:.1f} {segment.text}")

with asr.open(sample_rate_hz=48_000) as stream:       # live: blocks of samples from anywhere
    for word in stream.words(microphone_blocks):
        print(word.text, end="", flush=True)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.api import LiveStream as LiveStream
    from asr.api import open as open
    from asr.api import segments as segments
    from asr.api import transcribe as transcribe
    from asr.engine import Engine as Engine

_HOMES = {
    "Engine": "asr.engine",
    "LiveStream": "asr.api",
    "open": "asr.api",
    "segments": "asr.api",
    "transcribe": "asr.api",
}
__all__ = ["Engine", "LiveStream", "open", "segments", "transcribe"]


def __getattr__(name: str) -> Any:
    """Imports on first use: importing torch takes seconds, and `asr --help` does not need it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
