"""Names and phrases from clients: which texts are one, on all wires."""

import unicodedata

MAX_NAME_CHARACTERS = 100
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's control characters, halves of surrogate pairs, ends of lines and paragraphs."""


def is_name(text: str) -> bool:
    """Whether it has at most `MAX_NAME_CHARACTERS` and none that controls.

    Joiners and spaces other than the ASCII one are part of words: Persian and Hindi are written with U+200C and U+200D,
    Japanese with U+3000. So `str.isprintable`, which is false for them, is not what is asked.
    """
    return len(text) <= MAX_NAME_CHARACTERS and not any(
        unicodedata.category(character) in _CONTROL for character in text
    )
