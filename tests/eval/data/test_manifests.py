"""The layouts that recordings lie in: LibriSpeech, Common Voice, CSV, Hugging Face's data sets, NeMo's offsets."""

import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from eval.data.dataset import data_sha256, load_dataset, read
from eval.data.types import DataError


def sound(path: Path, seconds: float = 1.0) -> Path:
    """A ramp: every sample has a different value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(-1, 1, round(seconds * SAMPLE_RATE_HZ), endpoint=False, dtype=np.float32)
    soundfile.write(path, ramp, SAMPLE_RATE_HZ, format="WAV", subtype="FLOAT")
    return path


def test_librispeech_is_read_with_its_speakers(tmp_path: Path) -> None:
    """Lines of `ID TEXT`, FLAC next to them; gender from SPEAKERS.TXT in the folder above a subset."""
    root = tmp_path / "LibriSpeech" / "test-clean"
    for name in ("61-70968-0000", "61-70968-0001", "121-121726-0000"):
        speaker, chapter, _ = name.split("-")
        sound(root / speaker / chapter / f"{name}.flac")
    (root / "61/70968/61-70968.trans.txt").write_text(
        "61-70968-0000 HE BEGAN A CONFUSED COMPLAINT\n61-70968-0001 GIVE NOT SO\n61-70968-0002 NO FILE\n"
    )
    (root / "121/121726/121-121726.trans.txt").write_text("121-121726-0000 ALSO A POPULAR CONTRIVANCE\n")
    (root.parent / "SPEAKERS.TXT").write_text(
        ";ID  |SEX| SUBSET           |MINUTES| NAME\n61   | M | test-clean       | 8.08  | Paul-Gabriel Wiener\n"
        "121  | F | test-clean       | 8.13  | Nikolle Doolin\n"
    )
    dataset = load_dataset(root)
    assert dataset.name == "test-clean"
    told = [(u.id, u.text, u.speaker, u.language, dict(u.attributes)["gender"]) for u in dataset.utterances]
    assert told == [
        ("121-121726-0000", "ALSO A POPULAR CONTRIVANCE", "121", "en", "female"),
        ("61-70968-0000", "HE BEGAN A CONFUSED COMPLAINT", "61", "en", "male"),
        ("61-70968-0001", "GIVE NOT SO", "61", "en", "male"),
    ]
    (problem,) = dataset.problems
    assert (problem.file.name, problem.line) == ("61-70968.trans.txt", 3)


def test_a_language_is_stored_by_its_code_and_an_unknown_one_is_named_with_its_line(tmp_path: Path) -> None:
    """A code with a region stays as it is written."""
    given = ["English", "zh-TW", "pt_BR", "iw", "deu", "klingon", "xx", ""]
    sound(tmp_path / "a.wav")
    rows = [json.dumps({"audio_filepath": "a.wav", "text": "x", "language": name}) for name in given]
    (tmp_path / "m.jsonl").write_text("\n".join(rows))
    dataset = load_dataset(tmp_path / "m.jsonl")
    assert [u.language for u in dataset.utterances] == ["en", "zh-TW", "pt_BR", "he", "de", ""]
    assert [(p.line, p.what[:25]) for p in dataset.problems if "found language" in p.what] == [
        (6, "found language 'klingon',"),
        (7, "found language 'xx', want"),
    ]


@pytest.mark.parametrize(
    ("folder", "language"),
    [
        ("de", "de"),
        ("pt-BR", "pt"),
        ("German", "de"),
        ("zh_TW", "zh"),
        ("run", ""),
        ("v2", ""),
        ("my-talks", ""),
        ("is-ok", ""),
    ],
)
def test_a_folder_named_after_a_language_is_in_it(tmp_path: Path, folder: str, language: str) -> None:
    """Codes of three letters are left out: they may be any word."""
    sound(tmp_path / folder / "a.wav")
    (tmp_path / folder / "a.txt").write_text("12")
    (utterance,) = load_dataset(tmp_path / folder).utterances
    assert utterance.language == language


COMMON_VOICE = """client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment
c1\ta.mp3\t"Quoted from end to end."\t2\t0\ttwenties\tmale_masculine\tHanoi\tvi\t
c2\tb.mp3\t"He said ""hello"" twice"\t2\t1\t\t\t\tvi\t
c3\tgone.mp3\tKhông có\t2\t1\t\t\t\tvi\t
c4\tb.mp3\tshort line
"""


def test_common_voice_is_read_from_its_table(tmp_path: Path) -> None:
    """Clips lie in `clips/`; quotes stay unless an older version doubled those inside; lines are counted."""
    for name in ("a.mp3", "b.mp3"):
        sound(tmp_path / "vi" / "clips" / name)
    (tmp_path / "vi" / "validated.tsv").write_text(COMMON_VOICE, encoding="utf-8")
    for path, name in ((tmp_path / "vi", "vi"), (tmp_path / "vi" / "validated.tsv", "validated")):
        dataset = load_dataset(path)
        assert dataset.name == name
        assert [(u.speaker, u.language, u.text) for u in dataset.utterances] == [
            ("c1", "vi", '"Quoted from end to end."'),
            ("c2", "vi", 'He said "hello" twice'),
        ]
        told = dict(dataset.utterances[0].attributes)
        assert (told["age"], told["gender"], told["accent"], told["up_votes"]) == ("twenties", "male", "Hanoi", "2")
        assert [problem.line for problem in dataset.problems] == [4, 5]
        assert "gone.mp3" in str(dataset.problems[0])
        assert "found 3 columns, wanted 10" in str(dataset.problems[1])


def test_a_csv_may_name_its_columns_as_people_do(tmp_path: Path) -> None:
    """Cells may hold commas and line ends; a duration is a number; a file by name of an absolute path is found."""
    sound(tmp_path / "a.wav")
    (tmp_path / "data.csv").write_text(
        f'Path,Transcript,speaker_id,duration,device\na.wav,"one,\ntwo",s1,1.0,headset\n{tmp_path}/a.wav,b,,,\n'
        "a.wav,c,s1,long,\n/elsewhere/a.wav,d,,,\n",
        encoding="utf-8-sig",
    )
    dataset = load_dataset(tmp_path / "data.csv")
    assert [(u.id, u.text, u.speaker, u.duration_s) for u in dataset.utterances] == [
        ("a", "one,\ntwo", "s1", 1.0),
        ("a:4", "b", "", 1.0),
    ]
    assert dataset.utterances[0].attributes == (("device", "headset"),)
    assert [problem.line for problem in dataset.problems] == [5, 6]
    assert "found duration 'long'" in str(dataset.problems[0])
    assert "found the absolute path /elsewhere/a.wav" in str(dataset.problems[1])


def test_a_table_without_the_columns_that_are_needed_is_an_error(tmp_path: Path) -> None:
    """The sentence says which columns were found and which is wanted."""
    (tmp_path / "data.csv").write_text("path,label\na.wav,x\n")
    with pytest.raises(DataError, match=r"found columns path, label .* wanted text"):
        load_dataset(tmp_path / "data.csv")


def test_a_quotation_without_an_end_is_a_problem_with_its_line(tmp_path: Path) -> None:
    """What stands before it is used."""
    sound(tmp_path / "a.wav")
    (tmp_path / "data.csv").write_text('path,text\na.wav,good\na.wav,"never closed\na.wav,lost\n')
    dataset = load_dataset(tmp_path / "data.csv")
    assert [u.text for u in dataset.utterances] == ["good"]
    assert [problem.line for problem in dataset.problems] == [3]


def saved(tmp_path: Path) -> datasets.Dataset:
    """As `datasets` itself writes it: audio as bytes, as a path, as nothing; a column of named classes."""
    audio = [
        {"bytes": sound(tmp_path / "x" / "a.wav").read_bytes(), "path": "a.wav"},
        {"bytes": None, "path": str(sound(tmp_path / "x" / "b.wav", 0.5))},
        {"bytes": None, "path": None},
    ]
    rows = {"audio": audio, "sentence": ["one", "two", "three"], "gender": [1, 0, 0], "client_id": ["s1", "s2", "s2"]}
    features = datasets.Features(
        {
            "audio": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},  # as `Audio` stores it
            "sentence": datasets.Value("string"),
            "gender": datasets.ClassLabel(names=["male", "female"]),
            "client_id": datasets.Value("string"),
        }
    )
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_data_set_saved_by_hugging_faces_library_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings inside it become files in the cache, once, under their own names."""
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "cache"))
    saved(tmp_path).save_to_disk(tmp_path / "hf")
    dataset = load_dataset(tmp_path / "hf")
    assert [(u.id, u.text, u.speaker, u.duration_s) for u in dataset.utterances] == [
        ("a", "one", "s1", 1.0),
        ("b", "two", "s2", 0.5),
    ]
    assert [dict(u.attributes)["gender"] for u in dataset.utterances] == ["female", "male"]
    assert np.array_equal(read(dataset.utterances[0]).samples, soundfile.read(tmp_path / "x" / "a.wav")[0])
    assert dataset.utterances[0].clips[0].audio.is_relative_to(tmp_path / "cache")
    assert (len(dataset.problems), dataset.problems[0].line) == (1, 3)
    assert load_dataset(tmp_path / "hf").utterances == dataset.utterances


