"""The searches on a scripted network, whose probabilities of the next token stand in the test."""

import math
from dataclasses import replace

import pytest

from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.search import loop_length
from tests.asr.models.whisper.scripted import BLANK, END, MEMORY, A, B, C, D, searcher, state

GARDEN_PATH = {
    (): {A: 0.55, B: 0.45},
    (A,): {C: 0.34, D: 0.33, END: 0.33},
    (A, C): {END: 0.4, D: 0.3, B: 0.3},
    (A, D): {END: 0.4, C: 0.3, B: 0.3},
    (B,): {C: 0.98, END: 0.02},
    (B, C): {END: 0.98, D: 0.02},
    (B, C, D): {END: 1.0},
}
"""A begins a little more probably than B, but all that follows A is improbable. B, C is the best text."""


ANYTHING = {B: 0.1, C: 0.1, D: 0.1}


def written(tokens: tuple[int, ...]) -> dict[int, float]:
    """A script for one text: each of its tokens is probable, then the end."""
    return {**{tokens[:i]: {token: 0.9, D: 0.1} for i, token in enumerate(tokens)}, tokens: {END: 0.9, D: 0.1}}


def test_greedy_search_takes_the_most_probable_token_each_time() -> None:
    """It walks into the garden path; its log-probabilities are those of its tokens and of the end."""
    greedy, (search, _) = state(), searcher(GARDEN_PATH)
    search.greedy([MEMORY], [greedy])
    assert greedy.tokens == [A, C]
    assert greedy.logprobs == pytest.approx([math.log(0.55), math.log(0.34), math.log(0.4)], abs=1e-5)
    assert greedy.done
    assert not greedy.looped


def test_beams_find_a_better_text_than_greedy_search() -> None:
    """Two beams are enough to see that B, C is the more probable text."""
    beams, (search, _) = state(), searcher(GARDEN_PATH)
    search.beams([MEMORY], [beams], 2)
    assert beams.tokens == [B, C]
    assert beams.confidence == pytest.approx(sum(map(math.log, (0.45, 0.98, 0.98))) / 3, abs=1e-5)


def test_a_longer_text_is_not_a_worse_one() -> None:
    """A alone has the higher sum of log-probabilities (0.39 to 0.36), B, C the higher mean, which is a text's score."""
    script = {
        (): {A: 0.6, B: 0.4},
        (A,): {END: 0.65, B: 0.35},
        (A, B): {C: 1.0},
        (B,): {C: 0.95, END: 0.05},
        (B, C): {END: 0.95, D: 0.05},
    }
    text, (search, _) = state(), searcher(script)
    search.beams([MEMORY], [text], 2)
    assert text.tokens == [B, C]


def test_one_beam_is_greedy() -> None:
    """The steps of beam search with a single beam write what greedy search writes."""
    one, (search, _) = state(), searcher(GARDEN_PATH)
    search.beams([MEMORY], [one], 1)
    assert one.tokens == [A, C]


def test_the_texts_of_windows_that_are_searched_together_are_those_of_each_alone() -> None:
    """A short and a long text: the row of the finished one leaves the batch, the other goes on."""
    script = {**written((A, B, C, A)), **{(C,): {END: 1.0}}}
    script[()] = {A: 0.6, C: 0.4}
    together, (search, _) = [state(), state(prefix=(C,))], searcher(script)
    search.greedy([MEMORY] * 2, together)
    assert [s.tokens for s in together] == [[A, B, C, A], [C]]


@pytest.mark.parametrize(
    "draft", [(A, B, C), (A, B), (A, D, C), (D,), (A, B, C, A, B), (B, B, B, B)], ids=lambda draft: str(draft)
)
def test_a_draft_never_changes_the_text(draft: tuple[int, ...]) -> None:
    """Right, short, wrong in the middle or from the start, too long: text and log-probabilities are those without."""
    plain, drafted = state(), state(draft)
    search, _ = searcher(written((A, B, C)))
    search.greedy([MEMORY], [plain])
    search.greedy([MEMORY], [drafted])
    assert drafted.tokens == plain.tokens == [A, B, C]
    assert drafted.logprobs == pytest.approx(plain.logprobs)


CLOSE = {
    (): {A: 0.45, B: 0.3, D: 0.25},
    (A,): {END: 1.0},
    (B,): {C: 0.6, D: 0.28, END: 0.12},
    (B, C): {END: 1.0},
    (B, D): {END: 1.0},
}
"""A is more probable than B by 0.41 nats, C than D by 0.76."""


