"""Which recordings are found, and where their texts go. Nothing is decoded here."""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from asr.audio.kinds import SUFFIXES
from asr.errors import AudioError, ConfigError
from batch.inputs import check_output_dir, find_inputs, named_apart
from batch.progress import passed_over_lines
from batch.reader import RecordingReader


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def stems(folder: Path, **options: object) -> list[str]:
    return [recording.stem for recording in find_inputs([folder], **options).recordings]  # type: ignore[arg-type]


def test_files_of_a_folder_with_known_endings_are_recordings(tmp_path: Path) -> None:
    """Not texts, hidden files or other folders; with `recursive` also deeper ones, with their place in the tree."""
    tree(tmp_path, "b.MP3", "a.wav", "a.txt", ".hidden.wav", "deep/er/c.opus", "noext")
    assert stems(tmp_path) == ["a", "b"]
    assert stems(tmp_path, recursive=True) == ["a", "b", "deep/er/c"]


def test_patterns_choose_instead_of_endings(tmp_path: Path) -> None:
    """Patterns add up; case does not matter."""
    tree(tmp_path, "a.wav", "b.mp3", "c.raw2", "deep/d.MP3")
    assert stems(tmp_path, recursive=True, include=("*.mp3", "c.*")) == ["b", "c", "deep/d"]


def test_unexpanded_patterns_are_expanded(tmp_path: Path) -> None:
    """A shell usually expands them, a service file does not. A file that is named like a pattern is taken itself."""
    tree(tmp_path, "a1.wav", "a2.wav", "b.wav", "odd[1].wav")
    assert [r.path.name for r in find_inputs([tmp_path / "a*.wav"]).recordings] == ["a1.wav", "a2.wav"]
    assert [r.path.name for r in find_inputs([tmp_path / "odd[1].wav"]).recordings] == ["odd[1].wav"]
    with pytest.raises(ConfigError, match="no file matches"):
        find_inputs([tmp_path / "z*.wav"])


@pytest.mark.parametrize(
    "name", ["with space.wav", "new\nline.wav", "Grüße 日本語.wav", "👩‍👧.wav", "-dash.wav", "a.b.wav"]
)
def test_any_name_is_a_name(tmp_path: Path, name: str) -> None:
    """Spaces, line breaks, other scripts, emoji, leading dashes, points."""
    tree(tmp_path, name)
    assert stems(tmp_path) == [name.removesuffix(".wav")]


def test_a_name_that_is_no_unicode_is_kept(tmp_path: Path) -> None:
    """Linux allows any bytes."""
    path = os.path.join(os.fsencode(tmp_path), b"\xff\xfe.wav")
    with open(path, "wb") as file:
        file.write(b"x")
    assert [os.fsencode(r.path.name) for r in find_inputs([tmp_path]).recordings] == [b"\xff\xfe.wav"]


