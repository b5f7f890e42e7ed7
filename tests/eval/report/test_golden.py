"""A report of traces so small that every figure was computed by hand: WER, delays, stability and cost, exactly."""

import json
from typing import Any

import pytest

from asr.cli import run as asr
from asr.events import Word
from eval.trace import Trace
from tests.eval.fakes import final, partial, trace, word
from tests.eval.run_folders import write_run


def placed(*words: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(word(text, start_s, end_s) for text, start_s, end_s in words)


RIGHT = placed(("red", 0.0, 0.5), ("green", 0.5, 1.5), ("blue", 2.0, 2.5))
WHYTE = placed(("black", 0.5, 1.0), ("whyte", 1.0, 2.0))
WHITE = placed(("black", 0.5, 1.0), ("white", 1.0, 2.0))
THANKS = placed(("thank", 1.0, 2.0), ("you", 2.0, 3.0))


def traces(mode: str) -> list[Trace]:
    """Two spoken utterances of 10 s and one of 30 s of noise. Streamed, "green" is "grin" first, "white" "whyte"."""
    streamed = mode == "replay"
    shown = [partial(1.0, "red"), partial(2.0, "red", "grin"), partial(3.0, "red", "green")] if streamed else []
    return [
        trace(*shown, final(4.0, *RIGHT, ends=True), reference="red green blue", utterance="a", mode=mode, cpu_s=1.0),
        trace(
            final(3.0, *(WHYTE if streamed else WHITE), ends=True),
            reference="black white",
            utterance="b",
            mode=mode,
            cpu_s=1.0,
        ),
        trace(final(5.0, *THANKS, ends=True), utterance="c", mode=mode, duration_s=30.0, end_wall_s=30.0, cpu_s=3.0),
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """`report.json` as `asr eval compare` writes it from the traces' file."""
    folder = tmp_path_factory.mktemp("golden")
    run = write_run(folder / "run", [*traces("offline"), *traces("replay")])
    assert asr(["eval", "compare", str(run), "--out", str(folder / "report")]) == 0
    read: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return read


def figures(report: dict[str, Any], mode: str) -> dict[str, float | None]:
    """The values of one mode's metrics; those with intervals and those without are the same."""
    system = next(s for s in report["systems"] if s["mode"] == mode)
    values = {key: interval["value"] for key, interval in system["figures"].items()}
    summary = next(s for s in report["dataset_figures"] if s["mode"] == mode)
    assert summary["figures"] == values
    return values


def test_errors_are_those_counted_by_hand(report: dict[str, Any]) -> None:
    """Streamed: "whyte" and two words in noise are three errors, of five words; in characters one and eight of 22.
    Two words in half a minute are four a minute."""
    streamed, offline = figures(report, "replay"), figures(report, "offline")
    assert (streamed["wer"], offline["wer"]) == (60.0, 40.0)
    assert streamed["wer_raw"] == 60.0
    assert streamed["cer"] == 100 * (9 / 22)
    assert (streamed["made_up"], streamed["made_up_share"]) == (4.0, 100.0)
    counts = next(s["counts"] for s in report["dataset_figures"] if s["mode"] == "replay")
    assert counts == {"hits": 4, "substitutions": 1, "deletions": 0, "insertions": 2}


def test_delays_are_those_computed_by_hand(report: dict[str, Any]) -> None:
    """Stable after 0.5, 1.5, 1.5; 2.0, 1.0; 3.0, 2.0 s. Final after 3.5, 2.5, 1.5; 2.0, 1.0; 3.0, 2.0 s."""
    streamed = figures(report, "replay")
    assert [streamed[f"stable_p{p}"] for p in (50, 90, 95, 99)] == pytest.approx([1.5, 2.4, 2.7, 2.94], abs=1e-12)
    assert [streamed[f"settled_p{p}"] for p in (50, 95)] == pytest.approx([1.5, 2.7], abs=1e-12)
    assert [streamed[f"committed_p{p}"] for p in (50, 95)] == pytest.approx([2.0, 3.35], abs=1e-12)
    assert (streamed["finalisation_p95"], streamed["coverage"]) == (0.0, 100.0)
    assert [figures(report, "offline")[key] for key in ("stable_p50", "committed_p95", "coverage")] == [None] * 3


def test_stability_and_cost_are_those_computed_by_hand(report: dict[str, Any]) -> None:
    """Eight showings, of which "grin" changed; seven final words; 50 s of audio; five CPU seconds."""
    streamed = figures(report, "replay")
    assert (streamed["changed"], streamed["flicker"], streamed["unstable"]) == (12.5, 0.02, 1 / 7)
    assert streamed["cpu"] == 0.1


def test_streaming_is_compared_with_offline(report: dict[str, Any]) -> None:
    """One error more of five words is 20 points; "white" is lost at the end of b."""
    (loss,) = report["streamed"]
    assert loss["minus_offline_points"] == pytest.approx(20.0, abs=1e-12)
    assert loss["lost_ends"] == [{"utterance": "b", "offline_end": "black white", "streamed_end": "black whyte"}]
