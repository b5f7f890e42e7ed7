"""Where written text may be divided between two words, in any script.

Text is divided at white space. Scripts that write no spaces are divided between any two characters that do not belong
together (a simplification of Unicode's UAX #14 and of JIS X 4051), also where such a script meets another one:
``iPhone13|を|買|う``. So ``285,950``, ``low-fat`` and ``e.g.`` are one word each.
"""

import re
import unicodedata

UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\ua9e0-\ua9fe\uaa60-\uaa7f"
    "\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe30-\ufe4f"
    "\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\U00020000-\U0003ffff]"
)
"""Characters of scripts that write no spaces between words: Chinese, Japanese, Thai, Lao, Tibetan, Burmese, Khmer.
Full-width letters and digits are not among them: they make words and numbers as the narrow ones do."""
_NEVER_FIRST = frozenset(
    ",.:;?!)]}»’”…‥%、。，．・：；？！％」』】）〕］｝〉》〟ー々〻ヽヾゝゞぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
    "ะาำๅๆฯະາຳໆຯ་།၊။។៕៖ៗ"
)
"""Closing marks, and letters that continue the syllable before them."""
_NEVER_LAST = frozenset("「『【（〔［｛〈《〝‘“([{«￥＄เแโใไເແໂໃໄ")
"""Opening marks, and vowels that are written before their consonant."""
_JOINER = "\u200d"


def is_word_boundary(before: str, after: str) -> bool:
    """Whether a new word begins between two adjacent texts. True where one of them is empty."""
    if not before or not after:
        return True
    last, first = before[-1], after[0]
    if last.isspace() or first.isspace():
        return True
    if first in _NEVER_FIRST or last in _NEVER_LAST or belongs_to_left(last, first) or _in_number(before, first):
        return False
    return bool(UNSPACED.match(last) or UNSPACED.match(first))


def belongs_to_left(last: str, first: str) -> bool:
    """Whether two characters are parts of one: a combining mark and its letter, or both sides of a joiner."""
    return unicodedata.category(first)[0] == "M" or _JOINER in (last, first)


def _in_number(before: str, first: str) -> bool:
    """Whether a full-width mark stands between two digits: ``２８５，９５０``."""
    return first.isdigit() and before[-1] in "，．：" and before[-2:-1].isdigit()
