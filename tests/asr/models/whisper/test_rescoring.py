"""Hotwords in a text, by the probabilities that the model gives: a preference never replaces evidence."""

import math
from collections.abc import Mapping

import pytest

from asr.models.whisper.biasing import Edit, HotwordList, Words
from asr.models.whisper.rescoring import Rescorer, with_prior
from asr.models.whisper.search import UNLIKELY_START_SHORT, SearchState
from tests.asr.models.whisper.scripted import END, MEMORY, A, B, C, D, searcher, state

LETTERS = {A: " a", B: " b", C: " c", D: " d"}


class Letters:
    """A tokenizer of four words, each one token."""

    def decode(self, tokens: tuple[int, ...]) -> str:
        return "".join(LETTERS[token] for token in tokens)

    def words(self, tokens: tuple[int, ...]) -> Words:
        return [(LETTERS[token], (token,)) for token in tokens]


def rescored(script: Mapping[tuple[int, ...], Mapping[int, float]], *edits: Edit, hotwords: str = "d") -> SearchState:
    """The greedy text of a script after the best of these edits; a hotword is worth 3."""
    search, _ = searcher(script)
    text = state()
    search.greedy([MEMORY], [text])
    tokens = {letter: token for token, letter in LETTERS.items()}
    names = HotwordList(hotwords.split(), lambda word: (tokens[word],), 3.0)
    Rescorer(search, Letters()).apply(MEMORY, text, edits, names, text.head)  # type: ignore[arg-type]
    return text


def script(probability: float) -> dict[tuple[int, ...], dict[int, float]]:
    """The text is "a b"; "a d" has this much of its probability."""
    rest = {(A, B): {END: 1.0}, (A, D): {END: 1.0}, (D,): {END: 1.0}}
    return {(): {A: 0.9, D: 0.0001}, (A,): {B: 1 - probability, D: probability}, **rest}


@pytest.mark.parametrize(("probability", "tokens"), [(0.2, [A, D]), (0.001, [A, B])])
def test_a_hotword_is_written_where_it_costs_less_than_it_is_worth(probability: float, tokens: list[int]) -> None:
    """exp(3) is about 20. The words around it stay."""
    text = rescored(script(probability), Edit(1, 2, (D,)))
    assert text.tokens == tokens
    assert len(text.logprobs) == sum(queries.shape[1] for queries in text.queries) == 3


def test_a_text_that_became_the_hotword_alone_is_not_taken() -> None:
    """That is what a list of names before the text does to a model now and then."""
    text = rescored(script(0.001), Edit(0, 2, (D,)))
    assert text.tokens == [A, B]
    assert text.logprobs == pytest.approx([0.0, math.log(0.999), 0.0], abs=1e-3)


def test_two_hotwords_are_written_together() -> None:
    """Each edit is judged alone and then both; the one that costs too much is left out."""
    probable = {(): {A: 0.8, C: 0.2}, (A,): {B: 0.8, D: 0.2}, (C,): {B: 0.8, D: 0.2}}
    probable |= {(first, last): {END: 1.0} for first in (A, C) for last in (B, D)}
    edits = [Edit(0, 1, (C,)), Edit(1, 2, (D,))]
    assert rescored(probable, *edits, hotwords="c d").tokens == [C, D]
    assert rescored(probable, *edits, hotwords="d").tokens == [A, D]


def test_a_better_text_of_the_whole_window_is_taken_with_its_hotword() -> None:
    """The right name makes the words around it right."""
    garden = {(): {A: 0.55, D: 0.45}, (A,): {B: 0.3, C: 0.3}, (D,): {C: 0.9}, (A, B): {END: 0.5}, (D, C): {END: 1.0}}
    assert rescored(garden, Edit(0, 1, (D,)), Edit(0, 2, (D, C))).tokens == [D, C]


def test_a_text_that_begins_with_an_improbable_name_is_not_invented() -> None:
    """Texts that begin with a guess are left out as noise; this one replaced a text that did not."""
    ends = {(A,): {END: 0.6, B: 0.4}, (C, D): {END: 0.6, B: 0.4}}
    text = rescored({(): {A: 0.997, C: 0.003}, (C,): {D: 1.0}, **ends}, Edit(0, 1, (C, D)), hotwords="c d")
    assert text.tokens == [C, D]
    assert text.logprobs[0] < UNLIKELY_START_SHORT
    assert not text.invented


def test_an_edit_that_does_not_fit_the_window_is_not_tried() -> None:
    """A window's text has a limit of tokens, here 30."""
    assert rescored(script(0.2), Edit(1, 2, (D,) * 40)).tokens == [A, B]


def test_a_hotwords_confidence_counts_its_boost_as_a_prior() -> None:
    """As a softmax over scores of which one is raised: 0.2 with exp(3) times the odds."""
    odds = math.exp(3.0) * 0.2 / 0.8
    assert rescored(script(0.2), Edit(1, 2, (D,))).logprobs[1] == pytest.approx(math.log(odds / (1 + odds)), abs=1e-4)
    assert with_prior(0.0, 3.0) == pytest.approx(0.0)
    assert with_prior(-50.0, 3.0) == pytest.approx(-47.0)
