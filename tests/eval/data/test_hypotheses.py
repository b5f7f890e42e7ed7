"""Transcripts of other systems, in the formats that toolkits write."""

import json
from pathlib import Path

import pytest

from asr.errors import ConfigError
from eval.data.hypotheses import Piece, by_utterance, read_transcripts
from eval.data.types import Clip, Utterance

UTTERANCES = [Utterance(name, "d", (Clip(Path(f"wav/{name}.wav"), "x", 2.0),), "en") for name in ("a1", "b2")]
PARTS = [
    Utterance(name, "d", (Clip(Path("wav/talk.flac"), "x", 2.0, offset_s=offset_s),), "en")
    for name, offset_s in (("talk", 0.0), ("talk:2", 2.0))
]


def texts(path: Path, utterances: list[Utterance] = UTTERANCES) -> dict[str, str]:
    pieces, unknown = by_utterance(read_transcripts(path, utterances), utterances)
    assert not unknown
    return {name: " ".join(piece.text for piece in parts) for (_, name), parts in pieces.items()}


FORMATS = {
    "hyp.txt": "a1 red green\nb2 blue\n",
    "hyp": "wav/a1.wav\tred green\nwav/b2.wav\tblue\n",
    "lines.txt": "red green\nblue\n",
    "hyp.trn": "red green (a1)\nblue (b2)\n",
    "hyp.ctm": ";; comment\nb2 1 0.2 0.3 blue 0.9\na1 1 0.5 0.3 green\na1 1 0.1 0.3 red 0.5\n",
    "hyp.stm": ";; comment\na1 1 s1 0.0 1.0 <o,f0> red green\nb2 1 s1 0.0 1.0 blue\n",
    "nemo.jsonl": '{"audio_filepath": "a1.wav", "text": "the label", "pred_text": "red green"}\n'
    '{"audio_filepath": "b2.wav", "text": "the label", "pred_text": "blue"}\n',
    "words.jsonl": '{"id": "d/a1", "words": [{"word": "red", "start": 0.1, "end": 0.4}, [0.5, 0.8, "green"]]}\n'
    '{"id": "b2", "text": "blue"}\n',
    "array.json": json.dumps([{"id": "a1", "text": "red green"}, {"id": "b2", "text": "blue"}]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_same(name: str, tmp_path: Path) -> None:
    """Text with names, text by order, SCTK's trn, CTM in any order, STM, NeMo's manifests, words with times, JSON."""
    (tmp_path / name).write_text(FORMATS[name], encoding="utf-8")
    assert texts(tmp_path / name) == {"a1": "red green", "b2": "blue"}


def test_a_folder_has_a_text_for_each_recording(tmp_path: Path) -> None:
    """As Whisper's command line writes them, with line ends inside."""
    (tmp_path / "a1.txt").write_text("red\ngreen\n")
    (tmp_path / "b2.txt").write_text("")
    assert texts(tmp_path) == {"a1": "red green", "b2": ""}


@pytest.mark.parametrize("name", ["talk.ctm", "talk.stm"])
def test_parts_of_one_file_take_the_words_in_their_time(name: str, tmp_path: Path) -> None:
    """A manifest with offsets cuts one file; CTM and STM give times in that file."""
    lines = {
        "talk.ctm": "talk 1 0.5 0.5 red\ntalk 1 1.6 0.5 green\ntalk 1 2.5 0.5 blue\n",
        "talk.stm": "talk 1 s 0.2 1.9 red green\ntalk 1 s 2.2 3.0 blue\n",
    }
    (tmp_path / name).write_text(lines[name])
    assert texts(tmp_path / name, PARTS) == {"talk": "red green", "talk:2": "blue"}
    pieces, _ = by_utterance(read_transcripts(tmp_path / name, PARTS), PARTS)
    assert pieces["d", "talk:2"][0].start_s in (pytest.approx(0.5), pytest.approx(0.2))


def test_what_no_recording_is_called_is_reported(tmp_path: Path) -> None:
    """A name with a typing error must not vanish."""
    (tmp_path / "hyp.trn").write_text("red (a1)\nblue (c3)\n")
    pieces, unknown = by_utterance(read_transcripts(tmp_path / "hyp.trn", UTTERANCES), UTTERANCES)
    assert pieces == {("d", "a1"): (Piece("red"),)}
    assert unknown == ["c3"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("hyp.ctm", "a1 1 0.5 red\n", "hyp.ctm:1: found .* wanted CTM"),
        ("hyp.ctm", "a1 1 now 0.1 red\n", "hyp.ctm:1: could not convert"),
        ("hyp.stm", "a1 1 s\n", "wanted STM"),
        ("hyp.trn", "red green\n", r"wanted trn: words \(name\)"),
        ("hyp.jsonl", '{"id": "a1"}\n', "found no text"),
        ("hyp.jsonl", '\n{"text": "red"}\n', "hyp.jsonl:2: found no name"),
        ("hyp.jsonl", "[1]\n{}", "wanted an object"),
        ("hyp.txt", "a1 red\nc3 blue\nb2 green\n", "3 lines for 2 recordings, and 'c3' names none"),
        ("hyp.txt", b"a1 \xe9\n", "wanted UTF-8"),
    ],
)
def test_a_wrong_line_is_named(name: str, text: str | bytes, sentence: str, tmp_path: Path) -> None:
    """File, line, what was found and what is wanted."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=sentence):
        read_transcripts(tmp_path / name, UTTERANCES)


def test_a_name_of_two_recordings_needs_its_data_set(tmp_path: Path) -> None:
    """Otherwise one of them would be scored with the other's transcript."""
    twins = [Utterance("a1", name, (Clip(Path(f"{name}/a1.wav"), "x", 2.0),), "en") for name in ("d", "e")]
    (tmp_path / "hyp.trn").write_text("red (a1)\n")
    with pytest.raises(ConfigError, match="wanted DATASET/ID"):
        by_utterance(read_transcripts(tmp_path / "hyp.trn", twins), twins)
    (tmp_path / "hyp.trn").write_text("red (d/a1)\nblue (e/a1)\n")
    pieces, _ = by_utterance(read_transcripts(tmp_path / "hyp.trn", twins), twins)
    assert [parts[0].text for parts in pieces.values()] == ["red", "blue"]
