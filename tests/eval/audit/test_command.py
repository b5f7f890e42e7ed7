"""`asr eval audit`, from the command line to the page and the table."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.cli import run
from asr.config import SAMPLE_RATE_HZ
from eval.trace import write_traces
from tests.eval.fakes import said
from tests.speech import clip, silence

SENTENCES = {"quick_brown_fox": "The quick brown fox jumps over the lazy dog.", "hello_world": "hello world"}


def asr(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """Two sets, "train" and "test". They share a recording; one has a label that is wrong, one a broken file."""
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    spoken = {name: np.concatenate([silence(0.5), clip(name), silence(0.5)]) for name in SENTENCES}
    rows: dict[str, list[dict[str, object]]] = {"train": [], "test": []}

    def add(where: str, name: str, samples: np.ndarray, text: str, **fields: object) -> None:
        soundfile.write(tmp_path / where / f"{name}.wav", samples, SAMPLE_RATE_HZ)
        rows[where].append({"audio_filepath": f"{name}.wav", "text": text, "language": "en"} | fields)

    add("train", "fox", spoken["quick_brown_fox"], SENTENCES["quick_brown_fox"], speaker="ann", device="desk")
    add("train", "hello", spoken["hello_world"], "hello world", speaker="bob", device="<script>alert(1)</script>")
    add("test", "fox-again", spoken["quick_brown_fox"], "THE QUICK BROWN DOG", speaker="ann")
    rows["test"].append({"audio_filepath": "gone.wav", "text": "gone", "language": "en"})
    for where, listed in rows.items():
        (tmp_path / where / "manifest.jsonl").write_text("\n".join(map(json.dumps, listed)))
    return tmp_path / "train", tmp_path / "test"


def test_an_audit_finds_what_was_hidden_and_says_what_it_left_out(
    sets: tuple[Path, Path], tmp_path: Path, capsys
) -> None:
    """The contradiction, the shared recording and speaker, the file that is gone; numbers of each recording."""
    out = tmp_path / "out"
    assert asr("eval", "audit", *sets, "--out", out) == 0
    table = json.loads((out / "audit.json").read_text())
    grave = [finding["kind"] for finding in table["findings"] if finding["grave"]]
    assert grave == ["same audio, different texts"]
    assert [(leak["kind"], leak["sets"]) for leak in table["leaks"]] == [
        ("recording", ["train", "test"]),
        ("speaker", ["train", "test"]),
    ]
    assert [(left["line"], left["kind"]) for left in table["left_out"]] == [(2, "no audio file")]
    assert [recording["id"] for recording in table["recordings"]] == ["fox", "hello", "fox-again"]
    assert all(recording["speech_s"] > 0.3 for recording in table["recordings"])
    assert table["verdict"][1] == "1 of 4 could not be used: 1 no audio file."
    assert capsys.readouterr().out.splitlines()[:2] == table["verdict"][:2]
    assert {"data train", "data test", "commit", "python"} <= set(table["made_of"])


def test_the_page_is_one_file_that_loads_nothing_and_plays_what_it_shows(
    sets: tuple[Path, Path], tmp_path: Path
) -> None:
    """No address of elsewhere; what a manifest says is text, never markup; sounds are inside."""
    out = tmp_path / "out"
    assert asr("eval", "audit", *sets, "--out", out) == 0
    page = (out / "audit.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<script>alert" not in page
    sounds = json.loads(re.search(r"const sounds = (.*);", page)[1])  # type: ignore[index]
    assert set(re.findall(r'data-sound="([^"]*)"', page)) == set(sounds)
    assert all(sound.startswith("data:audio/wav;base64,") for sound in sounds.values())
    assert page.count("<svg") == 2 * 6


@pytest.mark.slow
def test_recordings_beyond_the_budget_are_linked(sets: tuple[Path, Path], tmp_path: Path) -> None:
    """By a path from the page to the file."""
    out = tmp_path / "deep" / "out"
    assert asr("eval", "audit", *sets, "--out", out, "--embed-mb", "0") == 0
    sounds = json.loads(re.search(r"const sounds = (.*);", (out / "audit.html").read_text())[1])  # type: ignore[index]
    assert sounds["train/fox"] == "../../train/fox.wav"


def test_the_models_of_given_runs_dispute_labels(sets: tuple[Path, Path], tmp_path: Path) -> None:
    """Both models contradict the wrong label; their transcripts under noise do not count."""
    (tmp_path / "run").mkdir()
    about = {"reference": "the quick brown dog", "utterance": "fox-again", "dataset": "test", "mode": "offline"}
    spoken = "the quick brown fox jumps over the lazy dog"
    traces = [said(spoken, model=model, **about) for model in ("a", "b")]
    traces += [said("noise", model=model, **about | {"dataset": "test+babble@0dB"}) for model in ("a", "b")]
    write_traces(tmp_path / "run" / "traces.jsonl", traces)
    assert asr("eval", "audit", *sets, "--out", tmp_path / "out", "--traces", tmp_path / "run") == 0
    (dispute,) = json.loads((tmp_path / "out" / "audit.json").read_text())["disputes"]
    assert (dispute["utterance"], dispute["between"], len(dispute["hearings"])) == ("fox-again", 0.0, 2)
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "Disputed labels (1)" in page
    assert '<td lang="en">the quick brown dog</td>' in page  # a screen reader speaks labels in their language
    assert {*re.findall(r'<span class="text"([^>]*)>', page)} == {' lang="en"'}


def test_sets_of_one_name_are_prefixed_with_the_folder_above(tmp_path: Path) -> None:
    """Training and test data often have the same layout. The same data twice is wrong use."""
    for above in ("train", "test"):
        folder = tmp_path / above / "en"
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.wav", np.zeros(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
        (folder / "a.txt").write_text(f"a text for {above}")
    data = [tmp_path / "train" / "en", tmp_path / "test" / "en"]
    assert asr("eval", "audit", *data, "--out", tmp_path / "out") == 0
    sets = json.loads((tmp_path / "out" / "audit.json").read_text())["sets"]
    assert [part["name"] for part in sets] == ["train/en", "test/en"]
    assert asr("eval", "audit", data[0], data[0], "--out", tmp_path / "out") == 2


def test_data_and_traces_of_which_nothing_can_be_used_are_wrong_use(tmp_path: Path, capsys) -> None:
    """In one sentence."""
    (tmp_path / "manifest.jsonl").write_text("{}\n")
    assert asr("eval", "audit", tmp_path, "--out", tmp_path / "out") == 2
    assert "no usable recording" in capsys.readouterr().err