def test_utterances_of_a_saved_dictionary_name_their_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each utterance says which it is of."""
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "cache"))
    whole = saved(tmp_path).select([0, 1])
    datasets.DatasetDict({"train": whole, "test": whole.select([1])}).save_to_disk(tmp_path / "hf")
    splits = [(u.text, dict(u.attributes)["split"]) for u in load_dataset(tmp_path / "hf").utterances]
    assert splits == [("one", "train"), ("two", "train"), ("two", "test")]


def test_a_part_of_a_recording_is_read_to_the_sample(tmp_path: Path) -> None:
    """NeMo's offset: `duration` seconds from there on; two parts of one file have two hashes."""
    sound(tmp_path / "a.wav", 2.0)
    whole = {"audio_filepath": "a.wav", "text": "x", "duration": 2.0}
    rows = [whole, whole | {"offset": 0.5, "duration": 0.25}, whole | {"offset": 5.0}, {"audio_filepath": "a.wav"}]
    rows.append(rows[-1] | {"offset": 1.0})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = load_dataset(tmp_path)
    full, part, beyond, _ = dataset.utterances
    assert np.array_equal(read(part).samples, read(full).samples[8000:12000])
    assert data_sha256([full]) != data_sha256([part])
    assert "without a duration" in str(dataset.problems[0])
    with pytest.raises(Exception, match=r"no sound at 5.0 s"):
        read(beyond)


def test_a_folder_takes_every_kind_that_transcribing_takes(tmp_path: Path) -> None:
    """One list for both, in capitals or not; texts and other files are no recordings."""
    for name in ("a.sph", "b.M4V", "c.wma", "d.ts", "e.spx"):
        sound(tmp_path / name)
        (tmp_path / name).with_suffix(".txt").write_text("words")
    (tmp_path / "notes.pdf").touch()
    assert len(load_dataset(tmp_path).utterances) == 5
