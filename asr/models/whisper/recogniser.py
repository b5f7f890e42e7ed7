"""Whisper: windows -> hypotheses with languages, word times and confidences; and words placed by their given text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError, ConfigError
from asr.models.base import Finality, Hypothesis, Piece, Placed, Window
from asr.models.whisper.features import FRAME_S
from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.network import Memory, Whisper
from asr.models.whisper.search import Search, Searcher
from asr.models.whisper.tokenizer import UNSPACED_LANGUAGES, Tokenizer
from asr.models.whisper.word_times import at_pauses, word_starts

_LEAST_TOKENS_PER_S = 1.0
"""A text of fewer tokens than this a second of speech has ended too early: Whisper sometimes stops after a sentence.
People say three to five."""
UPDATE_MS = 1300
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


class WhisperRecogniser:
    """`asr.models.base.Recogniser` for Whisper models."""

    aligner = "alignment heads on the reference text"
    longest_placed_s = 24.0
    places_silence = False
    finality = Finality.AGREEMENT

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
        self._searcher = Searcher(network, specials.end, specials.blank)
        self._known_hotwords: dict[tuple[tuple[str, ...], float], Hotwords] = {}
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
        self._write(memories, searches)
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
        hidden, queries = self._network.decode(self._network.batch([memory]), row, torch.arange(row.shape[1])[None])
        first = len(search.head) - 1
        starts_s = word_starts(self._network.attention(memory, queries[0, :, first:])) * FRAME_S
        logprobs = self._logprobs(hidden[0, first:-1], torch.tensor(tokens))
        return _placed(words, np.minimum(starts_s, len(samples) / SAMPLE_RATE_HZ), logprobs)

    def _given(self, text: str, language: str) -> list[tuple[str, tuple[int, ...]]]:
        """The words of a text with their tokens."""
        if language in UNSPACED_LANGUAGES:
            return self._tokenizer.words(self._tokenizer.encode("".join(text.split())), language)
        return [(word, self._tokenizer.encode(f" {word}")) for word in text.split()]

    def _check_length(self, tokens: Sequence[int], search: Search) -> None:
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
        hidden, _ = self._network.decode(self._network.batch(memories), tokens, torch.zeros_like(tokens))
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

    def _search(self, window: Window, language: str) -> Search:
        s = self._specials
        longest = self._network.max_tokens // 2 - 1  # as Whisper was trained: the end of a long context
        said = [*self.tokens_of(", ".join(window.hotwords)), *window.context]
        context = [s.previous, *said[-longest:]] if said else []
        task = [s.languages[language], s.transcribe] if s.transcribe is not None else []
        head = [*context, s.start, *(t for t in task if t is not None), s.no_timestamps]
        room = self._network.max_tokens - len(head) - 1
        seconds = len(window.samples) / SAMPLE_RATE_HZ
        budget = min(room, len(window.prefix) + 10 + int(window.settings.max_tokens_per_s * seconds))
        return Search(window, language, head, budget, self._hotwords(window))

    def _hotwords(self, window: Window) -> Hotwords | None:
        if not window.hotwords:
            return None
        key = (window.hotwords, window.settings.hotword_boost)
        if key not in self._known_hotwords:
            sequences = [self._tokenizer.encode(f" {word.strip()}") for word in window.hotwords if word.strip()]
            self._known_hotwords = {key: Hotwords(sequences, window.settings.hotword_boost)}
        return self._known_hotwords[key]

    # -- the search ------------------------------------------------------------------------------------------------

    def _write(self, memories: Sequence[Memory], searches: Sequence[Search]) -> None:
        """Writes each window's text as its settings ask; greedy ones all at once."""
        for size in sorted({search.window.settings.beam_size for search in searches}):
            rows = [i for i, search in enumerate(searches) if search.window.settings.beam_size == size]
            some = [memories[i] for i in rows], [searches[i] for i in rows]
            if size == 1:
                self._searcher.greedy(*some)
            else:
                self._searcher.beams(*some, size)
        for memory, search in zip(memories, searches, strict=True):
            if len(search.tokens) < _LEAST_TOKENS_PER_S * search.window.speech_s:
                self._searcher.insist(memory, search)
            self._fall_back(memory, search)

    def _fall_back(self, memory: Memory, search: Search) -> None:
        """A doubtful text is drawn again at higher temperatures (Radford et al. 2022, section 4.5) until one is not;
        the best is kept."""
        tries = [replace(search)]
        for temperature in search.window.settings.fallback_temperatures:
            if not search.doubtful:
                return
            self._searcher.sample(memory, search, temperature)
            tries.append(replace(search))
        search.take(max(tries, key=lambda one: (not one.looped, one.confidence)))

    # -- words -----------------------------------------------------------------------------------------------------

    def _hypothesis(self, search: Search, memory: Memory) -> Hypothesis:
        prefix = len(search.window.prefix)
        words = self._tokenizer.words(search.tokens[prefix:], search.language)
        if words and not prefix and search.language not in UNSPACED_LANGUAGES and not words[0][0].startswith(" "):
            words[0] = (" " + words[0][0], words[0][1])
        starts_s = self._starts_s(search, memory)
        audio_s = len(search.window.samples) / SAMPLE_RATE_HZ
        edges = np.cumsum([prefix, *(len(ids) for _, ids in words)])
        spans = at_pauses(starts_s[edges[:-1]].tolist(), starts_s[edges[1:]].tolist(), search.window.pauses)
        pieces = []
        for (text, ids), (start_s, end_s), at in zip(words, spans, edges.tolist(), strict=False):
            if starts_s[at] >= audio_s:
                break  # written about the zeros that follow the audio: repetitions, mostly
            logprob = float(np.mean(search.logprobs[at - prefix : at + len(ids) - prefix]))
            pieces.append(Piece(text, ids, start_s, end_s, float(np.exp(logprob))))
        return Hypothesis(
            pieces=tuple(pieces[: _heard(pieces)]),
            language=search.language,
            looped=search.looped,
            memory=memory,
        )

    def _starts_s(self, search: Search, memory: Memory) -> np.ndarray:
        """When each token begins, and the last one ends ``(tokens + 1,)``; those that are known are not looked for."""
        known, first_frame = search.window.known_tokens, int(search.window.known_until_s / FRAME_S)
        queries = torch.cat(search.queries, dim=1)[:, known : len(search.tokens) + 1]
        starts = word_starts(self._network.attention(memory, queries, first_frame)) + first_frame
        return np.concatenate([np.zeros(known), starts * FRAME_S])


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

    At the end of the audio Whisper likes to say its last words again, and again; the alignment then finds no frames for
    them: two or more words in a row without length, with at most one behind them, are such an echo.
    """
    end = len(pieces)
    while True:
        first = end - 1
        while first > 0 and pieces[first - 1].end_s <= pieces[first - 1].start_s:
            first -= 1
        if end - 1 - first < 2:
            return end
        end = first
