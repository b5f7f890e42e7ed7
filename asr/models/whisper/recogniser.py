"""Whisper: windows -> hypotheses with languages, word times and confidences; and the alignment of a given text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError, ConfigError
from asr.models.base import Finality, Hypothesis, Piece, Placed, Window
from asr.models.whisper.biasing import HotwordList
from asr.models.whisper.features import FRAME_S
from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.network import WhisperMemory, WhisperNetwork
from asr.models.whisper.rescoring import Rescorer
from asr.models.whisper.search import Searcher, SearchState
from asr.models.whisper.spoken_language import LanguageDetector
from asr.models.whisper.tokenizer import UNSPACED_LANGUAGES, SpecialTokens, Tokenizer
from asr.models.whisper.word_times import at_pauses, word_starts

_MAX_ALIGNED_TOKENS_PER_S = 30
"""A given text with more tokens per second cannot have been spoken."""
_SPARE_TOKENS = 10
"""Added to a window's token limits, so that they leave room in a window of a second."""
_CONTEXT_HOTWORDS = 12
"""The hotwords most like the text stand before it in a second search. With more, the list itself becomes the text more
often (docs/log/decoding.md#hotwords-are-proposed-and-judged)."""
UPDATE_MS = 1300
"""Decoding a window again costs the same for little new audio as for much. Shorter updates do not make words final
earlier (docs/log/decoding.md#update-every-1300-ms)."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A window in one language, and what the decoder sees of it. ``read_s``: see `Hypothesis.read_s`."""

    window: Window
    memory: WhisperMemory
    language: str
    read_s: float | None = None


