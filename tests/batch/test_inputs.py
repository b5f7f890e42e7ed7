"""Which recordings are found, and where their texts go; nothing is decoded here."""

import os
from pathlib import Path

import pytest

from asr.errors import ConfigError
from batch.inputs import Recording, check_outputs, find, without_clashes


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def stems(found_in: Path, **options: object) -> list[str]:
    return [recording.stem for recording in find([found_in], **options).recordings]  # type: ignore[arg-type]


def test_a_folders_recordings_are_those_with_a_recordings_ending(tmp_path: Path) -> None:
    """Not its texts, hidden files or folders; deeper ones only when asked for, with their place in the tree."""
    tree(tmp_path, "b.MP3", "a.wav", "a.txt", ".hidden.wav", "deep/er/c.opus", "noext")
    assert stems(tmp_path) == ["a", "b"]
    assert stems(tmp_path, recursive=True) == ["a", "b", "deep/er/c"]


def test_patterns_choose_instead_of_endings(tmp_path: Path) -> None:
    """Several add up; case does not matter."""
    tree(tmp_path, "a.wav", "b.mp3", "c.raw2", "deep/d.MP3")
    assert stems(tmp_path, recursive=True, include=("*.mp3", "c.*")) == ["b", "c", "deep/d"]


def test_unexpanded_patterns_are_expanded(tmp_path: Path) -> None:
    """A shell does it mostly; a service file does not. A file that is really called so is itself."""
    tree(tmp_path, "a1.wav", "a2.wav", "b.wav", "odd[1].wav")
    assert [r.path.name for r in find([tmp_path / "a*.wav"]).recordings] == ["a1.wav", "a2.wav"]
    assert [r.path.name for r in find([tmp_path / "odd[1].wav"]).recordings] == ["odd[1].wav"]
    with pytest.raises(ConfigError, match="no file matches"):
        find([tmp_path / "z*.wav"])


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
    assert [os.fsencode(r.path.name) for r in find([tmp_path]).recordings] == [b"\xff\xfe.wav"]


def test_links_that_loop_end(tmp_path: Path) -> None:
    """To the folder itself, to one above it, to each other, to themselves; links to elsewhere are followed."""
    tree(tmp_path, "in/a.wav", "in/one/b.wav", "in/two/c.wav", "elsewhere/d.wav")
    (tmp_path / "in/self").symlink_to(tmp_path / "in")
    (tmp_path / "in/one/up").symlink_to("..")
    (tmp_path / "in/one/other").symlink_to(tmp_path / "in/two")
    (tmp_path / "in/two/other").symlink_to(tmp_path / "in/one")
    (tmp_path / "in/far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/ouroboros").symlink_to("ouroboros")
    found = stems(tmp_path / "in", recursive=True)
    assert found == ["a", "far/d", "one/b", "one/other/c", "two/c", "two/other/b"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    """The others are found, and one sentence names it."""
    tree(tmp_path, "a.wav", "locked/b.wav")
    (tmp_path / "locked").chmod(0)
    try:
        found = find([tmp_path], recursive=True)
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert [r.stem for r in found.recordings] == ["a"]
    assert [(f.path.name, "cannot be read" in f.sentence) for f in found.failures] == [("locked", True)]


def test_a_folder_that_cannot_be_listed_is_a_failure_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for root, who may read everything: the system's refusal is put on."""
    tree(tmp_path, "a.wav", "locked/b.wav")
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    found = find([tmp_path], recursive=True)
    assert [r.stem for r in found.recordings] == ["a"]
    assert found.failures[0].sentence == "folder cannot be read (Permission denied); wanted leave to list it"


def test_the_output_folder_is_not_searched(tmp_path: Path) -> None:
    """Else a second run could find the first one's files."""
    tree(tmp_path, "a.wav", "out/b.wav")
    assert stems(tmp_path, recursive=True, leave_out=tmp_path / "out") == ["a"]


def test_what_is_asked_for_twice_is_done_once(tmp_path: Path) -> None:
    """By its path, however it was found."""
    tree(tmp_path, "a.wav")
    assert len(find([tmp_path, tmp_path / "a.wav", tmp_path]).recordings) == 1


def test_two_inputs_that_would_write_one_output_are_refused(tmp_path: Path) -> None:
    """With both names, before any work."""
    tree(tmp_path, "a.wav", "a.mp3")
    with pytest.raises(ConfigError, match=r"a\.mp3 and .*a\.wav"):
        check_outputs(find([tmp_path]).recordings, tmp_path / "out", ("txt",), ())


def test_of_files_that_arrive_the_first_takes_the_name(tmp_path: Path) -> None:
    """The other is a failure with a sentence; nobody is there to choose."""
    tree(tmp_path, "a.wav", "a.mp3", "b.wav")
    found = without_clashes(find([tmp_path]))
    assert [r.path.name for r in found.recordings] == ["a.mp3", "b.wav"]
    assert [(f.path.name, "the same file" in f.sentence) for f in found.failures] == [("a.wav", True)]


def test_recordings_and_our_own_files_are_not_written_over(tmp_path: Path) -> None:
    """Nor through a link to the folder that they lie in."""
    tree(tmp_path, "a.txt")
    (tmp_path / "link").symlink_to(tmp_path)
    taken = (Recording(tmp_path / "a.txt", "a"),)
    with pytest.raises(ConfigError, match="itself one of the files to read"):
        check_outputs(taken, tmp_path / "link", ("txt",), ())
    with pytest.raises(ConfigError, match="our own"):
        check_outputs((Recording(tmp_path / "failures.wav", "failures"),), tmp_path, ("jsonl",), ("failures.jsonl",))
