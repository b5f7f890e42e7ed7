"""`asr bench`: tables and JSON lines."""

import json
from pathlib import Path

import pytest

from tests.eval.output import json_line
from tests.server.scripted_server import answer, listening


def test_bench_engine_measures_offline_and_replay_on_joined_clips(asr, data: Path, capsys) -> None:
    """One line with everything: signature, the metrics of both modes, what was lost by streaming."""
    assert asr("bench", "engine", "--data", data.parent / "good") == 1  # nothing is there
    manifest = [json.loads(row) for row in (data / "manifest.jsonl").read_text().splitlines()]
    (data / "manifest.jsonl").write_text("\n".join(json.dumps(r) for r in manifest if r["audio_filepath"] != "b.wav"))
    capsys.readouterr()
    assert asr("bench", "engine", "--data", data) == 0
    table = json_line(capsys.readouterr().out)
    assert table["bench"] == "engine"
    assert [(s["mode"], s["utterances"]) for s in table["scores"]] == [("offline", 1), ("replay", 1)]
    assert table["scores"][1]["figures"]["stable_p95"] is not None
    assert [(loss["mode"], loss["minus_offline_points"]) for loss in table["streamed"]] == [("replay", 0.0)]
    assert set(table["signature"]["data"]) == {"spoken"}


@pytest.mark.slow
def test_bench_server_has_a_level_for_each_number_of_streams(asr, data: Path, capsys) -> None:
    """Clips repeat where there are fewer than streams."""
    (data / "manifest.jsonl").write_text('{"audio_filepath": "a.wav", "text": "red green", "language": "en"}')
    with listening(answer) as url:
        assert asr("bench", "server", "--data", data, "--url", url, "--streams", "1,3") == 0
    shown = capsys.readouterr().out
    table = json_line(shown)
    assert [(level["streams"], level["utterances"]) for level in table["levels"]] == [(1, 1), (3, 3)]
    assert [level["figures"]["wer"] for level in table["levels"]] == [0.0, 0.0]
    assert [level["counts"]["hits"] for level in table["levels"]] == [2, 6]
    assert table["carried_streams"] in (0, 1, 3)
    assert [level["load"] for level in table["levels"]] == [[], []]  # this server has no metrics
    (data / "bench.txt").write_text(shown)
    assert asr("eval", "plan", data / "bench.txt", "--p95", "600") == 0
    assert "no step times were measured" in capsys.readouterr().out


def test_an_unknown_peer_is_wrong_use(asr, data: Path, capsys) -> None:
    """With the names of those that are known."""
    assert asr("bench", "files", "--data", data, "--against", "nobody") == 2
    assert "known are faster-whisper" in capsys.readouterr().err
    assert asr("bench", "server", "--data", data, "--against", "nobody") == 2
    assert "known are whisper-live, whisperlivekit" in capsys.readouterr().err


def test_a_comparison_starts_both_servers(asr, data: Path, capsys) -> None:
    """So an address makes no sense."""
    assert asr("bench", "server", "--data", data, "--against", "whisper-live", "--url", "ws://x") == 2
    assert "wanted one of them" in capsys.readouterr().err
