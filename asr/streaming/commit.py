"""Successive hypotheses of one utterance -> committed words and a changing tail.

Local agreement (Liu et al. 2020; Macháček et al. 2023, "Turning Whisper into Real-Time Transcription System"):
a word is committed when two successive hypotheses agree on it and on all before it, and when it ends so far from the
window's end that little of what may still come could change it: farther where the model is less sure of it.
"""

from collections.abc import Sequence

from asr.models.base import Piece


def agreed(previous: Sequence[Piece], current: Sequence[Piece], untils_s: Sequence[float]) -> int:
    """How many leading words of `current` may be committed: none that ends after its own entry of `untils_s`.

    Both hypotheses follow the same prefix; times are on one clock. Case and outer punctuation may differ: they often
    change with the words that follow, and the later hypothesis is the better informed.
    """
    count = 0
    for before, now, until_s in zip(previous, current, untils_s, strict=False):
        if _bare(before.text) != _bare(now.text) or now.end_s > until_s:
            break
        count += 1
    return count


def _bare(text: str) -> str:
    return text.strip().strip(_PUNCTUATION).casefold()


_PUNCTUATION = ".,;:!?…\"'“”‘’()[]-–—¿¡。、，！？：；"