class WhisperRecogniser:
    """`asr.models.base.Recogniser` for Whisper models.

    `encode`, `start` and `decode` are the steps of `recognise`, in this order.
    """

    aligner = "alignment heads on the reference text"
    longest_placed_s = 24.0
    places_silence = False
    finality = Finality.AGREEMENT

    def __init__(
        self,
        name: str,
        weights_sha256: str,
        network: WhisperNetwork,
        tokenizer: Tokenizer,
        special: SpecialTokens,
    ) -> None:
        self.name, self.weights_sha256, self.precision = name, weights_sha256, network.precision
        self.architecture, self.update_ms = "whisper", UPDATE_MS
        self.languages = tuple(sorted(special.languages)) or ("en",)
        self.translates = special.translate is not None
        self.network, self.searcher = network, Searcher(network, special.end, special.blank)
        self._tokenizer, self._special = tokenizer, special
        self._hotwords_cache: dict[tuple[tuple[str, ...], float, bool], HotwordList] = {}
        self._rescorer = Rescorer(self.searcher, tokenizer)
        self._detector = LanguageDetector(network, special.start, special.languages)

    def compile(self) -> None:
        """For long work: see `WhisperNetwork.compile`."""
        self.network.compile()

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt, as text that precedes the window."""
        return self._tokenizer.encode(" " + text.strip()) if text.strip() else ()

    @torch.inference_mode()
    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis for each window. Raises `ConfigError` for a language that the model does not know."""
        memories = [self.encode(window) for window in windows]
        languages = self._languages(memories, windows)
        runs = [self._first_run(*each) for each in zip(memories, windows, languages, strict=True)]
        states = [self.start(run.window, run.language) for run in runs]
        self.decode([run.memory for run in runs], states)
        return [self._hypothesis(state, run) for state, run in zip(states, runs, strict=True)]

    def encode(self, window: Window) -> WhisperMemory:
        """The encoder's part: only what the window's memory does not hold yet is computed."""
        memory = window.memory if isinstance(window.memory, WhisperMemory) else None
        return self.network.encode(window.samples, memory, round(window.settings.settle_s / FRAME_S))

    def _first_run(self, memory: WhisperMemory, window: Window, language: str) -> _Run:
        """The window up to the place where the language changes; all of it where that may not be."""
        if not window.may_change_language or not self._special.languages:
            return _Run(window, memory, language)
        run = self._detector.first_run(memory, window, language)
        if run.end_s is None:
            return _Run(window, memory, language)
        start = window.first(run.end_s)  # encoded again: states that saw the other language make the decoder repeat
        return _Run(start, self.encode(start), run.language, run.end_s)

    # -- forced alignment ----------------------------------------------------------------------------------------

    @torch.inference_mode()
    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        """When each word of a text is spoken in samples ``(n,)``.

        The decoder is fed the text, and the attention of its alignment heads gives the times. Raises `CallerError` for
        a text with too many tokens for the samples or for the decoder.
        """
        window = Window(samples, language)
        memory = self.encode(window)
        state = self.start(window, self._languages([memory], [window])[0])
        words = self._words_of_text(text, state.language)
        tokens = [token for _, ids in words for token in ids]
        self._check_length(tokens, state)
        row = torch.tensor([[*state.head, *tokens]])
        hidden, queries = self.network.decode(self.network.batch([memory]), row, torch.arange(row.shape[1])[None])
        first = len(state.head) - 1
        starts_s = word_starts(self.network.attention(memory, queries[0, :, first:])) * FRAME_S
        logprobs = self._logprobs(hidden[0, first:-1], torch.tensor(tokens))
        return _placed(words, np.minimum(starts_s, len(samples) / SAMPLE_RATE_HZ), logprobs)

    def _words_of_text(self, text: str, language: str) -> list[tuple[str, tuple[int, ...]]]:
        """The words of a given text with their tokens."""
        if language in UNSPACED_LANGUAGES:
            return self._tokenizer.words(self._tokenizer.encode("".join(text.split())))
        return [(word, self._tokenizer.encode(f" {word}")) for word in text.split()]

    def _check_length(self, tokens: Sequence[int], state: SearchState) -> None:
        seconds = len(state.window.samples) / SAMPLE_RATE_HZ
        spoken = _SPARE_TOKENS + round(_MAX_ALIGNED_TOKENS_PER_S * len(state.window.samples) / SAMPLE_RATE_HZ)
        limit = min(self.network.max_tokens - len(state.head), spoken)
        if len(tokens) > limit:
            raise CallerError(f"a text of {len(tokens)} tokens does not fit in {seconds:.1f} s; wanted at most {limit}")

    def _logprobs(self, hidden: torch.Tensor, tokens: torch.Tensor) -> np.ndarray:
        """Log-probabilities ``(n,)`` of tokens ``(n,)`` after hidden rows ``(n, width)``, suppressed ones too."""
        own = torch.stack([self.network.scores(h, t[None])[0] for h, t in zip(hidden, tokens, strict=True)])
        logprobs: np.ndarray = (own - self.network.logits(hidden).logsumexp(-1)).clamp(max=0.0).cpu().numpy()
        return logprobs

    # -- the start of a search -----------------------------------------------------------------------------------

    def _languages(self, memories: Sequence[WhisperMemory], windows: Sequence[Window]) -> list[str]:
        """The language of each window, detected where the window states none."""
        if not self._special.languages:
            return ["en"] * len(windows)
        if all(window.language for window in windows):
            return [self._checked(window.language) for window in windows]
        return [
            self._checked(window.language) if window.language else detected
            for window, detected in zip(
                windows, self._detector.languages(memories, [window.usual_language for window in windows]), strict=True
            )
        ]

    def _checked(self, language: str | None) -> str:
        if language not in self._special.languages:
            raise ConfigError(f"model {self.name} does not know language {language!r}; use one of its codes, e.g. en")
        return language

    def start(self, window: Window, language: str, hotwords: Sequence[str] = ()) -> SearchState:
        """A search of the window with nothing written yet: the tokens before its text, and its token limit.

        `hotwords` stand before the text as context, and their tokens have a bonus.
        """
        s = self._special
        longest = self.network.max_tokens // 2 - 1  # as Whisper was trained: the end of a long context
        names = self.tokens_of(", ".join(hotwords))[:longest]
        text_before = [*names, *window.context[max(0, len(window.context) + len(names) - longest) :]]
        context = [s.previous, *text_before] if text_before else []
        task = s.translate if window.settings.translate else s.transcribe
        chosen = [s.languages[language], task] if task is not None else []
        head = [*context, s.start, *chosen, s.no_timestamps]
        room = self.network.max_tokens - len(head) - 1
        seconds = len(window.samples) / SAMPLE_RATE_HZ
        spoken = len(window.prefix) + _SPARE_TOKENS + int(window.settings.max_tokens_per_s * seconds)
        bonus = Hotwords([*map(self._listed(window, language).tokens_of, hotwords)], window.settings.hotword_boost)
        return SearchState(window, language, head, min(room, spoken), bonus if hotwords else None)

    def _listed(self, window: Window, language: str) -> HotwordList:
        """The window's hotwords. Those of the last window are kept, since a thousand take a while to prepare."""
        spaced = language not in UNSPACED_LANGUAGES
        key = (window.hotwords, window.settings.hotword_boost, spaced)
        if key not in self._hotwords_cache:
            hotwords = HotwordList(key[0], self._tokenizer.encode, key[1], spaced=spaced)
            self._hotwords_cache = {key: hotwords}
        return self._hotwords_cache[key]

    # -- the search ------------------------------------------------------------------------------------------------

    def decode(self, memories: Sequence[WhisperMemory], states: Sequence[SearchState]) -> None:
        """Write the text of each window into its state, by the search that its settings ask for.

        Windows with the same beam size are searched together.
        """
        for size in sorted({state.window.settings.beam_size for state in states}):
            rows = [i for i, state in enumerate(states) if state.window.settings.beam_size == size]
            some = [memories[i] for i in rows], [states[i] for i in rows]
            if size == 1:
                self.searcher.greedy(*some)
            else:
                self.searcher.beams(*some, size)
        for memory, state in zip(memories, states, strict=True):
            if state.sparse:
                self.searcher.extend(memory, state)
            self._fall_back(memory, state)
            if state.window.hotwords:
                self._prefer_hotwords(memory, state)

    def _fall_back(self, memory: WhisperMemory, state: SearchState) -> None:
        """Sample a doubtful text again at higher temperatures until one is not doubtful; keep the best.

        Radford et al. 2022, section 4.5.
        """
        attempts = [replace(state)]
        for temperature in state.window.settings.fallback_temperatures:
            if not state.doubtful:
                return
            self.searcher.sample(memory, state, temperature)
            attempts.append(replace(state))
        state.take(max(attempts, key=lambda attempt: (not attempt.looped, attempt.confidence)))

    def _prefer_hotwords(self, memory: WhisperMemory, state: SearchState) -> None:
        """Put hotwords into a text that was found without them, where the model says that they may stand there."""
        prefix, hotwords = len(state.window.prefix), self._listed(state.window, state.language)
        words = self._tokenizer.words(state.tokens[prefix:])
        matches = hotwords.matches(words)
        if not matches or state.looped or state.invented:
            return
        likely = [match.hotword for match in matches[:_CONTEXT_HOTWORDS]]
        proposal = self.start(replace(state.window, draft=_proposal_draft(state.window)), state.language, likely)
        self.searcher.greedy([memory], [proposal])
        state.proposal = tuple(proposal.tokens)
        proposed = self._tokenizer.words(proposal.tokens[prefix:])
        edits = [*hotwords.similar_edits(words, matches), *hotwords.borrowed_edits(words, proposed)]
        self._rescorer.apply(memory, state, edits, hotwords, proposal.head)

    # -- words -----------------------------------------------------------------------------------------------------

    def _hypothesis(self, state: SearchState, run: _Run) -> Hypothesis:
        pieces = [] if state.invented else self._pieces(state, run.memory)
        accent = self.network.accent if run.window.wants_accent else None
        return Hypothesis(
            pieces=tuple(pieces if run.window.settings.translate else pieces[: echo_start(pieces)]),
            language=state.language,
            looped=state.looped,
            memory=replace(run.memory, proposal=state.proposal) if run.read_s is None else None,
            read_s=run.read_s,
            accent=accent.log_odds(run.window.samples, run.memory.encoder) if accent else None,
        )

    def _pieces(self, state: SearchState, memory: WhisperMemory) -> list[Piece]:
        """The words of a text after its prefix, up to the first that begins behind the audio.

        A translation is not cut: the attention follows the meaning, which changes places, so its times are only rough.
        """
        prefix = len(state.window.prefix)
        words = self._tokenizer.words(state.tokens[prefix:])
        is_translation = state.window.settings.translate
        written = "en" if is_translation else state.language
        if words and not prefix and written not in UNSPACED_LANGUAGES and not words[0][0].startswith(" "):
            words[0] = (" " + words[0][0], words[0][1])
        starts_s = self._starts_s(state, memory)
        audio_s = len(state.window.samples) / SAMPLE_RATE_HZ
        if is_translation:
            starts_s = np.minimum(starts_s, audio_s)
        edges = np.cumsum([prefix, *(len(ids) for _, ids in words)])
        spans = at_pauses(starts_s[edges[:-1]].tolist(), starts_s[edges[1:]].tolist(), state.window.pauses)
        pieces = []
        for (text, ids), (start_s, end_s), at in zip(words, spans, edges.tolist(), strict=False):
            if starts_s[at] >= audio_s and not is_translation:
                break  # aligned with the zeros after the audio: mostly a repetition
            logprob = float(np.mean(state.logprobs[at - prefix : at + len(ids) - prefix]))
            pieces.append(Piece(text, ids, start_s, end_s, float(np.exp(logprob))))
        return pieces

    def _starts_s(self, state: SearchState, memory: WhisperMemory) -> np.ndarray:
        """When each token begins, then when the last one ends ``(tokens + 1,)``.

        The first `Window.known_tokens` are not computed: their entries are 0.
        """
        skipped, first_frame = state.window.known_tokens, int(state.window.known_until_s / FRAME_S)
        queries = torch.cat(state.queries, dim=1)[:, skipped : len(state.tokens) + 1]
        starts = word_starts(self.network.attention(memory, queries, first_frame)) + first_frame
        return np.concatenate([np.zeros(skipped), starts * FRAME_S])


