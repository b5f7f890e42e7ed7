"""Manifests, folders, joining and reading."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from eval.data.dataset import data_sha256, join, load_dataset, read
from eval.data.types import Clip, DataError, Utterance
from eval.trace import Span


def tone(path: Path, seconds: float, level: float = 0.5) -> Path:
    soundfile.write(path, np.full(round(seconds * SAMPLE_RATE_HZ), level, np.float32), SAMPLE_RATE_HZ, subtype="FLOAT")
    return path


def clips(folder: Path, *lengths: float, language: str = "en") -> tuple[Utterance, ...]:
    made = [tone(folder / f"{language}{i}.wav", seconds) for i, seconds in enumerate(lengths)]
    return tuple(
        Utterance(path.stem, "d", (Clip(path, f"text {path.stem}", seconds),), language, "ann")
        for path, seconds in zip(made, lengths, strict=True)
    )


def test_a_manifest_becomes_utterances(tmp_path: Path) -> None:
    """Paths are relative to it, the set is called after its folder, and a duration it lacks is looked up."""
    tone(tmp_path / "a.wav", 1.5)
    row = {
        "audio_filepath": "a.wav",
        "text": "hello",
        "language": "en",
        "speaker": "ann",
        "words": [[0.1, 0.5, "hello"]],
    }
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n\n")
    for path in (tmp_path, tmp_path / "manifest.jsonl"):
        dataset = load_dataset(path)
        clip = Clip(tmp_path / "a.wav", "hello", 1.5, (Span("hello", 0.1, 0.5),))
        assert dataset.name == tmp_path.name
        assert dataset.utterances == (Utterance("a", tmp_path.name, (clip,), "en", "ann"),)
        assert dataset.problems == ()


def test_what_else_a_manifest_tells_becomes_attributes(tmp_path: Path) -> None:
    """As text, sorted by name, one name for each gender; what is empty or no single value says nothing."""
    tone(tmp_path / "a.wav", 1.0)
    told = {"gender": "f", "orig_sample_rate": 8000, "device": " telephone ", "accent": "", "tags": ["x"], "age": None}
    row = {"audio_filepath": "a.wav", "text": "hello", "duration": 1.0, "speaker": "ann"} | told
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    (utterance,) = load_dataset(tmp_path).utterances
    assert utterance.attributes == (("device", "telephone"), ("gender", "female"), ("orig_sample_rate", "8000"))


def test_a_joined_recording_keeps_the_attributes_that_all_its_clips_have(tmp_path: Path) -> None:
    """A minute of two accents has none."""
    a, b = clips(tmp_path, 1.0, 1.0)
    a = replace(a, attributes=(("accent", "x"), ("device", "d")))
    b = replace(b, attributes=(("accent", "y"), ("device", "d")))
    assert join([a, b])[0].attributes == (("device", "d"),)


BROKEN = {
    "{": "no JSON",
    "[1]": "found list, wanted an object",
    '{"text": "x"}': "found audio_filepath None, wanted a text",
    '{"audio_filepath": "gone.wav", "text": "x"}': "no audio file at",
    '{"audio_filepath": "a.wav", "text": 5}': "found text 5, wanted a text",
    '{"audio_filepath": "a.wav", "duration": -1}': "found duration -1",
    '{"audio_filepath": "a.wav", "duration": 1, "words": [["x"]]}': "wanted [[start_s, end_s, text], ...]",
    '{"audio_filepath": "a.wav", "duration": 1, "segments": 7}': "found segments 7, wanted [[start_s, end_s, text]",
}


@pytest.mark.parametrize(("line", "what"), BROKEN.items())
def test_a_broken_line_is_reported_by_its_number_and_the_rest_is_used(line: str, what: str, tmp_path: Path) -> None:
    """Nothing in a manifest is fatal."""
    tone(tmp_path / "a.wav", 1.0)
    good = json.dumps({"audio_filepath": "a.wav", "text": "hello", "duration": 1.0})
    (tmp_path / "manifest.jsonl").write_text("\n".join([good, line, good]))
    dataset = load_dataset(tmp_path)
    assert [utterance.id for utterance in dataset.utterances] == ["a", "a:3"]
    (problem,) = dataset.problems
    assert problem.line == 2
    assert what in str(problem)


def test_bytes_that_are_no_text_are_one_broken_line(tmp_path: Path) -> None:
    """A manifest in another encoding."""
    (tmp_path / "manifest.jsonl").write_bytes(b'{"text": "\xff"}')
    assert "no JSON" in str(load_dataset(tmp_path).problems[0])


def test_a_folder_of_recordings_with_texts_beside_is_read(tmp_path: Path) -> None:
    """A recording without its text is a problem; a folder called by a language's code is in that language."""
    folder = tmp_path / "de"
    folder.mkdir()
    tone(folder / "a.wav", 1.0)
    (folder / "a.txt").write_text("guten Tag\n")
    tone(folder / "b.wav", 1.0)
    dataset = load_dataset(folder)
    assert [(u.id, u.text, u.language) for u in dataset.utterances] == [("a", "guten Tag", "de")]
    assert "no text at b.txt" in str(dataset.problems[0])


