"""Speech recognition whose words stay.

import asr

print(asr.transcribe("talk.mp3").text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.api import transcribe as transcribe

__all__ = ["transcribe"]


def __getattr__(name: str) -> Any:
    """Import `transcribe` on first use: importing torch takes seconds, and `asr --help` does not need it."""
    if name != "transcribe":
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from asr.api import transcribe

    return transcribe
