"""Vitals: about forty numbers of one utterance, never a word.

names      what the numbers are, in their order
    sound      frames of samples -> the acoustic numbers
    recorder   gathers all of them in a session
"""

from asr.vitals.names import GROUPS, INDEX, NAMES, VERSION

__all__ = ["GROUPS", "INDEX", "NAMES", "VERSION"]
