"""The search for a window's text: greedy, sampled or beam search, batched over windows.

Greedy search first checks the window's draft in one forward pass and keeps what it would have written itself, so the
text does not depend on the draft. The held part of a draft is the exception: an old word does not change for a
difference in probability that is noise. No text depends on the other windows of the batch. Each search writes its
result into a `SearchState`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from asr.models.base import Window
from asr.models.whisper.decoder import DecoderBatch
from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.network import WhisperMemory, WhisperNetwork

UNLIKELY = -1.0
"""A text with a mean log-probability below this is doubtful: the threshold that OpenAI published with the models."""
UNLIKELY_START, UNLIKELY_START_SHORT = -2.5, -2.75
"""A text whose first token has a lower log-probability began with a guess. The second holds for less than a second of
speech: a word spoken alone, cut close, is hard for the model too (docs/log/decoding.md#words-in-noise)."""
_SHORT_S = 1.0
UNLIKELY_LONE, SURE_END = -1.85, -0.3
"""A text of one token with a lower log-probability, and an end with a higher one: what Whisper writes for a click."""
_OPENING_TOKENS = 6
"""A guessed text is improbable in these first tokens. Later ones may repeat them, and a repetition is probable."""
_MIN_TOKENS_PER_S = 1.0
"""A text with fewer tokens per second of speech ended too early: Whisper sometimes stops after a sentence. People speak
three to five tokens a second."""
_SAMPLING_SEED = 0
"""Fixed, so that sampled text is the same in each run."""


@dataclass(slots=True)
class SearchState:
    """The text of one window as far as it is written.

    ``head``: tokens before the text (context, language, task). ``tokens``: the text, beginning with the window's
    prefix. ``budget``: the most tokens the text may have. ``logprobs``: of the tokens after the prefix, and of the end.
    ``queries``: of the alignment heads, from which word times are computed, each ``(h, n, D)``; together one for each
    token and one for the end if it was written. ``looped``: the text was cut because it repeated itself.
    ``proposal``: as `WhisperMemory.proposal`. ``edited``: hotwords were put into a text that was not `invented`.
    """

    window: Window
    language: str
    head: list[int]
    budget: int
    hotwords: Hotwords | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    queries: list[torch.Tensor] = field(default_factory=list)
    done: bool = False
    looped: bool = False
    proposal: tuple[int, ...] = ()
    edited: bool = False

    @property
    def confidence(self) -> float:
        """The mean log-probability of the written tokens, the end included; 0 if there are none."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0

    @property
    def doubtful(self) -> bool:
        """Whether the text loops or is improbable."""
        return self.looped or self.confidence < UNLIKELY

    @property
    def sparse(self) -> bool:
        """Whether the text is too short for the speech in its window."""
        return len(self.tokens) < _MIN_TOKENS_PER_S * self.window.speech_s

    @property
    def invented(self) -> bool:
        """Whether the audio does not hold this text.

        In noise Whisper begins as most texts begin ("I", "you", "the"), with the probability that these words have
        without any audio: 3 %. What follows is improbable too, or too short for the sound; or the text ends there,
        for sure. After committed words a text does not begin, so it is never invented. A name that begins a text may be
        improbable; the text that it was put into was not. A translation begins less surely than a transcript, so its
        beginning says nothing.
        """
        opening = self.logprobs[:_OPENING_TOKENS]
        if not opening or self.window.prefix or self.edited or self.window.settings.translate:
            return False
        improbable = sum(opening) < UNLIKELY * len(opening)
        limit = UNLIKELY_START if self.window.speech_s >= _SHORT_S else UNLIKELY_START_SHORT
        if (improbable and self.sparse) or (opening[0] < limit and (improbable or self.sparse)):
            return True
        return len(self.tokens) == 1 and opening[0] < UNLIKELY_LONE and opening[-1] > SURE_END

    def take(self, other: "SearchState") -> None:
        """Copy the text of another search of the same window."""
        self.tokens, self.logprobs, self.queries = other.tokens, other.logprobs, other.queries
        self.done, self.looped = other.done, other.looped

    def restart(self) -> None:
        """Drop everything after the prefix."""
        self.tokens, self.logprobs, self.queries = list(self.window.prefix), [], []
        self.done = self.looped = False


Choice = Callable[[torch.Tensor], torch.Tensor]
"""How the next token is chosen: scores ``(n, V)`` -> tokens ``(n,)``."""


class Searcher:
    """The searches in one network. `end`: the token that ends a text. `blank`: tokens that cannot begin one."""

    def __init__(self, network: WhisperNetwork, end: int, blank: Sequence[int]) -> None:
        self._network, self._end, self._blank = network, end, list(blank)

    def greedy(self, memories: Sequence[WhisperMemory], states: Sequence[SearchState]) -> None:
        """Greedy search: always the most probable token."""
        batch = self._begin(memories, states)
        self._check_drafts(batch, states, _likeliest)
        self._continue(batch, states, _likeliest)

    def sample(self, memory: WhisperMemory, state: SearchState, temperature: float) -> None:
        """Sampling: tokens are drawn by their probability at a temperature; 0 is greedy."""
        choose = _drawn(temperature) if temperature else _likeliest
        batch = self._begin([memory], [state])
        self._check_drafts(batch, [state], choose, drafts=[()])
        self._continue(batch, [state], choose)

    def beams(self, memories: Sequence[WhisperMemory], states: Sequence[SearchState], size: int) -> None:
        """Beam search: the text with the highest mean log-probability that `size` beams reach."""
        self.write(memories, states, [self._best_of_beams(*pair, size) for pair in zip(memories, states, strict=True)])

    def write(
        self, memories: Sequence[WhisperMemory], states: Sequence[SearchState], texts: Sequence[Sequence[int]]
    ) -> None:
        """Write given tokens after the prefix, with their log-probabilities and that of the end."""
        self._force(self._begin(memories, states), states, texts)

    def extend(self, memory: WhisperMemory, state: SearchState) -> None:
        """Continue a text that ended too early. A continuation that is improbable or loops is dropped."""
        before, text = replace(state), state.tokens[len(state.window.prefix) :]
        batch = self._begin([memory], [state])
        [(scores, queries)] = self._feed(batch, [state], [text])
        scores[-1, self._end] = float("-inf")
        tokens = [*text, int(scores[-1].argmax())]
        for i, (token, logprob) in enumerate(zip(tokens, _logprobs(scores, tokens), strict=True)):
            self._append(state, token, logprob, queries[:, i : i + 1])
        self._continue(batch, [state], _likeliest)
        added = state.logprobs[len(text) :]
        if state.looped or sum(added) < UNLIKELY * len(added):
            state.take(before)

    def _begin(self, memories: Sequence[WhisperMemory], states: Sequence[SearchState]) -> DecoderBatch:
        for state in states:
            state.restart()
        return self._network.batch(memories)

    # -- many tokens in one forward pass ---------------------------------------------------------------------------

    def _feed(
        self, batch: DecoderBatch, states: Sequence[SearchState], drafts: Sequence[Sequence[int]]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Feed head, prefix and draft of every window.

        Returns for each window scores ``(n, V)`` and queries ``(h, n, D)`` after the last token of the prefix and after
        each token of the draft.
        """
        rows = [[*s.head, *s.window.prefix, *draft] for s, draft in zip(states, drafts, strict=True)]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [self._end] * (longest - len(row)) for row in rows])
        hidden, queries = self._network.decode(batch, tokens, torch.arange(longest).expand(len(rows), -1))
        firsts = [len(s.head) + len(s.window.prefix) - 1 for s in states]
        spans = [slice(first, len(row)) for first, row in zip(firsts, rows, strict=True)]
        scores = self._network.logits(torch.cat([hidden[i, span] for i, span in enumerate(spans)]))
        parts = scores.split([span.stop - span.start for span in spans])
        for i, state in enumerate(states):
            state.queries.append(queries[i, :, len(state.head) - 1 : firsts[i]])
        return [
            (self._allowed(part, state, draft), queries[i, :, span])
            for i, (part, state, draft, span) in enumerate(zip(parts, states, drafts, spans, strict=True))
        ]

    def _allowed(self, scores: torch.Tensor, state: SearchState, draft: Sequence[int] = ()) -> torch.Tensor:
        """The scores ``(n, V)`` of `_feed`, changed in place: no text begins with a blank; hotwords get their bonus."""
        if not state.tokens:
            scores[0, self._blank] = float("-inf")
        for i, row in enumerate(scores) if state.hotwords else ():
            _prefer(row, state.hotwords, [*state.tokens, *draft[:i]])
        return scores

    def _check_drafts(
        self,
        batch: DecoderBatch,
        states: Sequence[SearchState],
        choose: Choice,
        drafts: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Keep the tokens of each draft that the search would write itself, and add the token after them."""
        drafts = drafts or [s.window.draft[: s.budget - len(s.window.prefix)] for s in states]
        for state, draft, (scores, queries) in zip(states, drafts, self._feed(batch, states, drafts), strict=True):
            chosen = _held(scores, choose(scores).tolist(), draft[: state.window.held], state.window.settings.hold_nats)
            correct = next((i for i, token in enumerate(draft) if token != chosen[i]), len(draft)) + 1
            logprobs = _logprobs(scores[:correct], chosen[:correct])
            for i in range(correct):
                self._append(state, chosen[i], logprobs[i], queries[:, i : i + 1])
                if state.done:
                    break

    def _force(self, batch: DecoderBatch, states: Sequence[SearchState], texts: Sequence[Sequence[int]]) -> None:
        """Write given texts, with the queries and log-probabilities of their tokens."""
        for state, text, (scores, queries) in zip(states, texts, self._feed(batch, states, texts), strict=True):
            state.logprobs = _logprobs(scores, [*text, self._end])
            state.tokens += text
            state.queries.append(queries)
            state.done = True

    def _append(self, state: SearchState, token: int, logprob: float, query: torch.Tensor) -> None:
        state.queries.append(query)
        state.logprobs.append(logprob)
        if token == self._end:
            state.done = True
            return
        state.tokens.append(token)
        loop = loop_length(state.tokens)
        if loop:
            del state.tokens[-loop:]
        if loop or len(state.tokens) >= state.budget:
            state.looped = state.done = True

    # -- token by token --------------------------------------------------------------------------------------------

    def _continue(self, batch: DecoderBatch, states: Sequence[SearchState], choose: Choice) -> None:
        active = list(states)
        while True:
            rows = [i for i, state in enumerate(active) if not state.done]
            if not rows:
                return
            if len(rows) < len(active):
                batch.keep(rows)
                active = [active[i] for i in rows]
            scores, queries = self._next(batch, active, [state.tokens for state in active])
            chosen = choose(scores).tolist()
            logprobs = _logprobs(scores, chosen)
            for i, state in enumerate(active):
                self._append(state, chosen[i], logprobs[i], queries[i])

    def _next(
        self, batch: DecoderBatch, states: Sequence[SearchState], texts: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Feed the last token of each text. Returns scores ``(n, V)`` of the next one and queries ``(n, h, 1, D)``."""
        tokens = torch.tensor([[text[-1]] for text in texts])
        positions = torch.tensor([[len(s.head) + len(t) - 1] for s, t in zip(states, texts, strict=True)])
        hidden, queries = self._network.decode(batch, tokens, positions)
        scores = self._network.logits(hidden[:, 0])
        for row, state, text in zip(scores, states, texts, strict=True):
            _prefer(row, state.hotwords, text)
        return scores, queries

    def _best_of_beams(self, memory: WhisperMemory, state: SearchState, size: int) -> list[int]:
        """The tokens after the prefix of the best text. A text's score is its mean log-probability."""
        batch = self._begin([memory], [state])
        [(scores, _)] = self._feed(batch, [state], [()])
        batch.keep([0] * size)
        live, ended = [_Beam((), 0.0)], list[_Beam]()
        prefix, room = list(state.window.prefix), state.budget - len(state.window.prefix)
        while True:
            live, sources, done = _grown(live, scores.log_softmax(-1), size, self._end)
            ended += done
            if not live or len(ended) >= size or len(live[0].tokens) >= room:
                break
            rows = sources + [sources[0]] * (size - len(sources))
            batch.keep(rows)
            texts = [[*prefix, *beam.tokens] for beam in live]
            texts += [texts[0]] * (size - len(texts))
            scores, _ = self._next(batch, [state] * size, texts)
        return list(max(ended or live, key=lambda beam: beam.score).tokens)


@dataclass(frozen=True, slots=True)
class _Beam:
    """One hypothesis of beam search, and its log-probability; that of the end is included if it has ended."""

    tokens: tuple[int, ...]
    logprob: float

    @property
    def score(self) -> float:
        """The mean log-probability of the tokens and the end."""
        return self.logprob / (len(self.tokens) + 1)


def _grown(
    live: Sequence[_Beam], logprobs: torch.Tensor, size: int, end: int
) -> tuple[list[_Beam], list[int], list[_Beam]]:
    """The best beams one token longer, the rows they come from, and the beams among the best that ended.

    `logprobs`: of the next token, ``(rows, V)``.
    """
    top = logprobs[: len(live)].topk(size + 1)
    grown = [
        (beam.logprob + logprob, row, token)
        for row, beam in enumerate(live)
        for logprob, token in zip(top.values[row].tolist(), top.indices[row].tolist(), strict=True)
    ]
    beams: list[_Beam] = []
    sources: list[int] = []
    ended: list[_Beam] = []
    for logprob, row, token in sorted(grown, key=lambda entry: -entry[0]):
        if len(beams) == size:
            break
        tokens = live[row].tokens
        if token == end:
            ended.append(_Beam(tokens, logprob))
        elif not loop_length([*tokens, token]):
            beams.append(_Beam((*tokens, token), logprob))
            sources.append(row)
    return beams, sources, ended


def _prefer(scores: torch.Tensor, hotwords: Hotwords | None, text: Sequence[int]) -> None:
    """Add the hotwords' bonus to the scores ``(V,)`` of the token after a text, in place."""
    for token, bonus in hotwords.bonus(text).items() if hotwords else ():
        scores[token] += bonus


def _held(scores: torch.Tensor, chosen: list[int], draft: Sequence[int], nats: float) -> list[int]:
    """The chosen tokens, or the draft's own where they score at most `nats` less: scores ``(n, V)``.

    Ends at the first that score less: what the draft says behind it was written after another text.
    """
    for i, token in enumerate(draft):
        if scores[i, token] < scores[i, chosen[i]] - nats:
            break
        chosen[i] = token
    return chosen


def _likeliest(scores: torch.Tensor) -> torch.Tensor:
    if scores.is_cpu:
        return torch.from_numpy(scores.numpy().argmax(-1))  # 20 times as fast as torch's
    return scores.argmax(-1)


def _drawn(temperature: float) -> Choice:
    generator = torch.Generator().manual_seed(_SAMPLING_SEED)

    def choose(scores: torch.Tensor) -> torch.Tensor:
        return torch.multinomial((scores.cpu() / temperature).softmax(-1), 1, generator=generator)[:, 0]

    return choose


def _logprobs(scores: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """The log-probability of one token in each row of scores ``(n, V)``.

    On a CPU row by row, because one row stays in its cache: a quarter faster than all at once.
    """
    if not scores.is_cpu:
        chosen = torch.tensor(list(tokens), device=scores.device)[:, None]
        return scores.log_softmax(-1).gather(1, chosen)[:, 0].tolist()  # type: ignore[no-any-return]
    values = []
    for row, token in zip(scores, tokens, strict=True):
        largest = row.amax()
        values.append(row[token] - largest - (row - largest).exp_().sum().log())
    logprobs: list[float] = torch.stack(values).tolist()
    return logprobs


def loop_length(tokens: Sequence[int]) -> int:
    """How many tokens at the end are repetitions, if they are a loop; else 0.

    A loop is a sequence of 3 to 12 tokens three times in a row, of two tokens five times, or one token six times.
    All copies but the first count.
    """
    for period in range(1, 13):
        copies = 6 if period == 1 else 3 if period > 2 else 5
        span = period * copies
        if len(tokens) >= span and all(tokens[-i] == tokens[-i - period] for i in range(1, span - period + 1)):
            return span - period
    return 0