def test_data_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """There is nothing to go on with."""
    with pytest.raises(DataError, match="found nothing at"):
        load_dataset(tmp_path / "gone")


def test_clips_are_joined_in_order_until_they_are_long_enough(tmp_path: Path) -> None:
    """Each has the gap before the next; what is left is a shorter last one; twice gives the same."""
    utterances = clips(tmp_path, 2.0, 2.0, 2.0, 1.0)
    joined = join(utterances, target_s=4.0, gap_s=0.5)
    assert [(u.id, u.duration_s) for u in joined] == [("en0+1", 4.5), ("en2+1", 3.5)]
    assert joined[0].text == "text en0 text en1"
    assert joined[0].speaker == "ann"
    assert join(utterances, target_s=4.0, gap_s=0.5) == joined


def test_languages_are_not_joined_with_each_other(tmp_path: Path) -> None:
    """A session has one."""
    utterances = clips(tmp_path, 1.0, 1.0) + clips(tmp_path, 1.0, language="de")
    assert [(u.id, u.language) for u in join(utterances)] == [("en0+1", "en"), ("de0", "de")]


def test_a_joined_recording_keeps_its_segments_to_the_sample(tmp_path: Path) -> None:
    """Whatever the manifest said: the first clip is 1.25 s though 1.0 s were promised."""
    first = Clip(tone(tmp_path / "a.wav", 1.25), "one", 1.0, (Span("one", 0.5, 1.0),))
    second = Clip(tone(tmp_path / "b.wav", 2.0), "two", 2.0, (Span("two", 0.25, 0.5),))
    recording = read(Utterance("a+1", "d", (first, second), gap_s=0.5))
    assert recording.segments == (Span("one", 0.0, 1.25), Span("two", 1.75, 3.75))
    assert recording.words == (Span("one", 0.5, 1.0), Span("two", 2.0, 2.25))
    loud = np.flatnonzero(recording.samples) / SAMPLE_RATE_HZ
    assert recording.duration_s == 3.75
    assert not ((loud >= 1.25) & (loud < 1.75)).any()


def test_a_manifests_segments_are_kept_where_a_clip_is_one_of_several(tmp_path: Path) -> None:
    """In the recording's time; a clip without them is one segment. What is expected changed, so the hash does."""
    row = {"audio_filepath": "a.wav", "text": "one two", "duration": 2.0}
    rows = [row, row | {"segments": [[0.25, 0.75, "one"], [1.25, 1.75, "two"]]}]
    tone(tmp_path / "a.wav", 2.0)
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plain, cut = load_dataset(tmp_path).utterances
    (joined,) = join([plain, cut], gap_s=0.5)
    assert read(joined).segments == (Span("one two", 0, 2), Span("one", 2.75, 3.25), Span("two", 3.75, 4.25))
    assert data_sha256([plain]) != data_sha256([cut])


def test_words_are_aligned_only_when_all_clips_are(tmp_path: Path) -> None:
    """Half an alignment would be taken for the whole."""
    first = Clip(tone(tmp_path / "a.wav", 1.0), "one", 1.0, (Span("one", 0.5, 1.0),))
    second = Clip(tone(tmp_path / "b.wav", 1.0), "two", 1.0)
    assert read(Utterance("a+1", "d", (first, second))).words == ()


def test_a_recording_that_cannot_be_decoded_or_is_empty_is_an_audio_error(tmp_path: Path) -> None:
    """The run leaves it out."""
    (tmp_path / "a.wav").write_bytes(b"no sound")
    for path in (tmp_path / "a.wav", tone(tmp_path / "b.wav", 0.0)):
        with pytest.raises(AudioError):
            read(Utterance("a", "d", (Clip(path, "x", 1.0),)))


def test_the_datas_hash_changes_with_sound_text_and_order(tmp_path: Path) -> None:
    """Anything that could change a score."""
    a, b = clips(tmp_path, 1.0, 1.0)
    tone(b.clips[0].audio, 1.0, level=0.25)
    other = Utterance(a.id, a.dataset, (Clip(a.clips[0].audio, "another text", 1.0),), "en")
    hashes = {data_sha256(data) for data in ([a, b], [b, a], [a], [other, b], join([a, b]))}
    assert len(hashes) == 5
    assert data_sha256([a, b]) == data_sha256([a, b])
