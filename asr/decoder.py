"""Whisper's search: windows -> hypotheses with word times and confidences, greedy, batched, drafts checked at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError, ConfigError
from asr.features import FRAME_S
from asr.models.base import Hypothesis, Piece, Placed, Window
from asr.models.whisper import Batch, Memory, Whisper
from asr.timing import word_starts
from asr.tokenizer import UNSPACED_LANGUAGES, Tokenizer

UPDATE_MS = 800
"""Decoding anew costs as much for little new audio as for much, so seldom; shorter brings the words no earlier for good
(docs/LOG.md)."""


@dataclass(frozen=True, slots=True)
class Specials:
    """The special tokens of one vocabulary."""

    start: int
    end: int
    previous: int
    transcribe: int | None
    no_timestamps: int
    blank: tuple[int, ...]
    languages: dict[str, int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, generation: dict[str, Any]) -> "Specials":
        multilingual = bool(generation.get("is_multilingual"))
        languages = {k.strip("<|>"): int(v) for k, v in generation.get("lang_to_id", {}).items()}
        return cls(
            start=tokenizer.special("<|startoftranscript|>"),
            end=tokenizer.special("<|endoftext|>"),
            previous=tokenizer.special("<|startofprev|>"),
            transcribe=tokenizer.special("<|transcribe|>") if multilingual else None,
            no_timestamps=tokenizer.special("<|notimestamps|>"),
            blank=tokenizer.encode(" "),
            languages=languages if multilingual else {},
        )


@dataclass(slots=True)
class _Search:
    """One window's search: the tokens so far, and for each the attention that wrote it."""

    window: Window
    language: str
    head: list[int]
    tokens: list[int]
    budget: int
    logprobs: list[float] = field(default_factory=list)
    attention: list[torch.Tensor] = field(default_factory=list)
    done: bool = False
    looped: bool = False

    @property
    def position(self) -> int:
        """Where the next token goes."""
        return len(self.head) + len(self.tokens)


