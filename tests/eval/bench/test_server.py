"""`asr bench`: tables and JSON lines."""

import json
from pathlib import Path

import pytest

from asr.errors import ConfigError, ModelError
from eval.bench.files import OURS, alternate, measured, ratios
from eval.bench.peers.transcribers import ctranslate2_folder
from eval.bench.server import Level, parse_counts
from eval.metrics.score import scores
from eval.progress import progress
from eval.runs.local_server import ServerError, serving
from eval.runs.runner import TraceCollector
from tests.eval.fakes import final, recording, said, trace, word
from tests.server.scripted_server import answer, listening


def line(shown: str) -> dict:
    """The JSON line, which is the last."""
    return json.loads(shown.strip().splitlines()[-1])


def test_bench_engine_measures_offline_and_replay_on_joined_clips(asr, data: Path, capsys) -> None:
    """One line with everything: signature, both scores, what was lost."""
    assert asr("bench", "engine", "--data", data.parent / "good") == 1  # nothing is there
    manifest = [json.loads(row) for row in (data / "manifest.jsonl").read_text().splitlines()]
    (data / "manifest.jsonl").write_text("\n".join(json.dumps(r) for r in manifest if r["audio_filepath"] != "b.wav"))
    capsys.readouterr()
    assert asr("bench", "engine", "--data", data) == 0
    table = line(capsys.readouterr().out)
    assert table["bench"] == "engine"
    assert [(s["mode"], s["utterances"]) for s in table["scores"]] == [("offline", 1), ("replay", 1)]
    assert table["scores"][1]["delays"]["stable"]["p95"] is not None
    assert set(table["signature"]["data"]) == {"spoken"}


def test_bench_server_has_a_level_for_each_number_of_streams(asr, data: Path, capsys) -> None:
    """Clips come round again where there are fewer than streams."""
    (data / "manifest.jsonl").write_text('{"audio_filepath": "a.wav", "text": "red green", "language": "en"}')
    with listening(answer) as url:
        assert asr("bench", "server", "--data", data, "--url", url, "--streams", "1,3") == 0
    table = line(capsys.readouterr().out)
    assert [(level["streams"], level["utterances"]) for level in table["levels"]] == [(1, 1), (3, 3)]
    assert [level["accuracy"]["normalised"]["rate"] for level in table["levels"]] == [0.0, 0.0]


def test_streams_are_carried_while_no_word_is_late_and_none_fails() -> None:
    """95 % of the words stable within 2.5 s of their ends."""

    def level(delay_s: float, **fields: str) -> Level:
        return Level(1, scores([trace(final(1.0 + delay_s, word("a", 0.0, 1.0)), mode="live", **fields)])[0], None)

    assert level(2.0).carried
    assert not level(3.0).carried
    assert not level(2.0, error="it broke").carried
    assert not Level(1, scores([trace(mode="live")])[0], None).carried


@pytest.mark.parametrize("text", ["", "0", "1,x", "-1", "1,,2"])
def test_numbers_of_streams_must_be_numbers(text: str) -> None:
    """With an example."""
    with pytest.raises(ConfigError, match="wanted numbers above 0 such as 1,4,8"):
        parse_counts(text)


def test_files_are_run_in_turns() -> None:
    """After one unmeasured file each, who begins changes from file to file."""
    calls: list[str] = []

    def system(name: str):
        return lambda file, language, seconds: calls.append(name + file.stem) or "said"

    with progress("x", 1.0) as bar:
        collector = TraceCollector(bar)
        alternate(
            iter([recording(1.0, name="1"), recording(1.0, name="2")]), {"a": system("a"), "b": system("b")}, collector
        )
    assert calls == ["a1", "b1", "a1", "b1", "b2", "a2"]
    assert [t.model + t.utterance for t in collector.traces] == ["a1", "b1", "b2", "a2"]


def test_a_files_trace_is_scored_like_any_other() -> None:
    """Its text is its only final; no text, no words."""
    told = measured(OURS, lambda *_: "red green", recording(2.0, text="red green"))
    assert (told.text, told.mode, told.model) == ("red green", "offline", OURS)
    assert told.cpu_s is not None
    assert measured(OURS, lambda *_: "", recording(2.0)).text == ""


def test_ratios_are_ours_over_the_peers() -> None:
    """Twice as fast at half the cost, one error of two words more; only on data that both had."""
    ours = said("a x", reference="a b", model=OURS, busy_s=1.0, cpu_s=1.0, mode="offline")
    peer = said("a b", reference="a b", model="peer", busy_s=2.0, cpu_s=2.0, mode="offline")
    alone = said("a", reference="a", model=OURS, dataset="e", mode="offline")
    (ratio,) = ratios(scores([ours, peer, alone]), "peer")
    assert (ratio.dataset, ratio.speed, ratio.cpu, ratio.points) == ("d", 2.0, 0.5, 50.0)


def test_an_unknown_peer_is_wrong_use(asr, data: Path, capsys) -> None:
    """With the names of those that are known."""
    assert asr("bench", "files", "--data", data, "--against", "nobody") == 2
    assert "known are faster-whisper" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["whisper-tiny.en", "whisper-base"])
def test_a_packaged_model_becomes_a_folder_that_the_peer_reads(model: str) -> None:
    """Its parts joined, with what faster-whisper asks for beside; the hash is the configured one."""
    import hashlib

    from asr.model_files.configured import configured_models

    with ctranslate2_folder(model) as folder:
        assert {path.name for path in folder.iterdir()} >= {"model.bin", "config.json", "tokenizer.json"}
        assert any(path.name.startswith("vocabulary") for path in folder.iterdir())
        found = hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()
        assert found == configured_models()[model].sha256
    assert not folder.exists()


def test_a_folder_is_the_peers_as_it_is_and_other_models_are_refused(tmp_path: Path) -> None:
    """A hub's model is in another layout."""
    with ctranslate2_folder(str(tmp_path)) as folder:
        assert folder == tmp_path
    with pytest.raises(ModelError, match="CTranslate2"), ctranslate2_folder("openai/whisper-small"):
        pass


def test_a_server_that_does_not_come_up_says_why() -> None:
    """Its last line, instead of waiting."""
    with pytest.raises(ServerError, match=r"its last words: asr: .*no-such-model"), serving("no-such-model"):
        pass
