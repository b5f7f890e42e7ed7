"""The searches on the real default model: beams, samples and hotwords beside greedy, on recordings with names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.config import DecodeSettings, SessionSettings
from asr.engine import Engine
from asr.events import text_of
from asr.models.base import Hypothesis, Window
from asr.models.whisper.hotwords import Hotwords
from asr.models.whisper.search import SearchState, loop_length
from asr.transcripts.recording import transcribe
from eval.data.dataset import load_dataset, read
from tests.speech import RATE_HZ, clip, speech

READ = Path(__file__).parents[5] / "shared" / "speech" / "en-read"
pytestmark = pytest.mark.skipif(not READ.is_dir(), reason="the labelled recordings are not beside this checkout")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(precision="float32", threads=1)


@pytest.fixture(scope="module")
def recordings() -> dict[str, np.ndarray]:
    wanted = ("LJ001-0041", "LJ002-0108", "LJ002-0117")
    return {u.id: read(u).samples for u in load_dataset(READ).utterances if u.id in wanted}


def heard(engine: Engine, *windows: Window) -> list[Hypothesis]:
    return engine.recogniser.recognise(windows)


def text(hypothesis: Hypothesis) -> str:
    return "".join(piece.text for piece in hypothesis.pieces).strip()


def with_beams(size: int) -> DecodeSettings:
    return DecodeSettings(beam_size=size)


def test_one_beam_is_greedy(engine: Engine) -> None:
    """The beam search's own steps, with a single beam, write what greedy search writes."""
    searcher, recogniser = engine.recogniser.searcher, engine.recogniser
    window = Window(speech()[: 7 * RATE_HZ])
    memory = recogniser.encode(window)
    search = recogniser.start(window, "en")
    searcher.greedy([memory], [search])
    greedy = list(search.tokens)
    searcher.beams([memory], [search], 1)
    assert len(greedy) > 15
    assert search.tokens == greedy


def test_beams_find_a_text_at_least_as_likely_as_greedys(engine: Engine, recordings: dict[str, np.ndarray]) -> None:
    """The mean log-probability, beam search's own measure, does not fall on any of the recordings."""
    recogniser = engine.recogniser
    for samples in recordings.values():
        window = Window(samples)
        memory, search = recogniser.encode(window), recogniser.start(window, "en")
        recogniser.searcher.greedy([memory], [search])
        greedy = search.confidence
        recogniser.searcher.beams([memory], [search], 5)
        assert search.confidence >= greedy - 1e-4


def test_beams_batched_equal_alone_and_greedy_beside_them_is_untouched(engine: Engine) -> None:
    """Windows with beams and without in one call give what each gives alone, times too."""
    one, two = Window(clip("quick_brown_fox"), settings=with_beams(3)), Window(clip("counting"))
    three = replace(two, settings=with_beams(3))
    together = heard(engine, one, two, three)
    for found, window in zip(together, (one, two, three), strict=True):
        alone = heard(engine, window)[0]
        assert [(p.text, p.start_s) for p in found.pieces] == [(p.text, p.start_s) for p in alone.pieces]


def test_a_hotword_is_written_where_it_is_said(engine: Engine, recordings: dict[str, np.ndarray]) -> None:
    """Subiaco and Burchell are heard as other words, and rightly when they are expected."""
    for name, recording in (("Subiaco", "LJ001-0041"), ("Burchell", "LJ002-0117")):
        samples = recordings[recording]
        assert name not in transcribe(samples, engine).text
        assert name in transcribe(samples, engine, hotwords=["Fabriano", name, "Wilcox"]).text


def test_a_hotword_that_is_not_said_is_not_written(engine: Engine, recordings: dict[str, np.ndarray]) -> None:
    """Names that nobody says do not come in, and the other words stay."""
    samples = recordings["LJ002-0108"]
    found = transcribe(samples, engine, hotwords=["Zebulon", "Quetzalcoatl", "Bodoni"]).text
    assert not {"Zebulon", "Quetzalcoatl", "Bodoni"} & set(found.replace(",", "").split())
    assert "the prison books are kept" in found