class WhisperRecogniser:
    """`asr.models.base.Recogniser` for Whisper models."""

    aligner = "alignment heads on the reference text"
    longest_placed_s = 24.0
    places_silence = False

    def __init__(
        self,
        name: str,
        weights_sha256: str,
        network: Whisper,
        tokenizer: Tokenizer,
        specials: Specials,
    ) -> None:
        self.name, self.weights_sha256, self.precision = name, weights_sha256, network.precision
        self.architecture, self.update_ms = "whisper", UPDATE_MS
        self.languages = tuple(sorted(specials.languages)) or ("en",)
        self._network, self._tokenizer, self._specials = network, tokenizer, specials
        self._language_ids = torch.tensor(list(specials.languages.values()), dtype=torch.int64)

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt, as text that came before."""
        return self._tokenizer.encode(" " + text.strip()) if text.strip() else ()

    @torch.inference_mode()
    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis a window. Raises `ConfigError` for a language that the model does not know."""
        memories = [self._encode(window) for window in windows]
        languages = self._languages(memories, windows)
        searches = [self._search(*pair) for pair in zip(windows, languages, strict=True)]
        batch = self._network.batch(memories, max(len(search.head) + search.budget for search in searches) + 1)
        self._check_drafts(batch, searches)
        self._continue(batch, searches)
        return [self._hypothesis(search, memory) for search, memory in zip(searches, memories, strict=True)]

    def _encode(self, window: Window) -> Memory:
        memory = window.memory if isinstance(window.memory, Memory) else None
        return self._network.encode(window.samples, memory, round(window.settings.settle_s / FRAME_S))

    @torch.inference_mode()
    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        """When each word of a text is said: the text is forced on the decoder, its alignment heads tell the times.

        Raises `CallerError` for a text that is too long to be said in the samples ``(n,)``, or for the decoder.
        """
        window = Window(samples, language)
        memory = self._encode(window)
        search = self._search(window, self._languages([memory], [window])[0])
        words = self._given(text, search.language)
        tokens = [token for _, ids in words for token in ids]
        self._check_length(tokens, search)
        row = torch.tensor([[*search.head, *tokens]])
        hidden, attention = self._network.decode(
            self._network.batch([memory], row.shape[1]), row, torch.arange(row.shape[1])[None]
        )
        first = len(search.head) - 1
        starts_s = word_starts(attention[0, :, first:]) * FRAME_S
        logprobs = self._logprobs(hidden[0, first:-1], torch.tensor(tokens))
        return _placed(words, np.minimum(starts_s, len(samples) / SAMPLE_RATE_HZ), logprobs)

    def _given(self, text: str, language: str) -> list[tuple[str, tuple[int, ...]]]:
        """The words of a text with their tokens."""
        if language in UNSPACED_LANGUAGES:
            return self._tokenizer.words(self._tokenizer.encode("".join(text.split())), language)
        return [(word, self._tokenizer.encode(f" {word}")) for word in text.split()]

    def _check_length(self, tokens: Sequence[int], search: _Search) -> None:
        fits = min(self._network.max_tokens - len(search.head), 10 + round(30 * len(search.window.samples) / 16_000))
        if len(tokens) > fits:
            seconds = len(search.window.samples) / SAMPLE_RATE_HZ
            raise CallerError(f"a text of {len(tokens)} tokens is not said in {seconds:.1f} s; wanted at most {fits}")

    def _logprobs(self, hidden: torch.Tensor, tokens: torch.Tensor) -> np.ndarray:
        """The logarithm of each token's probability, also of tokens that are never written: ``(n,)``."""
        own = torch.stack([self._network.scores(h, t[None])[0] for h, t in zip(hidden, tokens, strict=True)])
        logprobs: np.ndarray = (own - self._network.logits(hidden).logsumexp(-1)).clamp(max=0.0).numpy()
        return logprobs

    # -- the head of the sequence --------------------------------------------------------------------------------

    def _languages(self, memories: Sequence[Memory], windows: Sequence[Window]) -> list[str]:
        if not self._specials.languages:
            return ["en"] * len(windows)
        if all(window.language for window in windows):
            return [self._known(window.language) for window in windows]
        tokens = torch.full((len(windows), 1), self._specials.start)
        hidden, _ = self._network.decode(self._network.batch(memories, 1), tokens, torch.zeros_like(tokens))
        scores = self._network.scores(hidden[:, 0], self._language_ids)
        names = list(self._specials.languages)
        return [
            self._known(window.language) if window.language else names[int(row.argmax())]
            for window, row in zip(windows, scores, strict=True)
        ]

    def _known(self, language: str | None) -> str:
        if language not in self._specials.languages:
            raise ConfigError(f"model {self.name} does not know language {language!r}; use one of its codes, e.g. en")
        return language

    def _search(self, window: Window, language: str) -> _Search:
        s = self._specials
        longest = self._network.max_tokens // 2 - 1  # as Whisper was trained: the end of a long context
        context = [s.previous, *window.context[-longest:]] if window.context else []
        task = [s.languages[language], s.transcribe] if s.transcribe is not None else []
        head = [*context, s.start, *(t for t in task if t is not None), s.no_timestamps]
        room = self._network.max_tokens - len(head) - 1
        seconds = len(window.samples) / SAMPLE_RATE_HZ
        budget = min(room, len(window.prefix) + 10 + int(window.settings.max_tokens_per_s * seconds))
        return _Search(window, language, head, list(window.prefix), budget)

    # -- drafts: one forward pass ----------------------------------------------------------------------------------

    def _check_drafts(self, batch: Batch, searches: list[_Search]) -> None:
        """Feed head, prefix and draft of every window at once; keep of each draft what greedy search would write."""
        rows = [[*s.head, *s.window.prefix, *s.window.draft[: s.budget - len(s.window.prefix)]] for s in searches]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [self._specials.end] * (longest - len(row)) for row in rows])
        hidden, attention = self._network.decode(batch, tokens, torch.arange(longest).expand(len(rows), -1))
        firsts = [len(s.head) + len(s.window.prefix) - 1 for s in searches]
        picked = [hidden[i, first : len(row)] for i, (first, row) in enumerate(zip(firsts, rows, strict=True))]
        logits = self._network.logits(torch.cat(picked))
        for i, (search, part) in enumerate(zip(searches, logits.split([len(p) for p in picked]), strict=True)):
            search.attention.append(attention[i, :, len(search.head) - 1 : firsts[i], : batch.frames[i]])
            self._accept(search, part, attention[i, :, firsts[i] : len(rows[i]), : batch.frames[i]])

    def _accept(self, search: _Search, logits: torch.Tensor, attention: torch.Tensor) -> None:
        """Take tokens from consecutive rows of logits as long as the draft fed in is what they say."""
        fed = search.window.draft
        if len(search.tokens) == 0:
            logits[0, list(self._specials.blank)] = float("-inf")
        best = logits.argmax(-1).tolist()
        chosen = next((i for i in range(len(best) - 1) if best[i] != fed[i]), len(best) - 1) + 1
        logprobs = logits[:chosen].gather(1, torch.tensor(best[:chosen])[:, None])[:, 0] - logits[:chosen].logsumexp(-1)
        for i in range(chosen):
            search.attention.append(attention[:, i : i + 1])
            search.logprobs.append(float(logprobs[i]))
            self._append(search, best[i])
            if search.done:
                return

    def _append(self, search: _Search, token: int) -> None:
        if token == self._specials.end:
            search.done = True
            return
        search.tokens.append(token)
        loop = _loop_length(search.tokens)
        if loop:
            del search.tokens[-loop:]
            search.looped = search.done = True
        elif len(search.tokens) >= search.budget:
            search.looped = search.done = True

    # -- the rest: token by token ----------------------------------------------------------------------------------

    def _continue(self, batch: Batch, searches: list[_Search]) -> None:
        active = list(searches)
        while True:
            rows = [i for i, search in enumerate(active) if not search.done]
            if not rows:
                return
            if len(rows) < len(active):
                batch.keep(torch.tensor(rows))
                active = [active[i] for i in rows]
            tokens = torch.tensor([[search.tokens[-1]] for search in active])
            positions = torch.tensor([[search.position - 1] for search in active])
            hidden, attention = self._network.decode(batch, tokens, positions)
            logits = self._network.logits(hidden[:, 0])
            best = logits.argmax(-1)
            logprobs = (logits.gather(1, best[:, None])[:, 0] - logits.logsumexp(-1)).tolist()
            for i, search in enumerate(active):
                search.attention.append(attention[i, :, :, : batch.frames[i]])
                search.logprobs.append(logprobs[i])
                self._append(search, int(best[i]))

    # -- words -----------------------------------------------------------------------------------------------------

    def _hypothesis(self, search: _Search, memory: Memory) -> Hypothesis:
        prefix = len(search.window.prefix)
        words = self._tokenizer.words(search.tokens[prefix:], search.language)
        if words and not prefix and search.language not in UNSPACED_LANGUAGES and not words[0][0].startswith(" "):
            words[0] = (" " + words[0][0], words[0][1])
        starts_s = word_starts(torch.cat(search.attention, dim=1)[:, : len(search.tokens) + 1]) * FRAME_S
        audio_s = len(search.window.samples) / SAMPLE_RATE_HZ
        pieces, at = [], prefix
        for text, ids in words:
            end = at + len(ids)
            if starts_s[at] >= audio_s:
                break  # written about the zeros that follow the audio: repetitions, mostly
            logprob = float(np.mean(search.logprobs[at - prefix : end - prefix]))
            pieces.append(Piece(text, ids, float(starts_s[at]), float(starts_s[end]), float(np.exp(logprob))))
            at = end
        return Hypothesis(
            pieces=tuple(pieces[: _heard(pieces)]),
            language=search.language,
            looped=search.looped,
            memory=memory,
        )


