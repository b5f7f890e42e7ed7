"""The journal survives incomplete lines, damage and two simultaneous runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr.errors import ConfigError
from batch.journal import STATE_FOLDER, Entry, Speed, open_journal, read_journal

DONE = Entry("/in/a.wav", "a", 10, 20, "sound", "task", {"txt": "one"}, 1.5)


def file_of(folder: Path) -> Path:
    return folder / STATE_FOLDER / "journal.jsonl"


def test_entries_are_read_back(tmp_path: Path) -> None:
    """Also with line breaks or lone surrogates in names."""
    odd = replace(DONE, stem="new\nline\udcff")
    with open_journal(tmp_path) as journal:
        journal.record(DONE)
        journal.record(odd)
        journal.record_speed(Speed("task", 2, 100.0, 10.0))
    with open_journal(tmp_path) as journal:
        assert journal.entries == {"a": DONE, odd.stem: odd}
        assert journal.speeds == [Speed("task", 2, 100.0, 10.0)]
    assert read_journal(tmp_path).entries == {"a": DONE, odd.stem: odd}


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    """Here a file is in its way; a read-only folder is refused by the same calls."""
    (tmp_path / "file").write_text("")
    sentence = r"file/out cannot be written to \(Not a directory\); wanted a folder"
    with pytest.raises(ConfigError, match=sentence), open_journal(tmp_path / "file" / "out"):
        pass


@pytest.mark.parametrize("kept", range(0, 200, 7))
def test_an_incomplete_last_line_costs_that_line_only(tmp_path: Path, kept: int) -> None:
    """Wherever a power cut stopped the write, the next run begins on a new line."""
    with open_journal(tmp_path) as journal:
        journal.record(DONE)
        journal.record(replace(DONE, stem="b"))
    whole = file_of(tmp_path).read_bytes()
    file_of(tmp_path).write_bytes(whole[: len(whole) // 2 + kept] if kept < len(whole) // 2 else whole)
    with open_journal(tmp_path) as journal:
        assert journal.entries["a"] == DONE
        journal.record(replace(DONE, stem="c"))
    lines = [json.loads(line) for line in file_of(tmp_path).read_bytes().splitlines()]
    assert lines[-1]["done"]["stem"] == "c"


def test_a_damaged_line_costs_its_recording_only(tmp_path: Path) -> None:
    """A disk's zeros in the middle, or another version's line."""
    with open_journal(tmp_path) as journal:
        journal.record(DONE)
    with file_of(tmp_path).open("ab") as file:
        file.write(b"\0\0\0\n" + b'{"done": {"stem": "b"}}\n' + b"[1]\n")
    with open_journal(tmp_path) as journal:
        journal.record(replace(DONE, stem="c"))
    assert set(read_journal(tmp_path).entries) == {"a", "c"}


def test_formats_of_the_same_recording_and_task_add_up(tmp_path: Path) -> None:
    """A later run for subtitles keeps the texts; another recording or task does not."""
    with open_journal(tmp_path) as journal:
        journal.record(DONE)
        journal.record(replace(DONE, outputs={"srt": "two"}))
        assert journal.entries["a"].outputs == {"txt": "one", "srt": "two"}
        journal.record(replace(DONE, sha256="other", outputs={"srt": "three"}))
        assert journal.entries["a"].outputs == {"srt": "three"}


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    """The second one fails; it does not wait or write."""
    with open_journal(tmp_path), pytest.raises(ConfigError, match="another run"), open_journal(tmp_path):
        pass


def test_reading_makes_no_file(tmp_path: Path) -> None:
    """`--dry-run` with a folder that does not exist yet."""
    assert read_journal(tmp_path / "none").entries == {}
    assert list(tmp_path.iterdir()) == []
