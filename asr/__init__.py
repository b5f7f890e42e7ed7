"""Speech recognition whose words stay.

import asr

print(asr.transcribe("talk.mp3").text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.api import transcribe as transcribe

__all__ = ["transcribe"]


def __getattr__(name: str) -> Any:
    """`transcribe` is imported when it is first asked for: torch takes seconds, and `asr --help` needs none of it."""
    if name != "transcribe":
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from asr.api import transcribe

    return transcribe
