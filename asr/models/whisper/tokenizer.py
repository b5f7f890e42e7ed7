"""Text -> tokens, tokens -> text and words, for byte-level BPE vocabularies (GPT-2's and Whisper's)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Encoding

from asr.errors import ModelError
from asr.word_boundaries import is_word_boundary

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages whose text begins without a space."""

_OPENING = frozenset("\"'“¿([{-")
_CLOSING = frozenset("\"'.。,，!！?？:：”)]}、;；…")


def _byte_of_symbol() -> dict[int, int]:
    """Printable character -> the byte that it stands for in GPT-2's vocabulary (Radford et al. 2019), for
    `str.translate`. Characters that stand for none go beyond all bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_in = {256 + offset: byte for offset, byte in enumerate(others)}
    return {**dict.fromkeys(others, 0xFFFF), **{byte: byte for byte in printable}, **stand_in}


_BYTE_OF_SYMBOL = _byte_of_symbol()


class Tokenizer:
    """The vocabulary of one model, from its `tokenizer.json`."""

    def __init__(self, path: Path) -> None:
        self._encoding = Encoding.from_file(str(path))
        self._bytes: dict[int, bytes] = dict.fromkeys(self._encoding.get_added_tokens_decoder(), b"")
        """Of the tokens that were decoded before: all 50,000 take a short recording longer than its words."""

    def special(self, text: str) -> int:
        """The id of a special token such as ``<|endoftext|>``. Raises `ModelError` if the vocabulary lacks it."""
        index = self._encoding.token_to_id(text)
        if index is None:
            raise ModelError(f"the tokenizer has no token {text}, wanted a Whisper tokenizer.json")
        return int(index)

    def encode(self, text: str) -> tuple[int, ...]:
        """Text -> tokens, without special tokens."""
        return tuple(self._encoding.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens -> text. Special tokens are left out; incomplete UTF-8 becomes U+FFFD."""
        return b"".join(map(self._bytes_of, tokens)).decode("utf-8", "replace")

    def _bytes_of(self, token: int) -> bytes:
        """A token's bytes; none for a special one, and for one that the vocabulary lacks."""
        if token not in self._bytes:
            symbol = self._encoding.id_to_token(token) or ""
            try:
                self._bytes[token] = symbol.translate(_BYTE_OF_SYMBOL).encode("latin-1")
            except UnicodeEncodeError:
                self._bytes[token] = b""
        return self._bytes[token]

    def words(self, tokens: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
        """Tokens -> written words with their tokens; joined they are the text.

        A mark that stands between two spaces belongs to the word before it, an opening one to the next.
        """
        return _merge_punctuation(list(_joined(self._units(tokens))))

    def _units(self, tokens: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The shortest runs of tokens that are complete characters, with their text."""
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            text = self.decode(pending)
            if "\ufffd" not in text:
                yield text, tuple(pending)
                pending = []
        if pending:
            yield self.decode(pending).replace("\ufffd", ""), tuple(pending)


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of the special tokens. The tasks are None and ``languages`` empty for an English-only model.

    ``previous`` begins a text from before the window. ``blank``: tokens that cannot begin a text.
    """

    start: int
    end: int
    previous: int
    transcribe: int | None
    translate: int | None
    no_timestamps: int
    blank: tuple[int, ...]
    languages: dict[str, int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, generation: Mapping[str, Any]) -> "SpecialTokens":
        """From the result of `asr.models.whisper.generation.generation_settings`. Raises `ModelError`."""
        multilingual = bool(generation.get("is_multilingual"))
        languages = {k.strip("<|>"): int(v) for k, v in generation.get("lang_to_id", {}).items()}
        return cls(
            start=tokenizer.special("<|startoftranscript|>"),
            end=tokenizer.special("<|endoftext|>"),
            previous=tokenizer.special("<|startofprev|>"),
            transcribe=tokenizer.special("<|transcribe|>") if multilingual else None,
            translate=tokenizer.special("<|translate|>") if multilingual else None,
            no_timestamps=tokenizer.special("<|notimestamps|>"),
            blank=tokenizer.encode(" "),
            languages=languages if multilingual else {},
        )


def _joined(units: Iterator[tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Characters -> words."""
    word = ""
    tokens: tuple[int, ...] = ()
    for text, ids in units:
        if word.strip() and is_word_boundary(word, text):
            yield word, tokens
            word, tokens = "", ()
        word, tokens = word + text, tokens + ids
    if tokens:
        yield word, tokens


def _merge_punctuation(words: list[tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[int, ...]]]:
    """Words without separate punctuation: opening marks join the next word, all others the previous one."""
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
