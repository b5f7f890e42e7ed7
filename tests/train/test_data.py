"""Reading, splitting and labelling recordings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr.errors import CallerError, ConfigError
from tests.speech import RATE_HZ, clip
from train.config import DataSettings, LabelSettings
from train.ctc_task import case_of
from train.data import check_letters, load_split


def test_unknown_letters_are_listed_with_their_counts() -> None:
    """The most frequent first."""
    with pytest.raises(CallerError, match=r"'x' \(3\), 'y' \(1\)"):
        check_letters(["xx y", "ax"], "a", "here")
    assert (case_of(["A", "B", "|", "<pad>"]), case_of(["a", "|"]), case_of(["a", "B"])) == ("upper", "lower", "keep")


def test_left_out_speakers_are_not_used(tmp_path: Path) -> None:
    """An unknown speaker is an error."""
    import soundfile

    rows = []
    for i, speaker in enumerate("aabbcc"):
        soundfile.write(tmp_path / f"{i}.wav", clip("hello_world"), RATE_HZ)
        rows.append(json.dumps({"audio_filepath": f"{i}.wav", "text": "Hi", "speaker": speaker}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(rows))
    settings = DataSettings(train=(str(tmp_path),), left_out_speakers=("a",), dev_speakers=("c",))
    split = load_split(settings, LabelSettings(case="lower"), 0)
    assert ([e.speaker for e in split.train], [e.speaker for e in split.dev]) == (["b", "b"], ["c", "c"])
    assert split.train[0].text == "hi"
    with pytest.raises(ConfigError, match="no recording is by speaker 'd'; the speakers are a, b, c"):
        load_split(replace(settings, left_out_speakers=("d",)), LabelSettings(), 0)
