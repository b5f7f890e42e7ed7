"""The journal survives what happens to files: torn ends, damage, two runs at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr.errors import ConfigError
from batch.journal import NOTES, Entry, Speed, journal_in, journal_of

DONE = Entry("/in/a.wav", "a", 10, 20, "sound", "task", {"txt": "one"}, 1.5)


def file_of(folder: Path) -> Path:
    return folder / NOTES / "journal.jsonl"


def test_what_was_noted_is_known_again(tmp_path: Path) -> None:
    """Names with line breaks or lone surrogates too."""
    odd = replace(DONE, stem="new\nline\udcff")
    with journal_in(tmp_path) as journal:
        journal.done(DONE)
        journal.done(odd)
        journal.ran(Speed("task", 2, 100.0, 10.0))
    with journal_in(tmp_path) as journal:
        assert journal.entries == {"a": DONE, odd.stem: odd}
        assert journal.speeds == [Speed("task", 2, 100.0, 10.0)]
    assert journal_of(tmp_path).entries == {"a": DONE, odd.stem: odd}


@pytest.mark.parametrize("kept", range(0, 200, 7))
def test_a_torn_end_costs_the_torn_line_only(tmp_path: Path, kept: int) -> None:
    """Wherever a power cut left off, the next run begins on a clean line."""
    with journal_in(tmp_path) as journal:
        journal.done(DONE)
        journal.done(replace(DONE, stem="b"))
    whole = file_of(tmp_path).read_bytes()
    file_of(tmp_path).write_bytes(whole[: len(whole) // 2 + kept] if kept < len(whole) // 2 else whole)
    with journal_in(tmp_path) as journal:
        assert journal.entries["a"] == DONE
        journal.done(replace(DONE, stem="c"))
    lines = [json.loads(line) for line in file_of(tmp_path).read_bytes().splitlines()]
    assert lines[-1]["done"]["stem"] == "c"


def test_a_damaged_line_costs_its_recording_only(tmp_path: Path) -> None:
    """A disk's zeros in the middle, or another version's line."""
    with journal_in(tmp_path) as journal:
        journal.done(DONE)
    with file_of(tmp_path).open("ab") as file:
        file.write(b"\0\0\0\n" + b'{"done": {"stem": "b"}}\n' + b"[1]\n")
    with journal_in(tmp_path) as journal:
        journal.done(replace(DONE, stem="c"))
    assert set(journal_of(tmp_path).entries) == {"a", "c"}


def test_formats_of_the_same_sound_and_task_add_up(tmp_path: Path) -> None:
    """A later run for subtitles does not forget the texts; another sound or task does."""
    with journal_in(tmp_path) as journal:
        journal.done(DONE)
        journal.done(replace(DONE, outputs={"srt": "two"}))
        assert journal.entries["a"].outputs == {"txt": "one", "srt": "two"}
        journal.done(replace(DONE, sha256="other", outputs={"srt": "three"}))
        assert journal.entries["a"].outputs == {"srt": "three"}


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    """The second says so; it must not wait, nor write."""
    with journal_in(tmp_path), pytest.raises(ConfigError, match="another run"), journal_in(tmp_path):
        pass


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """`--dry-run` of a folder that is not there yet."""
    assert journal_of(tmp_path / "none").entries == {}
    assert list(tmp_path.iterdir()) == []
