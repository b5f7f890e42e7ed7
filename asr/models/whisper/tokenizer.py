"""Tokens to text and to words, for byte-level BPE vocabularies (GPT-2's and Whisper's)."""

import string
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer as Encoding

from asr.errors import ModelError

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Written without spaces: every character is a word of its own, as in Whisper's own splitting."""

_OPENING = frozenset("\"'“¿([{-")
_CLOSING = frozenset("\"'.。,，!！?？:：”)]}、;；…")


def _byte_of_symbol() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte, inverted (Radford et al. 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {chr(byte): byte for byte in printable}
    for offset, byte in enumerate(byte for byte in range(256) if byte not in printable):
        table[chr(256 + offset)] = byte
    return table


class Tokenizer:
    """A model's vocabulary."""

    def __init__(self, path: Path) -> None:
        self._encoding = Encoding.from_file(str(path))
        symbols = _byte_of_symbol()
        self._bytes: dict[int, bytes] = {}
        for symbol, index in self._encoding.get_vocab(with_added_tokens=False).items():
            if all(character in symbols for character in symbol):
                self._bytes[index] = bytes(symbols[character] for character in symbol)

    def special(self, text: str) -> int:
        """The id of a special token such as ``<|endoftext|>``; `ModelError` when there is none."""
        index = self._encoding.token_to_id(text)
        if index is None:
            raise ModelError(f"the tokenizer has no token {text}; a Whisper tokenizer.json is wanted")
        return int(index)

    def encode(self, text: str) -> tuple[int, ...]:
        """Text -> tokens, without special ones."""
        return tuple(self._encoding.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens -> text; special tokens are left out, broken UTF-8 becomes U+FFFD."""
        return b"".join(self._bytes.get(token, b"") for token in tokens).decode("utf-8", "replace")

    def words(self, tokens: Sequence[int], language: str) -> list[tuple[str, tuple[int, ...]]]:
        """Tokens -> words with their tokens; punctuation stays with the word it belongs to."""
        units = self._units(tokens)
        words = list(units if language in UNSPACED_LANGUAGES else _join_spaced(units))
        return _merge_punctuation(words)

    def _units(self, tokens: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The shortest runs of tokens that are whole characters."""
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            text = self.decode(pending)
            if "\ufffd" not in text:
                yield text, tuple(pending)
                pending = []
        if pending:
            yield self.decode(pending).replace("\ufffd", ""), tuple(pending)


def _join_spaced(units: Iterator[tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    word = ""
    tokens: tuple[int, ...] = ()
    for text, ids in units:
        starts = text.startswith(" ") or text.strip() in string.punctuation
        if tokens and starts:
            yield word, tokens
            word, tokens = "", ()
        word, tokens = word + text, tokens + ids
    if tokens:
        yield word, tokens


def _merge_punctuation(words: list[tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[int, ...]]]:
    merged: list[tuple[str, tuple[int, ...]]] = []
    opening: tuple[str, tuple[int, ...]] = ("", ())
    for text, ids in words:
        stripped = text.strip()
        if stripped and text.startswith(" ") and all(c in _OPENING for c in stripped):
            opening = (opening[0] + text, opening[1] + ids)
        elif merged and not opening[1] and (not stripped or all(c in _CLOSING or c == "-" for c in stripped)):
            merged[-1] = (merged[-1][0] + text, merged[-1][1] + ids)
        else:
            merged.append((opening[0] + text, opening[1] + ids))
            opening = ("", ())
    if opening[1]:
        merged.append(opening)
    return merged
