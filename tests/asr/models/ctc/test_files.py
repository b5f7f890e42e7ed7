"""A CTC model's folder: what does not fit is refused in one sentence."""

import json
import shutil
from pathlib import Path

import pytest

from asr.engine import Engine
from asr.errors import ModelError
from asr.model_files import list_models


def _edited(folder: Path, to: Path, name: str, **changes: object) -> Path:
    shutil.copytree(folder, to)
    table = json.loads((to / name).read_text())
    table.update(changes)
    (to / name).write_text(json.dumps({key: value for key, value in table.items() if value is not None}))
    return to


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vocab.json", {"<pad>": None}, r"no blank \(<pad>\)"),
        ("vocab.json", {"z": 900}, "ids beyond the model's 32 outputs"),
        ("vocab.json", {"eng": {"a": 1}}, "several languages"),
        ("preprocessor_config.json", {"sampling_rate": 8000}, "takes audio at 8000 Hz, wanted 16000"),
        ("config.json", {"adapter_attn_dim": 16}, "adapters"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act = 'relu', wanted 'gelu'"),
        ("config.json", {"num_hidden_layers": 4}, "no tensor wav2vec2.encoder.layers.3"),
        ("config.json", {"vocab_size": 40}, r"lm_head.weight has the shape \(32, 32\), wanted \(40, 32\)"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(
    model_folder: Path, tmp_path: Path, name: str, changes: dict[str, object], message: str
) -> None:
    """In one sentence that says what was found."""
    with pytest.raises(ModelError, match=message):
        Engine.load(str(_edited(model_folder, tmp_path / "m", name, **changes)))


def test_a_folder_without_a_tokenizer_is_refused(model_folder: Path, tmp_path: Path) -> None:
    """The error names the missing file."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "m"))
    (folder / "vocab.json").unlink()
    with pytest.raises(ModelError, match=r"no vocab\.json"):
        Engine.load(str(folder))


def test_a_model_trained_here_is_listed_and_found_by_name(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed with the configured models; a misspelt name gets a suggestion."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path))
    shutil.copytree(model_folder, tmp_path / "letters-of-ours")
    status = {one.name: one for one in list_models()}["letters-of-ours"]
    assert (status.architecture, status.present, status.hash_ok) == ("wav2vec2", True, None)
    assert Engine.load("letters-of-ours").name == "letters-of-ours"
    with pytest.raises(ModelError, match="did you mean letters-of-ours"):
        Engine.load("letter-of-ours")