@pytest.mark.parametrize(
    ("draft", "held", "text"),
    [((B,), 0, [A]), ((B,), 1, [B, C]), ((B, D), 2, [B, C]), ((A,), 1, [A]), ((), 0, [A]), ((D,), 1, [A])],
)
def test_a_held_token_changes_only_for_one_that_is_clearly_more_probable(
    draft: tuple[int, ...], held: int, text: list[int]
) -> None:
    """By half a nat. The log-probabilities are those of the text that is written."""
    search, _ = searcher(CLOSE)
    search.greedy([MEMORY], [drafted := state(draft, held=held)])
    assert drafted.tokens == text
    assert drafted.logprobs[0] == pytest.approx(math.log(0.45 if text == [A] else 0.3), abs=1e-5)


def test_nothing_is_held_behind_a_token_that_changes() -> None:
    """What the draft says there was written after another text."""
    search, _ = searcher({(): {A: 0.9, B: 0.1}, (A,): {C: 0.6, D: 0.4}, (A, C): {END: 1.0}, (A, D): {END: 1.0}})
    search.greedy([MEMORY], [drafted := state((B, D), held=2)])
    assert drafted.tokens == [A, C]


def test_a_right_draft_needs_one_pass_of_the_decoder() -> None:
    """Without it there is one for each token."""
    search, network = searcher(written((A, B, C)))
    search.greedy([MEMORY], [state()])
    without, network.calls = network.calls, 0
    search.greedy([MEMORY], [state((A, B, C))])
    assert (without, network.calls) == (4, 1)


def test_there_is_a_query_for_each_token_and_for_the_end() -> None:
    """Word times are computed from them: the position that each token was predicted at, the prefix included."""
    for text in (state(), state((A, D)), state((A, B, C)), state(prefix=(A,)), state((B, C), prefix=(A,))):
        search, _ = searcher(written((A, B, C)))
        search.greedy([MEMORY], [text])
        assert [int(q) for part in text.queries for q in part.flatten()] == [0, 1, 2, 3]


def test_no_text_begins_with_a_blank() -> None:
    """Nor is it empty, however probable both are; later a blank may follow."""
    script = {(): {BLANK: 0.5, END: 0.3, A: 0.2}, (A,): {BLANK: 0.9, END: 0.1}, (A, BLANK): {END: 1.0}}
    text, (search, _) = state(), searcher(script)
    search.greedy([MEMORY], [text])
    assert text.tokens == [A, BLANK]


def test_a_text_as_long_as_its_budget_is_cut_and_counts_as_a_loop() -> None:
    """Four tokens at most, of a text of seven."""
    text = state(budget=4)
    search, _ = searcher(written((A, B, C, D, A, A, D)))
    search.greedy([MEMORY], [text])
    assert text.tokens == [A, B, C, D]
    assert text.looped
    assert text.doubtful


def test_a_loop_is_cut_to_its_first_copy() -> None:
    """A, B, C again and again: what is left is one of them, before the budget is used up."""
    text = state(budget=1000)
    search, _ = searcher(lambda tokens: {(A, B, C)[len(tokens) % 3]: 1.0})
    search.greedy([MEMORY], [text])
    assert text.tokens == [A, B, C]
    assert text.looped


def test_a_hotword_is_written_where_it_is_nearly_as_probable() -> None:
    """Its bonus makes up for a factor of 4 and not for one of 10^4; greedy and with beams."""
    script = {(): {A: 0.8, B: 0.2}, (A,): {END: 1.0}, (B,): {C: 1.0}, (B, C): {END: 1.0}}
    rare = {**script, (): {A: 0.9999, B: 0.0001}}
    for method, options in (("greedy", ()), ("beams", (3,))):
        for probabilities, tokens in ((script, [B, C]), (rare, [A])):
            text = state(hotwords=Hotwords([(B, C)], 3.0))
            search, _ = searcher(probabilities)
            getattr(search, method)([MEMORY], [text], *options)
            assert text.tokens == tokens, (method, tokens)


def test_samples_are_the_same_in_each_run_and_greedy_at_zero() -> None:
    """Whatever is drawn is reproducible; at a high temperature it is not always the most probable text."""
    search, _ = searcher(GARDEN_PATH)
    texts = []
    for temperature in (0.0, 1.5, 1.5):
        text = state()
        search.sample(MEMORY, text, temperature)
        texts.append((text.tokens, text.logprobs))
    assert texts[0][0] == [A, C]
    assert texts[1] == texts[2]
    assert texts[1] != texts[0]