def _placed(words: Sequence[tuple[str, tuple[int, ...]]], starts_s: np.ndarray, logprobs: np.ndarray) -> list[Placed]:
    """Words with the times of their tokens ``(tokens + 1,)`` and their mean probability."""
    placed, at = [], 0
    for text, ids in words:
        end = at + len(ids)
        score = float(np.exp(logprobs[at:end].mean()))
        placed.append(Placed(text.strip(), float(starts_s[at]), float(starts_s[end]), score))
        at = end
    return placed


def _heard(pieces: Sequence[Piece]) -> int:
    """How many words took time to say.

    At the end of the audio Whisper likes to say its last words again; the alignment then finds no frames for them: two
    or more words in a row without length, with at most one behind them, are such an echo.
    """
    end = len(pieces)
    first = end - 1
    while first > 0 and pieces[first - 1].end_s <= pieces[first - 1].start_s:
        first -= 1
    return first if end - 1 - first >= 2 else end


def _loop_length(tokens: Sequence[int]) -> int:
    """How many tokens at the end repeat what stood before them, when that is a loop and no language; else 0.

    A loop is a run of up to 12 tokens three times over that is at least 9 tokens long in all, or one token 6 times.
    All but one copy are counted.
    """
    for period in range(1, 13):
        copies = 6 if period == 1 else 3 if period > 2 else 5
        span = period * copies
        if len(tokens) >= span and all(tokens[-i] == tokens[-i - period] for i in range(1, span - period + 1)):
            return span - period
    return 0
