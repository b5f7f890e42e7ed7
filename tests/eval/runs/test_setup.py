"""Data sets as the commands use them."""

from pathlib import Path

import pytest

from asr.errors import ConfigError
from eval.runs.setup import load_datasets, parse_counts


def test_data_without_a_usable_recording_is_wrong_use(tmp_path: Path) -> None:
    """The error has the first problem."""
    (tmp_path / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"no usable recording .*manifest.jsonl:1"):
        load_datasets([tmp_path])


def test_two_sets_of_one_name_are_refused(data: Path) -> None:
    """Their traces would have equal keys."""
    with pytest.raises(ConfigError, match="same name"):
        load_datasets([data, data])


def test_minutes_and_joining_shape_the_data(data: Path) -> None:
    """Cut first, at a whole recording, then joined; no set is left empty."""
    (one,) = load_datasets([data], minutes=0.01, join_s=60)
    (two,) = load_datasets([data], minutes=0.04, join_s=60)
    assert [len(u.clips) for u in one.utterances] == [1]
    assert [len(u.clips) for u in two.utterances] == [2]


@pytest.mark.parametrize("text", ["", "0", "1,x", "-1", "1,,2"])
def test_numbers_of_streams_must_be_numbers(text: str) -> None:
    """The error shows an example."""
    with pytest.raises(ConfigError, match="wanted numbers above 0 such as 1,4,8"):
        parse_counts(text)
