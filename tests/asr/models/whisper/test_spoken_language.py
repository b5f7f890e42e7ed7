"""Where the language changes: the path through spans, and real recordings of three languages joined by short pauses."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.engine import Engine
from asr.events import Event, Final, text_of
from asr.models.base import Window
from asr.models.whisper.spoken_language import CHANGE_PENALTY, LanguageDetector, likeliest_path, spans_between
from asr.transcripts.recording import offline_settings, transcribe
from eval.data.dataset import load_dataset, read
from tests.properties import run

SPEECH = Path(__file__).parents[5] / "shared" / "speech"
with_recordings = pytest.mark.skipif(not SPEECH.is_dir(), reason="the recordings are not beside this checkout")


def logs(*rows: tuple[float, ...]) -> np.ndarray:
    return np.log(np.array(rows))


@pytest.mark.parametrize(
    ("rows", "before", "path"),
    [
        ([(0.9, 0.1), (0.05, 0.95)], None, [0, 1]),
        ([(0.9, 0.1), (0.2, 0.8)], None, [0, 0]),
        ([(0.9, 0.1), (0.2, 0.8), (0.2, 0.8)], None, [0, 1, 1]),
        ([(0.9, 0.1), (0.05, 0.95), (0.9, 0.1)], None, [0, 0, 0]),
        ([(0.9, 0.1), (0.01, 0.99), (0.9, 0.1)], None, [0, 1, 0]),
        ([(0.2, 0.8)], None, [1]),
        ([(0.2, 0.8)], 0, [0]),
        ([(0.05, 0.95)], 0, [1]),
    ],
)
def test_the_language_changes_where_the_evidence_outweighs_the_penalty(
    rows: list[tuple[float, ...]], before: int | None, path: list[int]
) -> None:
    """Each change costs `CHANGE_PENALTY`, there and back costs it twice; the language before counts as a span does."""
    assert likeliest_path(logs(*rows), CHANGE_PENALTY, before) == path


class Scored:
    """A network whose decoder gives these scores for the languages, whatever it sees."""

    def __init__(self, *rows: tuple[float, ...]) -> None:
        self._rows = torch.from_numpy(logs(*rows))

    def batch(self, memories: Sequence[object]) -> None:
        pass

    def part(self, memory: object, start: int, end: int) -> None:
        pass

    def decode(self, *_: object) -> tuple[torch.Tensor, None]:
        return torch.zeros(len(self._rows), 1), None

    def scores(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self._rows.clone()


@pytest.mark.parametrize(
    ("row", "usual", "found"),
    [
        ((0.3, 0.6, 0.1), None, "zh"),
        ((0.3, 0.6, 0.1), "vi", "vi"),
        ((0.05, 0.9, 0.05), "vi", "zh"),
        ((0.3, 0.6, 0.1), "xx", "zh"),
    ],
)
def test_a_talk_keeps_its_language_unless_the_evidence_is_strong(
    row: tuple[float, ...], usual: str | None, found: str
) -> None:
    """A window in another language needs `CHANGE_PENALTY` more log-probability, as a change within a window does."""
    detector = LanguageDetector(Scored(row), 0, {"vi": 0, "zh": 1, "en": 2})  # type: ignore[arg-type]
    assert detector.languages([None], [usual]) == [found]  # type: ignore[list-item]


def test_a_window_of_two_spans_begins_in_the_usual_language() -> None:
    """A first span of weak evidence makes no other language of the window's start."""
    detector = LanguageDetector(Scored((0.02, 0.98), (0.98, 0.02)), 0, {"vi": 0, "zh": 1})  # type: ignore[arg-type]
    window = Window(np.zeros(6 * SAMPLE_RATE_HZ, np.float32), pauses=((2.5, 3.0),), usual_language="vi")
    assert detector.first_run(None, window, "vi").end_s is None  # type: ignore[arg-type]
    free = detector.first_run(None, replace(window, usual_language=None), "vi")  # type: ignore[arg-type]
    assert (free.language, free.end_s) == ("zh", 2.75)


def test_spans_lie_between_pauses_that_are_long_enough() -> None:
    """A closure inside a word divides nothing; words of the prefix are not looked at again."""
    pauses = [(0.0, 0.3), (2.0, 2.1), (3.0, 3.2), (5.0, 5.5)]
    assert spans_between(pauses, 0.0, 8.0) == [(0.3, 3.0), (3.2, 5.0), (5.5, 8.0)]
    assert spans_between(pauses, 3.2, 8.0) == [(3.2, 5.0), (5.5, 8.0)]
    assert spans_between(pauses, 4.0, 8.0) == [(5.5, 8.0)]
    assert spans_between([], 0.0, 8.0) == [(0.0, 8.0)]


# -- with the multilingual model ---------------------------------------------------------------------------------------

PAUSE_S = 0.4


def joined(*parts: tuple[str, int]) -> np.ndarray:
    """Recordings of several sets with short pauses between them."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([sound for name, index in parts for sound in (recording(name, index), pause)])


def recording(name: str, index: int) -> np.ndarray:
    return read(list(load_dataset(SPEECH / name).utterances)[index]).samples


SWITCHED = (("en-read", 2), ("de-crowd", 0), ("en-read", 3), ("ru-crowd", 3))
LANGUAGES = ["en", "de", "en", "ru"]


def without_repetition(languages: list[str]) -> list[str]:
    return [code for code, _ in groupby(languages)]


@pytest.mark.slow
@pytest.mark.model
@with_recordings
def test_each_language_of_a_stream_and_of_a_file_is_written(whisper_base: Engine) -> None:
    """A German sentence between English ones used to be left out. Finals name the language of their words."""
    samples = joined(*SWITCHED)
    live = finals(run(whisper_base, samples, whisper_base.open()))
    file = finals(run(whisper_base, samples, whisper_base.open(offline_settings(), partials=False)))
    for events in (live, file):
        assert without_repetition([final.language for final in events]) == LANGUAGES
        assert "Gelände" in text_of(list(events))
    assert transcribe(samples, whisper_base).text == text_of(list(file))


@pytest.mark.slow
@pytest.mark.model
@with_recordings
def test_a_language_that_the_client_chose_stays(whisper_base: Engine) -> None:
    """The words are what the model makes of them."""
    samples = joined(*SWITCHED[:2])
    assert {final.language for final in finals(run(whisper_base, samples, whisper_base.open(language="en")))} == {"en"}


def finals(events: list[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final) and event.words]
