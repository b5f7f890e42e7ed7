"""The search for a window's text: greedy with drafts checked at once, sampled, or by beams; batched over windows.

All write the same fields of a `Search`. Greedy text does not depend on the draft; no text depends on the other windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from asr.models.base import Window
from asr.models.whisper.decoder import Batch
from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.network import Memory, Whisper

UNLIKELY = -1.0
"""A mean log-probability below this is no text to be believed: the threshold that was published with the models."""
_SAMPLING_SEED = 0
"""Sampled text is the same at each run."""


@dataclass(slots=True)
class Search:
    """One window's search: the tokens so far, and for each its log-probability and the queries that tell its time.

    ``head`` are the tokens before the text; ``tokens`` begin with the window's prefix. ``queries`` are the alignment
    heads', one more than there are tokens where the end was written.
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

    @property
    def confidence(self) -> float:
        """The mean log-probability of what was written, the end included; 0 for nothing."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0

    @property
    def doubtful(self) -> bool:
        """Whether the text loops, or is so unlikely that the model hardly believes it."""
        return self.looped or self.confidence < UNLIKELY

    def take(self, other: "Search") -> None:
        """Have the text of another search of the same window."""
        self.tokens, self.logprobs, self.queries = other.tokens, other.logprobs, other.queries
        self.done, self.looped = other.done, other.looped

    def restart(self) -> None:
        """Back to the prefix."""
        self.tokens, self.logprobs, self.queries = list(self.window.prefix), [], []
        self.done = self.looped = False


Choice = Callable[[torch.Tensor], torch.Tensor]
"""Scores ``(n, V)`` -> tokens ``(n,)``."""


class Searcher:
    """Searches in one network. ``end`` is the token that ends a text, ``blank`` those that cannot begin one."""

    def __init__(self, network: Whisper, end: int, blank: Sequence[int]) -> None:
        self._network, self._end, self._blank = network, end, list(blank)

    def greedy(self, memories: Sequence[Memory], searches: Sequence[Search]) -> None:
        """The likeliest token each time."""
        batch = self._begin(memories, searches)
        self._check_drafts(batch, searches, _likeliest)
        self._continue(batch, searches, _likeliest)

    def sample(self, memory: Memory, search: Search, temperature: float) -> None:
        """Tokens drawn by their probability at a temperature; greedy at zero."""
        choose = _drawn(temperature) if temperature else _likeliest
        batch = self._begin([memory], [search])
        self._check_drafts(batch, [search], choose, drafts=[()])
        self._continue(batch, [search], choose)

    def beams(self, memories: Sequence[Memory], searches: Sequence[Search], size: int) -> None:
        """The likeliest text of those that `size` beams come upon."""
        found = [self._best_of_beams(*pair, size) for pair in zip(memories, searches, strict=True)]
        batch = self._begin(memories, searches)
        self._fix(batch, searches, found)

    def insist(self, memory: Memory, search: Search) -> None:
        """Write on where a text ended; what is not likely, or a loop, is not taken."""
        before, text = replace(search), search.tokens[len(search.window.prefix) :]
        batch = self._begin([memory], [search])
        [(scores, queries)] = self._feed(batch, [search], [text])
        scores[-1, self._end] = float("-inf")
        tokens = [*text, int(scores[-1].argmax())]
        for i, (token, logprob) in enumerate(zip(tokens, _logprobs(scores, tokens), strict=True)):
            self._append(search, token, logprob, queries[:, i : i + 1])
        self._continue(batch, [search], _likeliest)
        added = search.logprobs[len(text) :]
        if search.looped or sum(added) < UNLIKELY * len(added):
            search.take(before)

    def _begin(self, memories: Sequence[Memory], searches: Sequence[Search]) -> Batch:
        for search in searches:
            search.restart()
        return self._network.batch(memories)

    # -- many tokens in one forward pass ---------------------------------------------------------------------------

    def _feed(
        self, batch: Batch, searches: Sequence[Search], drafts: Sequence[Sequence[int]]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Feed head, prefix and draft of every window; scores and queries from the last token of the prefix on."""
        rows = [[*s.head, *s.window.prefix, *draft] for s, draft in zip(searches, drafts, strict=True)]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [self._end] * (longest - len(row)) for row in rows])
        hidden, queries = self._network.decode(batch, tokens, torch.arange(longest).expand(len(rows), -1))
        firsts = [len(s.head) + len(s.window.prefix) - 1 for s in searches]
        spans = [slice(first, len(row)) for first, row in zip(firsts, rows, strict=True)]
        scores = self._network.logits(torch.cat([hidden[i, span] for i, span in enumerate(spans)]))
        parts = scores.split([span.stop - span.start for span in spans])
        for i, search in enumerate(searches):
            search.queries.append(queries[i, :, len(search.head) - 1 : firsts[i]])
        return [
            (self._allowed(part, search, draft), queries[i, :, span])
            for i, (part, search, draft, span) in enumerate(zip(parts, searches, drafts, spans, strict=True))
        ]

    def _allowed(self, scores: torch.Tensor, search: Search, draft: Sequence[int] = ()) -> torch.Tensor:
        """Scores ``(n, V)`` after the tokens and each token of the draft: no blank beginning, hotwords preferred."""
        if not search.tokens:
            scores[0, self._blank] = float("-inf")
        for i, row in enumerate(scores) if search.hotwords else ():
            _prefer(row, search.hotwords, [*search.tokens, *draft[:i]])
        return scores

    def _check_drafts(
        self,
        batch: Batch,
        searches: Sequence[Search],
        choose: Choice,
        drafts: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Keep of each draft what the search would write, and the token after it."""
        drafts = drafts or [s.window.draft[: s.budget - len(s.window.prefix)] for s in searches]
        for search, draft, (scores, queries) in zip(searches, drafts, self._feed(batch, searches, drafts), strict=True):
            told = choose(scores).tolist()
            right = next((i for i, token in enumerate(draft) if token != told[i]), len(draft)) + 1
            logprobs = _logprobs(scores[:right], told[:right])
            for i in range(right):
                self._append(search, told[i], logprobs[i], queries[:, i : i + 1])
                if search.done:
                    break

    def _fix(self, batch: Batch, searches: Sequence[Search], texts: Sequence[Sequence[int]]) -> None:
        """Take texts as they are, each with what its tokens' times and probabilities are told by."""
        for search, text, (scores, queries) in zip(searches, texts, self._feed(batch, searches, texts), strict=True):
            search.logprobs = _logprobs(scores, [*text, self._end])
            search.tokens += text
            search.queries.append(queries)
            search.done = True

    def _append(self, search: Search, token: int, logprob: float, query: torch.Tensor) -> None:
        search.queries.append(query)
        search.logprobs.append(logprob)
        if token == self._end:
            search.done = True
            return
        search.tokens.append(token)
        loop = loop_length(search.tokens)
        if loop:
            del search.tokens[-loop:]
        if loop or len(search.tokens) >= search.budget:
            search.looped = search.done = True

    # -- token by token --------------------------------------------------------------------------------------------

    def _continue(self, batch: Batch, searches: Sequence[Search], choose: Choice) -> None:
        active = list(searches)
        while True:
            rows = [i for i, search in enumerate(active) if not search.done]
            if not rows:
                return
            if len(rows) < len(active):
                batch.keep(rows)
                active = [active[i] for i in rows]
            scores, queries = self._next(batch, active, [search.tokens for search in active])
            told = choose(scores).tolist()
            logprobs = _logprobs(scores, told)
            for i, search in enumerate(active):
                self._append(search, told[i], logprobs[i], queries[i])

    def _next(
        self, batch: Batch, searches: Sequence[Search], texts: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Feed the last token of each text: scores ``(n, V)`` of the next, and queries ``(n, h, 1, D)``."""
        tokens = torch.tensor([[text[-1]] for text in texts])
        positions = torch.tensor([[len(s.head) + len(t) - 1] for s, t in zip(searches, texts, strict=True)])
        hidden, queries = self._network.decode(batch, tokens, positions)
        scores = self._network.logits(hidden[:, 0])
        for row, search, text in zip(scores, searches, texts, strict=True):
            _prefer(row, search.hotwords, text)
        return scores, queries

    def _best_of_beams(self, memory: Memory, search: Search, size: int) -> list[int]:
        """The tokens after the prefix, by beam search with the mean log-probability as a text's score."""
        batch = self._begin([memory], [search])
        [(scores, _)] = self._feed(batch, [search], [()])
        batch.keep([0] * size)
        live, ended = [_Beam((), 0.0)], list[_Beam]()
        prefix, room = list(search.window.prefix), search.budget - len(search.window.prefix)
        while True:
            live, sources, done = _grown(live, scores.log_softmax(-1), size, self._end)
            ended += done
            if not live or len(ended) >= size or len(live[0].tokens) >= room:
                break
            rows = sources + [sources[0]] * (size - len(sources))
            batch.keep(rows)
            texts = [[*prefix, *beam.tokens] for beam in live]
            texts += [texts[0]] * (size - len(texts))
            scores, _ = self._next(batch, [search] * size, texts)
        return list(max(ended or live, key=lambda beam: beam.score).tokens)


@dataclass(frozen=True, slots=True)
class _Beam:
    """A text that beam search looks at; its log-probability, with the end's where it has ended."""

    tokens: tuple[int, ...]
    logprob: float

    @property
    def score(self) -> float:
        return self.logprob / (len(self.tokens) + 1)


def _grown(
    live: Sequence[_Beam], logprobs: torch.Tensor, size: int, end: int
) -> tuple[list[_Beam], list[int], list[_Beam]]:
    """The likeliest beams one token longer, the rows they come from, and those that ended among the likeliest."""
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
    """Adds the hotwords' bonus to the scores ``(V,)`` of the token after a text."""
    for token, bonus in hotwords.bonus(text).items() if hotwords else ():
        scores[token] += bonus


def _likeliest(scores: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(scores.numpy().argmax(-1))  # a twentieth of torch's time on a CPU


def _drawn(temperature: float) -> Choice:
    generator = torch.Generator().manual_seed(_SAMPLING_SEED)

    def choose(scores: torch.Tensor) -> torch.Tensor:
        return torch.multinomial((scores / temperature).softmax(-1), 1, generator=generator)[:, 0]

    return choose


def _logprobs(scores: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """The log-probability of one token a row. Row by row, as a row stays in the cache: three quarters of the time."""
    told = []
    for row, token in zip(scores, tokens, strict=True):
        largest = row.amax()
        told.append(row[token] - largest - (row - largest).exp_().sum().log())
    logprobs: list[float] = torch.stack(told).tolist()
    return logprobs


def loop_length(tokens: Sequence[int]) -> int:
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
