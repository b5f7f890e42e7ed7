"""Forced alignment: when each word of a known text is said in a recording, and how well it fits there.

    alignment = align("talk.flac", "what is said in it", Engine.load("wav2vec2-digits"))

A CTC model aligns the whole recording in one pass, characters included. Whisper, the fallback, sees half a minute at
a time: its decoder is fed the text window by window, and the attention of its alignment heads gives the times.
"""

from asr.align.align import AlignedWord, Alignment, align

__all__ = ["AlignedWord", "Alignment", "align"]
