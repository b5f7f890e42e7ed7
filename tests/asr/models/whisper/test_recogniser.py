"""Whisper on the real default model: drafts, beams, hotwords and temperatures, on the packaged clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.config import DecodeSettings, SessionSettings
from asr.engine import Engine
from asr.events import text_of
from asr.models.base import Hypothesis, Piece, Window
from asr.models.whisper.recogniser import WhisperRecogniser, echo_start
from asr.models.whisper.search import SearchState
from asr.transcripts.recording import transcribe
from eval.data.dataset import load_dataset, read
from tests import properties
from tests.speech import RATE_HZ, clip, speech

pytestmark = pytest.mark.model

READ = Path(__file__).parents[5] / "shared" / "speech" / "en-read"
with_recordings = pytest.mark.skipif(not READ.is_dir(), reason="the labelled recordings are not beside this checkout")
CLIPS = ("quick_brown_fox", "counting", "hello_world")


@pytest.fixture(scope="module")
def engine(whisper_tiny_float32: Engine) -> Engine:
    return whisper_tiny_float32


@pytest.fixture(scope="module")
def recogniser(engine: Engine) -> WhisperRecogniser:
    assert isinstance(engine.recogniser, WhisperRecogniser)
    return engine.recogniser


@pytest.fixture(scope="module")
def early_end() -> np.ndarray:
    """A recording of seven seconds whose text ends after three words, unless it is known how much was spoken."""
    return next(read(u).samples for u in load_dataset(READ).utterances if u.id == "LJ002-0108")


def text(hypothesis: Hypothesis) -> str:
    return "".join(piece.text for piece in hypothesis.pieces).strip()


def tokens(hypothesis: Hypothesis) -> tuple[int, ...]:
    return tuple(token for piece in hypothesis.pieces for token in piece.tokens)


def greedy(recogniser: WhisperRecogniser, window: Window) -> SearchState:
    """The state of a greedy search of the window."""
    state = recogniser.start(window, "en")
    recogniser.searcher.greedy([recogniser.encode(window)], [state])
    return state


def test_a_checked_draft_gives_the_greedy_text(recogniser: WhisperRecogniser) -> None:
    """Whatever draft is offered, right, wrong or random, the hypothesis is the one without a draft; in float32."""
    samples = speech()[: 7 * RATE_HZ]
    plain = recogniser.recognise([Window(samples)])[0]
    right = tokens(plain)
    assert len(right) > 15
    chance = tuple(np.random.default_rng(3).integers(0, 50000, 30).tolist())
    for draft in (right, right[:-4], (*right[:5], 11, *right[6:]), right + right, chance):
        checked = recogniser.recognise([Window(samples, draft=draft)])[0]
        assert [piece.text for piece in checked.pieces] == [piece.text for piece in plain.pieces]


def test_a_draft_saves_decoder_calls(recogniser: WhisperRecogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the right draft one forward pass is enough; without one there is a pass for each token."""
    calls = 0
    decode = recogniser.network.decode

    def counted(*args: object) -> object:
        nonlocal calls
        calls += 1
        return decode(*args)

    monkeypatch.setattr(recogniser.network, "decode", counted)
    window = Window(clip("quick_brown_fox"))
    plain = recogniser.recognise([window])[0]
    without, calls = calls, 0
    recogniser.recognise([Window(window.samples, draft=tokens(plain))])
    assert without > 8
    assert calls == 1


def test_one_beam_is_greedy(recogniser: WhisperRecogniser) -> None:
    """The beam search's own steps, with a single beam, write what greedy search writes."""
    window = Window(speech()[: 7 * RATE_HZ])
    state, one = greedy(recogniser, window), recogniser.start(window, "en")
    recogniser.searcher.beams([recogniser.encode(window)], [one], 1)
    assert len(state.tokens) > 15
    assert one.tokens == state.tokens


@pytest.mark.parametrize("name", ["quick_brown_fox", "hello_world"])
def test_beams_find_a_text_at_least_as_probable_as_greedys(recogniser: WhisperRecogniser, name: str) -> None:
    """The mean log-probability, beam search's own measure, does not fall.

    No law: beams are pruned by their sum, and on `counting` five of them end with a less probable text than greedy.
    """
    window = Window(clip(name))
    state, beams = greedy(recogniser, window), recogniser.start(window, "en")
    recogniser.searcher.beams([recogniser.encode(window)], [beams], 5)
    assert beams.confidence >= state.confidence - 1e-4


