"""Forced alignment: when each word of a known text is said in a recording, and how well it fits there.

    alignment = align("talk.flac", "what is said in it", Engine.load("wav2vec2-digits"))

A CTC model aligns the whole recording at once, characters too. Whisper, the fallback, can see half a minute: the text
is forced on its decoder in windows, and its alignment heads tell the times.
"""

from asr.align.align import AlignedWord, Alignment, align

__all__ = ["AlignedWord", "Alignment", "align"]