def _proposal_draft(window: Window) -> tuple[int, ...]:
    """The draft of the search with hotwords: what it wrote last time, if that begins with the window's prefix."""
    earlier = window.memory.proposal if isinstance(window.memory, WhisperMemory) else ()
    prefix = len(window.prefix)
    return earlier[prefix:] if earlier[:prefix] == window.prefix else window.draft


def _placed(words: Sequence[tuple[str, tuple[int, ...]]], starts_s: np.ndarray, logprobs: np.ndarray) -> list[Placed]:
    """Words with the times of their tokens ``(tokens + 1,)`` and their mean probability ``(tokens,)``."""
    placed, at = [], 0
    for text, ids in words:
        end = at + len(ids)
        score = float(np.exp(logprobs[at:end].mean()))
        placed.append(Placed(text.strip(), float(starts_s[at]), float(starts_s[end]), score))
        at = end
    return placed


def echo_start(pieces: Sequence[Piece]) -> int:
    """Where the repetition of the last words begins; ``len(pieces)`` if there is none.

    At the end of the audio Whisper sometimes writes its last words again. No frames are left for them, so the alignment
    gives them no length: two or more successive words without length, followed by at most one other word, are an echo.
    """
    end = len(pieces)
    while True:
        first = end - 1
        while first > 0 and pieces[first - 1].end_s <= pieces[first - 1].start_s:
            first -= 1
        if end - 1 - first < 2:
            return end
        end = first
