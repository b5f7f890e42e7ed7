"""A grid of settings, and its front."""

from pathlib import Path

import pytest

from asr.errors import ConfigError
from eval.metrics.resampling import Interval
from eval.report.sweep import Point, combinations_of, mark_front, session_settings


def test_a_grid_is_every_combination() -> None:
    """Numbers are numbers, words are words; each reaches its setting."""
    combinations = combinations_of(["stream.update_ms=400,800", "precision=int8,float32"])
    assert [combination.name for combination in combinations] == [
        f"stream.update_ms={ms}, precision={precision}" for ms in (400, 800) for precision in ("int8", "float32")
    ]
    assert session_settings(combinations[-1]).stream.update_ms == 800


@pytest.mark.parametrize("text", ["stream.update_ms", "=4", "stream.nonsense=1", "stream.update_ms=fast", "speed=1"])
def test_a_grid_that_cannot_be_is_refused_before_anything_runs(text: str) -> None:
    """Unknown keys, wrong values, no values."""
    with pytest.raises(ConfigError):
        combinations_of([text])


def test_the_front_is_what_nothing_beats() -> None:
    """c is beaten by a in everything; b is worse than a in error, but cheaper."""
    points = [
        Point(name, Interval(wer), Interval(delay), Interval(cpu))
        for name, wer, delay, cpu in (
            ("a", 5.0, 1.0, 0.2),
            ("b", 6.0, 1.0, 0.1),
            ("c", 7.0, 1.5, 0.3),
            ("d", 5.0, 1.0, 0.2),
        )
    ]
    assert [p.name for p in mark_front(points) if p.front] == ["a", "b", "d"]


def test_a_sweep_has_one_unit_of_errors(asr, data: Path, tmp_path: Path, capsys) -> None:
    """Words and characters have no common rate to compare settings by."""
    manifest = data / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"en"', '"zh"', 1))
    options = ("--data", data, "--out", tmp_path / "grid", "--grid", "stream.update_ms=400,800")
    assert asr("eval", "sweep", *options) == 2
    assert "found zh, counted in characters, and 1 in words, wanted one unit of errors" in capsys.readouterr().err