def test_links_that_loop_end(tmp_path: Path) -> None:
    """To the folder itself, to one above it, to each other, to themselves; links to elsewhere are followed."""
    tree(tmp_path, "in/a.wav", "in/one/b.wav", "in/two/c.wav", "elsewhere/d.wav")
    (tmp_path / "in/self").symlink_to(tmp_path / "in")
    (tmp_path / "in/one/up").symlink_to("..")
    (tmp_path / "in/one/other").symlink_to(tmp_path / "in/two")
    (tmp_path / "in/two/other").symlink_to(tmp_path / "in/one")
    (tmp_path / "in/far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/ouroboros").symlink_to("ouroboros")
    assert stems(tmp_path / "in", recursive=True) == ["a", "far/d", "one/b", "one/other/c", "two/c", "two/other/b"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    """The others are found, and one failure names the folder."""
    tree(tmp_path, "a.wav", "locked/b.wav")
    (tmp_path / "locked").chmod(0)
    try:
        inputs = find_inputs([tmp_path], recursive=True)
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert [r.stem for r in inputs.recordings] == ["a"]
    assert [(f.path.name, "cannot be read" in f.sentence) for f in inputs.failures] == [("locked", True)]


def test_a_folder_that_cannot_be_listed_is_a_failure_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with a simulated refusal, because root may read everything."""
    tree(tmp_path, "a.wav", "locked/b.wav")
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    inputs = find_inputs([tmp_path], recursive=True)
    assert [r.stem for r in inputs.recordings] == ["a"]
    assert inputs.failures[0].sentence == "folder cannot be read (Permission denied); wanted permission to list it"


def test_the_output_folder_is_not_searched(tmp_path: Path) -> None:
    """Otherwise a second run could find files of the first."""
    tree(tmp_path, "a.wav", "out/b.wav")
    assert stems(tmp_path, recursive=True, leave_out=tmp_path / "out") == ["a"]


def test_a_file_that_is_given_twice_is_taken_once(tmp_path: Path) -> None:
    """By its path: alone, in a folder, or both."""
    tree(tmp_path, "a.wav")
    assert len(find_inputs([tmp_path, tmp_path / "a.wav", tmp_path]).recordings) == 1


def named(root: Path, *paths: Path, formats: Sequence[str] = ("txt",)) -> dict[str, str]:
    """File name -> stem of the recordings in `root`, or of these paths."""
    inputs = named_apart(find_inputs(paths or [root]), root / "out", formats, ("failures.jsonl",))
    return {recording.path.name: recording.stem for recording in inputs.recordings}


def test_recordings_of_one_name_get_texts_of_their_own(tmp_path: Path) -> None:
    """The first has the plain name, the others their whole names, also where a file is named like those."""
    tree(tmp_path, "talk.mp3", "talk.mp4", "talk.mp4.wav", "other.wav")
    stems = named(tmp_path)
    assert stems == {"other.wav": "other", "talk.mp3": "talk", "talk.mp4": "talk.mp4", "talk.mp4.wav": "talk.mp4.wav"}
    tree(tmp_path, "one/a.wav", "two/a.wav", "three/a.wav")
    same = named_apart(find_inputs(sorted(tmp_path.glob("*/a.wav"))), tmp_path / "out", ("txt",), ())
    assert [recording.stem for recording in same.recordings] == ["a", "a.wav", "a.wav (2)"]
    assert [recording.stem for recording in same.renamed] == ["a.wav", "a.wav (2)"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("Talk.wav", "talk.wav"), ("caf\u00e9.mp3", "cafe\u0301.wav"), ("STRASSE.wav", "stra\u00dfe.wav")],
)
def test_names_that_some_file_systems_take_for_one_are_told_apart(tmp_path: Path, first: str, second: str) -> None:
    """Case, and the two forms of an accented letter, so that a folder can be copied to any machine."""
    tree(tmp_path, first, second)
    stems = [unicodedata.normalize("NFC", stem).casefold() for stem in named(tmp_path).values()]
    assert len(set(stems)) == 2


def test_a_name_that_leaves_no_room_for_an_ending_is_cut(tmp_path: Path) -> None:
    """255 bytes are the limit of usual file systems; two long names stay two."""
    names = ["\u00e9" * 120 + "x" * length + ".wav" for length in (9, 10, 11)]
    tree(tmp_path, *names)
    stems = named(tmp_path, formats=("txt", "jsonl"))
    assert len(set(stems.values())) == 3
    for stem in stems.values():
        (tmp_path / f"{stem}.jsonl").touch()


def test_recordings_and_our_own_files_are_not_overwritten(tmp_path: Path) -> None:
    """Not through a link to their folder either."""
    tree(tmp_path, "a.txt", "failures.wav")
    (tmp_path / "link").symlink_to(tmp_path)
    taken = named_apart(find_inputs([tmp_path / "a.txt"]), tmp_path / "link", ("txt",), ())
    assert [recording.stem for recording in taken.recordings] == ["a.txt"]
    assert named(tmp_path, formats=("jsonl",)) == {"failures.wav": "failures.wav"}


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """Before any work."""
    tree(tmp_path, "out")
    with pytest.raises(ConfigError, match="is a file, wanted a folder"):
        check_output_dir(tmp_path / "out")


@pytest.mark.parametrize("name", ["talk.txt", "talk.SRT", "talk.jsonl"])
def test_an_output_folder_with_the_name_of_a_text_is_refused(tmp_path: Path, name: str) -> None:
    """Elsewhere `-o` names a file; a folder `talk.txt` would surprise. One that is there already is used."""
    with pytest.raises(ConfigError, match=rf"wanted a folder; for one text: .*--format {name[5:].lower()} > "):
        check_output_dir(tmp_path / name)
    (tmp_path / name).mkdir()
    check_output_dir(tmp_path / name)
    for other in ("talk.d", "2026.11", ".txt"):
        check_output_dir(tmp_path / other)


def test_all_kinds_of_recordings_are_taken_and_the_rest_is_counted(tmp_path: Path) -> None:
    """Hidden files and our own folder do not count, nothing does where patterns choose."""
    tree(tmp_path, *(f"{index}{suffix}" for index, suffix in enumerate(sorted(SUFFIXES))))
    tree(tmp_path, "notes.txt", "b.pdf", "c.PDF", "noext", ".hidden", "deep/d.wav", "out/e.txt")
    inputs = find_inputs([tmp_path], leave_out=tmp_path / "out")
    assert len(inputs.recordings) == len(SUFFIXES)
    assert sorted(path.name for path in inputs.passed_over) == ["b.pdf", "c.PDF", "noext", "notes.txt"]
    assert passed_over_lines(inputs) == [
        "passed over 4 files, not recordings by their names: "
        "2 .pdf (b.pdf, c.PDF), 1 .txt (notes.txt), 1 no ending (noext)",
        "passed over 1 folder (deep); --recursive searches them",
    ]
    assert passed_over_lines(find_inputs([tmp_path], recursive=True, include=["*.wav"])) == []


def test_a_link_that_leads_nowhere_is_named_as_it_is(tmp_path: Path) -> None:
    """With every dot of its name, also where it is read by a relative path."""
    link = tmp_path / "dangling.v2.mp3"
    link.symlink_to("nowhere.mp3")
    nobody: Any = None
    with pytest.raises(AudioError, match=re.escape(f"found {link} unreadable (No such file or directory); wanted")):
        RecordingReader(link, nobody, nobody).read(1.0)
