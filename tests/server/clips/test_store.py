"""The folder of clips: whole files for their owner alone, bounded, and nothing left of what is forgotten."""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.clips.consent import consent_of
from server.clips.store import Clip, ClipError, ClipStore, ClipWord
from server.clips.writer import ClipWriter
from server.metrics import Metrics
from tests.server.running import eventually

SAMPLES = np.random.default_rng(1).integers(-9000, 9000, 8000).astype(np.int16)
WORDS = (ClipWord(" Zq", 0.1, 0.2, 0.9), ClipWord(" größer", 0.2, 0.4, 0.8))


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


def clip_of(store: ClipStore, consent: str, utterance: int = 0, stream: str = "a1-2") -> Clip:
    return Clip(store.hash_of(consent), 5.0, "m", 1, stream, "c" * 32, 0, utterance, "de", 1.0, 1.5, WORDS)


def test_a_clip_comes_back_and_only_its_owner_may_read_it(store: ClipStore) -> None:
    clip = clip_of(store, "anna")
    assert store.add(clip, SAMPLES)
    assert store.add_label(clip, "Zq größer", "ben", 9.0)
    assert store.add_second(clip.consent, clip.stream_id, 2, [[ClipWord(" Zq", 1.1, 1.2, 1.0)]])
    [found] = store.clips()
    assert (found, found.text) == (clip, "Zq größer")
    np.testing.assert_array_equal(soundfile.read(store.audio_file(clip), dtype="int16")[0], SAMPLES)
    assert store.second(clip) == (2, "Zq")
    label = store.label(clip)
    assert label
    assert label["text"] == "Zq größer"
    modes = {file.stat().st_mode & 0o777 for file in store.folder.rglob("*") if file.is_file()}
    assert modes == {0o600}
    assert {folder.stat().st_mode & 0o777 for folder in store.folder.rglob("*") if folder.is_dir()} == {0o700}
    assert not [file for file in store.folder.rglob("*") if "anna" in file.name or b"anna" in _bytes(file)]


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def test_nothing_is_left_of_a_forgotten_consent_and_nothing_comes_after(store: ClipStore) -> None:
    """What another process writes at the same time neither; other consents stay."""
    gone, stays = clip_of(store, "anna"), clip_of(store, "ben", stream="b")
    for clip in (gone, stays):
        store.add(clip, SAMPLES)
        store.add_label(clip, "x", "c", 1.0)
        store.add_second(clip.consent, clip.stream_id, 2, [[]])
    assert store.forget("anna") == 4
    another = ClipStore(store.folder)
    assert not another.add(replace(gone, utterance=1), SAMPLES)
    assert not another.add_label(gone, "x", "c", 1.0)
    assert not another.add_second(gone.consent, gone.stream_id, 2, [[]])
    assert list(store.clips()) == [stays]
    assert not (store.folder / gone.consent).exists()
    assert store.forget("nobody") == 0


def test_a_consent_forgotten_while_its_clip_is_written_leaves_nothing(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, replaced = clip_of(store, "anna"), os.replace

    def forget_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", replaced)
        store.forget("anna")
        (store.folder / clip.consent).mkdir(exist_ok=True)
        Path(source).write_bytes(b"late")
        replaced(source, target)

    monkeypatch.setattr(os, "replace", forget_first)
    assert not store.add(clip, SAMPLES)
    assert not (store.folder / clip.consent).exists()


def test_one_sweep_removes_what_is_old_and_what_is_no_clip(store: ClipStore) -> None:
    old, young = clip_of(store, "anna"), clip_of(store, "anna", 1)
    for clip in (old, young):
        store.add(clip, SAMPLES)
        store.add_label(clip, "x", "c", 1.0)
    now_s = time.time()
    for file in store.folder.rglob(f"{old.id}.*"):
        os.utime(file, (0, now_s - 31 * 86_400))
    left = store.folder / old.consent / "half.flac"
    left.write_bytes(b"a process died")
    os.utime(left, (0, now_s - 7200))
    assert store.sweep(30, now_s) == 4
    assert list(store.clips()) == [young]
    assert store.sweep(0, now_s + 60) == 3
    assert not [file for file in store.folder.iterdir() if file.is_dir()]


def test_files_that_somebody_changed_are_no_clips(store: ClipStore) -> None:
    clip = clip_of(store, "anna")
    store.add(clip, SAMPLES)
    for content in (b"", b"[]", b"{}", b'{"words": [1]}', b"\xff"):
        (store.folder / clip.consent / f"{clip.id}.json").write_bytes(content)
        assert list(store.clips()) == []
        assert store.label(clip) is None


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClipError, match="wanted a folder"):
        ClipStore(tmp_path / "file" / "clips")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def writer(store: ClipStore, metrics: Metrics) -> Iterator[ClipWriter]:
    made = ClipWriter(store, metrics, retain_days=30, max_bytes=100_000)
    yield made
    made.stop()


def dropped(metrics: Metrics, reason: str) -> float:
    return metrics.registry.get_sample_value("asr_clips_dropped_total", {"reason": reason}) or 0.0


def test_a_full_disk_and_a_full_folder_drop_and_count(store: ClipStore, metrics: Metrics, writer: ClipWriter) -> None:
    """The thread goes on, and what fits later is kept."""

    def full(_store: ClipStore) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def broken(_store: ClipStore) -> bool:
        raise ValueError("a fault")

    clip = clip_of(store, "anna")
    writer.put(full, 10)
    writer.put(broken, 10)
    writer.put(lambda store: store.add(clip, SAMPLES), 200_000)
    writer.put(lambda store: store.add(clip, SAMPLES), 1 << 30)
    writer.put(lambda store: store.add(clip, SAMPLES), SAMPLES.nbytes)
    eventually(lambda: len(list(store.clips())) == 1)
    assert [dropped(metrics, reason) for reason in ("disk", "failed", "full", "memory")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("query", "consent"),
    [
        ([], ""),
        ([("consent", "a-1")], "a-1"),
        ([("consent", " a-1 "), ("mip_opt_out", "false")], "a-1"),
        ([("consent", "a-1"), ("consent", "a-1")], "a-1"),
        ([("consent", "a-1"), ("consent", "b")], ""),
        ([("consent", "a-1"), ("mip_opt_out", "true")], ""),
        ([("mip_opt_out", "1"), ("consent", "a-1"), ("mip_opt_out", "false")], ""),
        ([("mip_opt_out", "yes"), ("consent", "a-1")], ""),
        ([("consent", "x" * 201)], ""),
        ([("consent", "a\0b")], ""),
        ([("consent", "  ")], ""),
        ([("Consent", "a-1")], ""),
    ],
)
def test_only_a_clear_consent_counts(query: list[tuple[str, str]], consent: str) -> None:
    assert consent_of(query) == consent