def test_beams_batched_equal_alone_and_greedy_beside_them_is_untouched(recogniser: WhisperRecogniser) -> None:
    """Windows with beams and without in one call give what each gives alone, times too."""
    one = Window(clip("quick_brown_fox"), settings=DecodeSettings(beam_size=3))
    two = Window(clip("counting"))
    three = replace(two, settings=DecodeSettings(beam_size=3))
    for together, window in zip(recogniser.recognise([one, two, three]), (one, two, three), strict=True):
        alone = recogniser.recognise([window])[0]
        assert together.pieces
        assert [(p.text, p.start_s) for p in together.pieces] == [(p.text, p.start_s) for p in alone.pieces]


@pytest.mark.parametrize(
    ("hotword", "name"), [("Kwik", "quick_brown_fox"), ("Foxx", "quick_brown_fox"), ("Wurld", "hello_world")]
)
def test_a_hotword_is_written_where_it_is_spoken(engine: Engine, hotword: str, name: str) -> None:
    """Names spelled like no word: without the hotword the usual spelling is written."""
    assert hotword not in transcribe(clip(name), engine).text
    assert hotword in transcribe(clip(name), engine, hotwords=["Fabriano", hotword, "Wilcox"]).text


NAMES = [
    "Strasburg",
    "Zebulon",
    "Quetzalcoatl",
    "Bodoni",
    "Kowalczyk",
    "Ljubljana",
    "Reykjavik",
    "Okonkwo",
    "Kubernetes",
]
NAMES += ["Metformin", "Vladivostok", "Siobhan", "Tchaikovsky", "Worcestershire", "Almaty", "Chongqing", "Yamamoto"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["whisper_tiny", "whisper_base"])
def test_hotwords_that_are_not_spoken_change_nothing(model: str, request: pytest.FixtureRequest) -> None:
    """One name or many: no word, no capital, no punctuation mark, with every model that ships; also as names of two
    words, twice, or empty.
    """
    engine: Engine = request.getfixturevalue(model)
    plain = transcribe(speech(), engine, language="en").text
    assert plain
    for hotwords in (NAMES[:1], NAMES, ["Zhang Wei", "", "  ", "...", *NAMES[:3], *NAMES[:3]]):
        assert transcribe(speech(), engine, language="en", hotwords=hotwords).text == plain, hotwords


@pytest.mark.slow
def test_streamed_hotwords_that_are_not_spoken_change_nothing(engine: Engine) -> None:
    """With drafts, prefixes and committed words."""
    plain = text_of(properties.run(engine, speech(), engine.open()))
    assert text_of(properties.run(engine, speech(), engine.open(hotwords=NAMES))) == plain


def test_a_hotword_that_is_a_common_word_changes_nothing(engine: Engine) -> None:
    """It is written where it is said, at the start of a sentence too, and nowhere else."""
    samples = clip("quick_brown_fox")
    assert transcribe(samples, engine, hotwords=["the", "dog", "and"]).text == transcribe(samples, engine).text


def test_streamed_hotwords_help_as_in_files(engine: Engine) -> None:
    """A stream that expects the name writes it, drafts and all."""
    samples = clip("quick_brown_fox")
    assert "Foxx" in text_of(properties.run(engine, samples, engine.open(hotwords=("Foxx",))))
    assert "Foxx" not in text_of(properties.run(engine, samples, engine.open()))


