"""Text files as people's programs write them: UTF-8 with or without a byte order mark, UTF-16 and UTF-32 with one.

What is neither is not guessed: labels in Latin-1 would be scored with wrong letters. `fault` says what is wrong.
"""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_END = re.compile("\r\n|\r|\n")
_NOT_DECODED = re.compile("[\ud800-\udfff]")


def decoded(data: bytes) -> str:
    """The text of a file's bytes, without its byte order mark. Bytes that are no UTF-8 become lone surrogates."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def lines_of(data: bytes) -> list[str]:
    """The lines of a file's bytes, without line ends. Only LF, CR and CR LF end a line: a label may hold U+2028.

    A byte order mark before a later line, as joined files have it, is dropped too.
    """
    return [line.removeprefix("\ufeff") for line in _LINE_END.split(decoded(data))]


def fault(text: str) -> str:
    """What makes `text` unusable, as "found ..., wanted ..."; "" if nothing does."""
    wrong = _NOT_DECODED.search(text)
    if wrong:
        code = ord(wrong[0])
        what = (
            f"no UTF-8 (byte 0x{code - 0xDC00:02x})" if 0xDC80 <= code <= 0xDCFF else f"half a character (U+{code:04X})"
        )
    elif "\0" in text:
        what = "NUL characters"
    else:
        return ""
    return f"found {what}, wanted UTF-8, or UTF-16 with a byte order mark"
