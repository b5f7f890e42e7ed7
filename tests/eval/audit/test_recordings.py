"""Suspicious recordings, from measurements whose answer is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from asr.audio.files import Header, header
from asr.config import SAMPLE_RATE_HZ
from eval.audit.acoustics import Acoustics
from eval.audit.fingerprints import fingerprint
from eval.audit.recordings import (
    MeasuredRecording,
    clipped,
    contradictory_texts,
    cut_off,
    measure_recordings,
    narrow_band,
    noisy,
    pace_outliers,
    quiet,
    recording_findings,
    repeated_recordings,
    similar_recordings,
    without_label,
    without_speech,
    wrong_durations,
    wrong_suffixes,
)
from eval.data.types import Problem
from tests.eval.labelled import forms, labelled, notes
from tests.speech import clip

GOOD = Acoustics(1.0, 0.8, -23.0, -3.0, 30.0, 0.0, 7500.0, False, False, "")


def measured(*texts: str, dataset: str = "d", **fields: object) -> list[MeasuredRecording]:
    """Good recordings of these labels, each of another sound, with some of their measurements changed."""
    return [
        MeasuredRecording(u, Header("wav", "pcm_16", 16_000, 1), replace(GOOD, **({"sound_sha256": u.id} | fields)))  # type: ignore[arg-type]
        for u in labelled(*texts, dataset=dataset)
    ]


def test_good_recordings_raise_no_suspicion() -> None:
    """None at all."""
    assert recording_findings(measured("one thing", "another thing", "", speech_s=0.2)) == []


def test_one_sound_with_several_texts_is_grave_and_one_that_comes_twice_is_not() -> None:
    """The second weighs double in every score, the first makes one of two wrong."""
    same = measured("red", "green", "red", sound_sha256="x")
    (finding,) = contradictory_texts(same)
    assert (finding.grave, finding.count) == (True, 1)
    assert forms([finding]) == [[("red", 2), ("green", 1)]]
    assert notes(repeated_recordings(same)) == [("u0", "also u2")]
    assert contradictory_texts(measured("red", "red", sound_sha256="x")) == []


def test_text_without_speech_and_speech_without_text_are_found() -> None:
    """By voice activity, which is not asked about less than a second; what is silent is, however short."""
    short = {"duration_s": 0.5, "speech_s": 0.0}
    assert without_speech(measured("red", **short)) == []
    assert len(notes(without_speech(measured("red", **short, peak_dbfs=-70.0)))) == 1
    assert len(notes(without_speech(measured("red", **short, peak_dbfs=None)))) == 1
    assert [name for name, _ in notes(without_speech(measured("red", "", speech_s=0.05)))] == ["u0"]
    assert [name for name, _ in notes(without_label(measured("red", "", speech_s=0.8)))] == ["u1"]


def test_labels_too_long_or_too_short_for_their_speech_are_found() -> None:
    """Twenty of about ten characters a second, one of a hundred, one of one; the oddest first."""
    usual = measured(*["x" * (8 + i % 5) for i in range(20)], speech_s=1.0)
    odd = measured("x" * 100, "x", dataset="odd", speech_s=1.0)
    found = notes(pace_outliers(usual + odd))
    assert found == [("u0", "100.0 characters/s, usual 10.0"), ("u1", "1.0 characters/s, usual 10.0")]
    assert pace_outliers(usual) == []
    assert pace_outliers(odd) == []


def test_measurements_beyond_their_bounds_are_found() -> None:
    """Each by its finder, and by no other."""
    fine, bad = measured("fine"), "bad"
    cases = [
        (clipped, {"clipped_share": 0.02}, "2.00 % of samples at full scale"),
        (narrow_band, {"bandwidth_hz": 3700.0}, "sound up to 3700 Hz in a 16000 Hz file"),
        (noisy, {"snr_db": 4.0}, "4 dB"),
        (quiet, {"loudness_lufs": -51.0}, "-51 LUFS"),
        (cut_off, {"cut_start": True, "cut_end": True}, "at the beginning and end"),
        (wrong_durations, {"duration_s": 1.5}, "manifest 1.00 s, recording 1.50 s"),
    ]
    for finder, fields, note in cases:
        assert notes(finder(fine + measured(bad, dataset="e", **fields))) == [("u0", note)]


def test_declared_telephone_speech_is_not_reported() -> None:
    """8 kHz in a file of 8 kHz, or in one whose manifest says where it came from."""
    (one,) = measured("red", bandwidth_hz=3700.0)
    told = replace(one.utterance, attributes=(("orig_sample_rate", "8000"),))
    assert narrow_band([replace(one, header=Header("wav", "mulaw", 8000, 1)), replace(one, utterance=told)]) == []


def test_a_files_header_is_read_without_decoding(tmp_path: Path) -> None:
    """Uncompressed by libsndfile, coded by FFmpeg."""
    soundfile.write(tmp_path / "a.wav", np.zeros((800, 2)), 8000, subtype="PCM_16")
    soundfile.write(tmp_path / "b.flac", np.zeros(800), 22050)
    assert header(tmp_path / "a.wav") == Header("wav", "pcm_16", 8000, 2)
    assert header(tmp_path / "b.flac") == Header("flac", "flac", 22050, 1)


def test_what_cannot_be_decoded_is_a_problem_and_a_wrong_suffix_a_finding(tmp_path: Path) -> None:
    """Files are read by what is in them, whatever they are called."""
    soundfile.write(tmp_path / "a.flac", np.zeros(16_000), SAMPLE_RATE_HZ)
    (tmp_path / "a.flac").rename(tmp_path / "a.mp3")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    utterances = [
        replace(u, clips=(replace(u.clips[0], audio=tmp_path / name),))
        for u, name in zip(labelled("one", "two", "three"), ("a.mp3", "b.wav", "gone.wav"), strict=True)
    ]
    fine, broken, gone = measure_recordings(utterances, lambda samples: np.zeros(len(samples) // 512))
    assert isinstance(broken, Problem)
    assert isinstance(gone, Problem)
    assert isinstance(fine, MeasuredRecording)
    assert notes(wrong_suffixes([fine])) == [("u0", "named .mp3, holds flac (flac)")]


def fingerprinted(changed: np.ndarray, *texts: str, dataset: str = "d") -> list[MeasuredRecording]:
    """Two recordings: a spoken sentence, and `changed`."""
    both = measured(*texts)
    sounds = (clip("quick_brown_fox"), changed)
    lengths_s = (len(sound) / SAMPLE_RATE_HZ for sound in sounds)
    left, right = (
        replace(r, fingerprint=fingerprint(sound), acoustics=replace(r.acoustics, duration_s=length_s))
        for r, sound, length_s in zip(both, sounds, lengths_s, strict=True)
    )
    return [left, replace(right, utterance=replace(right.utterance, dataset=dataset))]


def test_copies_are_grave_with_another_text_or_in_another_set() -> None:
    """A quieter copy in the same set with the same text only weighs double; a part of a recording has a part of it."""
    fox = clip("quick_brown_fox")
    same, other = ("The fox jumps.", "the fox jumps"), ("The fox jumps.", "The dog sleeps.")
    (twice,) = similar_recordings(fingerprinted(fox * 0.2, *same))
    assert (twice.grave, notes([twice])) == (False, [("u0", "2.6 s of it also in d/u1")])
    (contradiction,) = similar_recordings(fingerprinted(fox * 0.2, *other))
    assert contradiction.grave
    assert "with another text: The dog sleeps." in contradiction.examples[0].note
    (leak,) = similar_recordings(fingerprinted(fox * 0.2, *same, dataset="train"))
    assert leak.grave
    (part,) = similar_recordings(fingerprinted(fox[: len(fox) // 2], "The fox jumps.", "The fox"))
    assert not part.grave
    assert similar_recordings(fingerprinted(clip("counting"), *same)) == []


def test_a_long_label_on_a_recording_that_ends_in_speech_is_truncated() -> None:
    """Cut off, it may be less of an outlier than others: 2.5 robust deviations instead of 4."""
    lengths = [95, 98, 100, 102, 105] * 4
    good = measured(*("x" * length for length in lengths))
    long = measured("y" * 110)
    assert pace_outliers([*good, *long]) == []
    cut = [replace(long[0], acoustics=replace(long[0].acoustics, cut_end=True))]
    assert len(notes(pace_outliers([*good, *cut]))) == 1
