"""A grid of settings, and its front."""

import json
from pathlib import Path

import pytest

from asr.errors import ConfigError
from eval.metrics.bootstrap import Interval
from eval.report.sweep import Point, combinations_of, mark_front, session_settings
from tests.eval.fakes import ScriptedEngine


def test_a_grid_is_every_combination() -> None:
    """Numbers are numbers, words are words; each reaches its setting."""
    found = combinations_of(["stream.update_ms=400,800", "precision=int8,float32"])
    assert [setting.name for setting in found] == [
        f"stream.update_ms={ms}, precision={precision}" for ms in (400, 800) for precision in ("int8", "float32")
    ]
    assert session_settings(found[-1]).stream.update_ms == 800


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


def test_a_sweep_runs_each_setting_and_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine, data: Path, tmp_path: Path, capsys
) -> None:
    """One folder a setting; the table, the JSON and the picture of the front."""
    from asr.cli import run

    monkeypatch.setattr("eval.report.command.load_engine", lambda *_: engine)
    arguments = ["eval", "sweep", "--data", str(data), "--out", str(tmp_path), "--grid", "stream.update_ms=400,800"]
    for opened in (4, 4):
        assert run(arguments) == 0
        assert len(engine.opened) == opened
    assert {call["settings"].stream.update_ms for call in engine.opened} == {400, 800}
    points = json.loads((tmp_path / "sweep.json").read_text())
    assert [point["name"] for point in points] == ["stream.update_ms=400", "stream.update_ms=800"]
    assert "<svg" in (tmp_path / "sweep.html").read_text()
    assert "stream.update_ms=400" in capsys.readouterr().out
