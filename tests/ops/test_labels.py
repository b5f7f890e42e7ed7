"""`asr labels import`: good lines are added once, bad lines get a sentence, whatever is bad about them."""

import json
from pathlib import Path

import pytest

from asr import cli
from asr.errors import ConfigError
from ops.labels import import_labels
from tests.ops.trials import NAME, ledger_with_two

GOOD = {"stream_id": "s1", "name": NAME, "release": 1, "words": 12, "errors": 2, "by": "ann"}


def test_lines_are_added_once(tmp_path: Path) -> None:
    """The same file may be imported again, and a line may stand twice."""
    ledger, file = ledger_with_two(tmp_path), tmp_path / "labels.jsonl"
    file.write_text("\n".join([json.dumps(GOOD), json.dumps(GOOD), "", json.dumps({**GOOD, "release": 2})]))
    assert import_labels(file, ledger, 5.0) == (2, 1, [])
    assert import_labels(file, ledger, 6.0) == (0, 3, [])
    assert [(label.release, label.errors, label.at_s) for label in ledger.labels(NAME)] == [(1, 2, 5.0), (2, 2, 5.0)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "found no JSON"),
        ("[1]", "found list, wanted an object"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "errors"}), "errors is missing"),
        (json.dumps({**GOOD, "errors": -1}), "errors: found -1, wanted 0 to 999999"),
        (json.dumps({**GOOD, "errors": True}), "errors: found True, wanted a whole number"),
        (json.dumps({**GOOD, "words": 1.5}), "words: found 1.5, wanted a whole number"),
        (json.dumps({**GOOD, "stream_id": ""}), "stream_id: found '', wanted text"),
        (json.dumps({**GOOD, "release": 9}), "has no release m/9"),
        (json.dumps({**GOOD, "name": "other"}), "has no release other/1"),
        (json.dumps({**GOOD, "text": "a word"}), "unknown key 'text'"),
        (json.dumps({**GOOD, "at_s": "now"}), "at_s: found 'now', wanted seconds"),
        (json.dumps(GOOD)[:-1] + ', "at_s": NaN}', "at_s: found nan, wanted seconds"),
        (json.dumps(GOOD)[:-1] + f', "at_s": {"9" * 400}}}', "at_s: found 999"),
        (json.dumps(GOOD)[:-1] + ', "at_s": 1e400}', "at_s: found inf, wanted seconds"),
        (json.dumps(GOOD)[:-1] + f', "at_s": {"9" * 5000}}}', "found no JSON"),
        ("[" * 100_000, "found no JSON"),
        (json.dumps({**GOOD, "by": "\ud800"}), "by: found '\\ud800', wanted at most 200 printable characters"),
        (json.dumps({**GOOD, "by": "a" * 201}), "by: found 'aaa"),
        (json.dumps({**GOOD, "name": "m\0"}), "name: found 'm\\x00', wanted"),
    ],
)
def test_a_bad_line_gets_a_sentence_and_the_others_are_added(tmp_path: Path, line: str, sentence: str) -> None:
    """The sentence names the file and the line."""
    ledger, file = ledger_with_two(tmp_path), tmp_path / "labels.jsonl"
    file.write_text(f"{line}\n{json.dumps(GOOD)}\n")
    added, known, problems = import_labels(file, ledger, 5.0)
    assert (added, known, len(problems)) == (1, 0, 1)
    assert problems[0].startswith(f"{file}:1: ")
    assert sentence in problems[0]


def test_a_file_that_cannot_be_read_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file, and one that is no text."""
    ledger = ledger_with_two(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary"):
        with pytest.raises(ConfigError, match="wanted a file of JSON lines"):
            import_labels(tmp_path / name, ledger, 0.0)
    monkeypatch.setenv("ASR_LEDGER", "")  # the command sets it: it is undone after the test
    file = tmp_path / "bad"
    file.write_text("{\n")
    assert cli.run(["labels", "import", str(file), "--ledger", str(tmp_path / "ledger.db")]) == 1
    assert "0 labels added, 0 were there, 1 lines left out" in capsys.readouterr().out