def test_a_doubtful_text_is_sampled_again_and_each_run_gives_the_same(
    recogniser: WhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text about noise is improbable. Of the sampled texts the most probable one stays."""
    noise = np.random.default_rng(5).normal(0, 0.1, 4 * RATE_HZ).astype(np.float32)
    results, tried = [], []
    sample = recogniser.searcher.sample

    def counted(memory: object, state: SearchState, temperature: float) -> None:
        tried.append(temperature)
        sample(memory, state, temperature)

    monkeypatch.setattr(recogniser.searcher, "sample", counted)
    for temperatures in ((), (0.6, 1.0), (0.6, 1.0)):
        window = Window(noise, settings=DecodeSettings(fallback_temperatures=temperatures, max_tokens_per_s=1.0))
        state = recogniser.start(window, "en")
        recogniser.decode([recogniser.encode(window)], [state])
        results.append((not state.looped, state.confidence, state.tokens))
    plain, first, second = results
    assert plain[:2] < (True, -1.0)
    assert first == second
    assert first[:2] >= plain[:2]
    assert tried[0] == 0.6


def test_a_sure_text_is_not_sampled_again(recogniser: WhisperRecogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temperatures change nothing where greedy search did well."""
    plain = recogniser.recognise([Window(clip("counting"))])[0]
    monkeypatch.setattr(recogniser.searcher, "sample", lambda *_: pytest.fail("a sure text was sampled"))
    settings = DecodeSettings(fallback_temperatures=(0.4, 1.0))
    assert text(recogniser.recognise([Window(clip("counting"), settings=settings)])[0]) == text(plain) != ""


@pytest.mark.parametrize(("speech_s", "extended"), [(0.0, False), (3.0, False), (60.0, True)])
def test_a_text_with_too_few_tokens_for_the_speech_is_extended(
    recogniser: WhisperRecogniser, monkeypatch: pytest.MonkeyPatch, speech_s: float, extended: bool
) -> None:
    """Less than one token a second of speech: the search is asked to go on."""
    calls: list[int] = []
    monkeypatch.setattr(recogniser.searcher, "extend", lambda _, state: calls.append(len(state.tokens)))
    recogniser.recognise([Window(clip("quick_brown_fox"), speech_s=speech_s)])
    assert bool(calls) == extended


@with_recordings
def test_a_text_that_ended_too_early_for_the_speech_is_continued(
    recogniser: WhisperRecogniser, early_end: np.ndarray
) -> None:
    """ "Watch all night." is all that is written of seven seconds, unless it is known how much was spoken."""
    short, whole = recogniser.recognise([Window(early_end), Window(early_end, speech_s=6.0)])
    assert len(text(short).split()) == 3
    assert "the prison books are kept" in text(whole)


@with_recordings
@pytest.mark.parametrize("holdback_ms", [2000, 30_000])
def test_nothing_is_lost_where_the_text_of_an_unfinished_window_ends_early(
    engine: Engine, early_end: np.ndarray, holdback_ms: int
) -> None:
    """Hypotheses of this recording end after "all night" while five seconds more follow: no word of those is lost."""
    settings = SessionSettings()
    settings = replace(settings, stream=replace(settings.stream, holdback_ms=holdback_ms))
    words = text_of(properties.run(engine, early_end, engine.open(settings), chunk=3200))
    assert "lodge is" in words
    assert "the prison books are kept" in words


def test_text_longer_than_anyone_speaks_is_cut(recogniser: WhisperRecogniser) -> None:
    """The token budget of a window grows with its length."""
    settings = DecodeSettings(max_tokens_per_s=0.0)
    hypothesis = recogniser.recognise([Window(speech()[: 7 * RATE_HZ], settings=settings)])[0]
    assert hypothesis.looped
    assert 0 < len(tokens(hypothesis)) <= 10


def pieces(*spans: tuple[float, float]) -> list[Piece]:
    return [Piece(" w", (1,), start, end, 0.9) for start, end in spans]


def test_an_echo_without_length_is_cut() -> None:
    """Words at the end that the alignment has no frames for; one short word alone is speech."""
    assert echo_start(pieces((0, 1), (1, 2), (2, 2), (2, 2), (2, 2.2))) == 2
    assert echo_start(pieces((0, 1), (1, 2), (2, 2), (2, 2.2))) == 4
    assert echo_start(pieces((0, 1), (1, 2), (2, 2), (2, 2), (2, 2.1), (2.1, 2.1), (2.1, 2.1), (2.1, 2.2))) == 2
    assert echo_start(pieces((0, 1), (1, 1), (1, 1), (1, 2), (2, 3))) == 5
    assert echo_start([]) == 0