def test_a_text_that_ended_too_early_is_continued() -> None:
    """Where it ended, the most probable other token follows, and then what the script says."""
    script = {**written((A,)), (A,): {END: 0.6, B: 0.4}, (A, B): {C: 0.9, END: 0.1}, (A, B, C): {END: 1.0}}
    text, (search, _) = state(), searcher(script)
    search.greedy([MEMORY], [text])
    assert text.tokens == [A]
    search.extend(MEMORY, text)
    assert text.tokens == [A, B, C]


@pytest.mark.parametrize("improbable", [True, False], ids=["improbable", "a loop"])
def test_a_continuation_that_is_improbable_or_loops_is_dropped(improbable: bool) -> None:
    """Then the text is what it was, with its log-probabilities and queries."""
    if improbable:
        search, _ = searcher({(): {A: 1.0}, (A,): {END: 0.7, **ANYTHING}, (A, B): {END: 0.1, **ANYTHING}})
    else:
        search, _ = searcher(
            lambda tokens: {A: 1.0} if not tokens else {END: 0.5, B: 0.4} if tokens == (A,) else {B: 1.0}
        )
    text = state()
    search.greedy([MEMORY], [text])
    before = (list(text.tokens), list(text.logprobs), len(text.queries))
    search.extend(MEMORY, text)
    assert (text.tokens, text.logprobs, len(text.queries)) == before
    assert text.tokens == [A]


def test_a_text_is_doubtful_when_its_mean_log_probability_is_below_minus_one() -> None:
    """The threshold that OpenAI published; an empty text is not doubtful."""
    text = state()
    assert not text.doubtful
    text.logprobs = [-0.5, -1.4]
    assert not text.doubtful
    text.logprobs = [-0.5, -1.6]
    assert text.doubtful


def test_a_loop_is_a_run_of_repetitions() -> None:
    """All copies but one count; two copies are no loop."""
    assert loop_length([4, 5, 6, 7] * 3) == 8
    assert loop_length([1, 2, *[8] * 6]) == 5
    assert loop_length([8] * 5) == 0
    assert loop_length([1, 2, 3, 1, 2, 3]) == 0


# -- texts that the audio does not hold --------------------------------------------------------------------------------

# Log-probabilities of the tokens and of the end. Seen in whisper-tiny.en (docs/log/decoding.md#words-in-noise).
INVENTED = {
    "many speakers: you": ([-3.41, -0.52], 16.0, True),
    "many speakers: I'm not sure if I'm going to": ([-3.5, -2.2, -1.9, -1.9, -1.3, -1.2, -0.5, -0.9, -0.1], 6.0, True),
    "a guess that repeats itself: its mean is high": ([-3.1, -1.8, -1.7, -2.1, -1.2, -1.2] + 80 * [-0.2], 11.6, True),
    "a guess, too short for the speech": ([-2.6, -0.3, -0.4, -0.3, -0.3, -0.3, -0.9], 8.0, True),
    "improbable and too short for the speech": ([-1.96, -1.0, -0.2], 2.5, True),
    "a click: you, and surely no more": ([-2.28, -0.1], 0.1, True),
    "a word spoken alone: 4": ([-2.41, -0.99], 0.4, False),
    "a word spoken alone: 9": ([-2.72, -0.92], 0.4, False),
    "a word spoken alone: zero": ([-2.04, -0.42, -0.42], 0.1, False),
    "a sentence with an unusual first word": ([-2.5] + 12 * [-0.3], 3.0, False),
    "an unclear sentence with a sure first word": ([-0.6] + 12 * [-1.2], 5.0, False),
    "a sentence with an unusual name first": (
        [-2.44, -0.69, -0.09, -0.97, -0.58, -0.19, -0.55, -2.5, -0.01, -0.04, -0.11, -1.25, -0.41, -0.14, -0.03],
        3.2,
        False,
    ),
    "a sentence": (10 * [-0.2], 3.0, False),
    "no text": ([-3.0], 2.0, True),
}


@pytest.mark.parametrize(("logprobs", "speech_s", "invented"), INVENTED.values(), ids=INVENTED)
def test_a_text_that_begins_with_a_guess_is_invented(logprobs: list[float], speech_s: float, invented: bool) -> None:
    """Neither a hard word spoken alone nor an unclear sentence is."""
    text = state()
    text.window = replace(text.window, speech_s=speech_s)
    text.tokens, text.logprobs = [A] * (len(logprobs) - 1), logprobs
    assert text.invented is invented


def test_a_text_that_continues_committed_words_is_not_invented() -> None:
    """Any word may follow."""
    text = state(prefix=(A,))
    text.tokens, text.logprobs = [A, B], [-3.4, -0.5]
    assert not text.invented