def test_streamed_hotwords_help_as_in_files(engine: Engine, recordings: dict[str, np.ndarray]) -> None:
    """A stream that expects the name writes it, drafts and all."""
    session = engine.open(hotwords=("Subiaco",))
    samples = recordings["LJ001-0041"]
    for start in range(0, len(samples), 1600):
        session.receive_audio(samples[start : start + 1600])
        while session.ready:
            engine.step([session])
    session.receive_end()
    while not session.ended:
        engine.step([session])
    assert "Subiaco" in text_of(session.take_events())


def test_a_text_that_the_model_hardly_believes_is_tried_again_and_each_time_alike(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written about noise is unlikely; of the texts drawn then the likeliest stays, the same at each run."""
    noise = np.random.default_rng(5).normal(0, 0.1, 4 * RATE_HZ).astype(np.float32)
    recogniser, confidences, tried = engine.recogniser, [], []
    sample = recogniser.searcher.sample

    def counted(memory: object, search: SearchState, temperature: float) -> None:
        tried.append(temperature)
        sample(memory, search, temperature)

    monkeypatch.setattr(recogniser.searcher, "sample", counted)
    for temperatures in ((), (0.6, 1.0), (0.6, 1.0)):
        window = Window(noise, settings=DecodeSettings(fallback_temperatures=temperatures, max_tokens_per_s=1.0))
        memory, search = recogniser.encode(window), recogniser.start(window, "en")
        recogniser.decode([memory], [search])
        confidences.append((not search.looped, search.confidence, search.tokens))
    plain, first, second = confidences
    assert plain[:2] < (True, -1.0)
    assert first == second
    assert first[:2] >= plain[:2]
    assert tried[0] == 0.6


def test_a_sure_text_is_not_tried_again(engine: Engine) -> None:
    """Temperatures change nothing where greedy search did well."""
    plain, ready = (
        heard(engine, Window(clip("counting"), settings=DecodeSettings(fallback_temperatures=temperatures)))[0]
        for temperatures in ((), (0.4, 1.0))
    )
    assert [p.text for p in plain.pieces] == [p.text for p in ready.pieces]


def test_a_text_that_ended_too_early_for_the_speech_is_written_on(
    engine: Engine, recordings: dict[str, np.ndarray]
) -> None:
    """ "Watch all night." is all that is written of seven seconds, unless it is known how much was spoken."""
    samples = recordings["LJ002-0108"]
    short, whole = heard(engine, Window(samples), Window(samples, speech_s=6.0))
    assert len(text(short).split()) == 3
    assert "the prison books are kept" in text(whole)


def test_nothing_is_lost_where_the_text_of_an_unfinished_window_ends_early(
    engine: Engine, recordings: dict[str, np.ndarray]
) -> None:
    """In this recording hypotheses end after "all night" while five seconds more are heard: no word of those goes."""
    for holdback_ms in (2000, 30_000):
        settings = SessionSettings()
        settings = replace(settings, stream=replace(settings.stream, holdback_ms=holdback_ms))
        session, samples = engine.open(settings), recordings["LJ002-0108"]
        for start in range(0, len(samples), 3200):
            session.receive_audio(samples[start : start + 3200])
            while session.ready:
                engine.step([session])
        session.receive_end()
        while not session.ended:
            engine.step([session])
        words = text_of(session.take_events())
        assert "lodge is" in words
        assert "the prison books are kept" in words


def test_the_bonus_follows_a_word_as_it_is_spelled() -> None:
    """Half for a first token, whole for the next ones, none behind the end; words may share their beginning."""
    hotwords = Hotwords([(1, 2, 3), (1, 5), (9,)], 3.0)
    assert hotwords.bonus([]) == {1: 1.5, 9: 1.5}
    assert hotwords.bonus([7, 1]) == {1: 1.5, 9: 1.5, 2: 3.0, 5: 3.0}
    assert hotwords.bonus([1, 2]) == {1: 1.5, 9: 1.5, 3: 3.0}
    assert hotwords.bonus([1, 2, 3]) == {1: 1.5, 9: 1.5}
    assert Hotwords([], 3.0).bonus([1]) == {}


def test_a_loop_is_a_run_of_repetitions() -> None:
    """All copies but one count; what people say twice is no loop."""
    assert loop_length([4, 5, 6, 7] * 3) == 8
    assert loop_length([1, 2, *[8] * 6]) == 5
    assert loop_length([8] * 5) == 0
    assert loop_length([1, 2, 3, 1, 2, 3]) == 0
