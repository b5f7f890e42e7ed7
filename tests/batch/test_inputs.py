"""Which recordings are found, and where their texts go. Nothing is decoded here."""

import os
from pathlib import Path

import pytest

from asr.errors import ConfigError
from batch.inputs import Recording, check_outputs, find_inputs, without_clashes


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


def test_two_inputs_that_would_write_one_output_are_refused(tmp_path: Path) -> None:
    """Before any work, with both names."""
    tree(tmp_path, "a.wav", "a.mp3")
    with pytest.raises(ConfigError, match=r"a\.mp3 and .*a\.wav"):
        check_outputs(find_inputs([tmp_path]).recordings, tmp_path / "out", ("txt",), ())


def test_the_first_of_two_arriving_files_gets_the_name(tmp_path: Path) -> None:
    """The other is a failure: nobody is there to choose."""
    tree(tmp_path, "a.wav", "a.mp3", "b.wav")
    inputs = without_clashes(find_inputs([tmp_path]))
    assert [r.path.name for r in inputs.recordings] == ["a.mp3", "b.wav"]
    assert [(f.path.name, "the same file" in f.sentence) for f in inputs.failures] == [("a.wav", True)]


def test_recordings_and_our_own_files_are_not_overwritten(tmp_path: Path) -> None:
    """Not through a link to their folder either."""
    tree(tmp_path, "a.txt")
    (tmp_path / "link").symlink_to(tmp_path)
    taken = (Recording(tmp_path / "a.txt", "a"),)
    with pytest.raises(ConfigError, match="itself one of the files to read"):
        check_outputs(taken, tmp_path / "link", ("txt",), ())
    with pytest.raises(ConfigError, match="a reserved name"):
        check_outputs((Recording(tmp_path / "failures.wav", "failures"),), tmp_path, ("jsonl",), ("failures.jsonl",))
