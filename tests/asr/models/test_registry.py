"""An architecture adds itself: one folder and one entry in a tuple; no other file asks which architecture it is."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from asr.engine import Engine
from asr.errors import ModelError
from asr.model_files import Source
from asr.model_files.configured import configured_models
from asr.models import registry
from asr.models.architecture import Architecture, ModelFiles
from asr.models.base import Finality, Hypothesis, Placed, Window
from asr.models.registry import ARCHITECTURES, architecture_of, find_model, load_model_files

ROOT = Path(__file__).parents[3]
PACKAGES = ("asr", "server", "batch", "eval")
"""`train` is left out: a training knows the network that it trains."""
OWN_FOLDERS = [path for path in (ROOT / "asr" / "models").iterdir() if (path / "architecture.py").is_file()]


class Transducer:
    """A third architecture's recogniser. It recognises nothing."""

    architecture, precision, languages, update_ms = "transducer", "float32", (), 500
    finality = Finality.SETTLED
    aligner, longest_placed_s, places_silence = "none", 0.0, False

    def __init__(self, files: ModelFiles) -> None:
        self.name, self.weights_sha256, self.files = files.name, files.weights_sha256, files

    def recognise(self, windows: list[Window]) -> list[Hypothesis]:
        return [Hypothesis((), "") for _ in windows]

    def compile(self) -> None:
        pass

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return ()

    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        return []


def read_transducer(name: str, source: Source, weights_sha256: str) -> ModelFiles:
    tensors = {"joiner.weight": torch.zeros(1)}
    return ModelFiles(name, "transducer", tensors, source.config(), tokens_file(source), weights_sha256)


def tokens_file(source: Source) -> Path:
    path = source.folder / "tokens.txt"
    if not path.is_file():
        raise ModelError(f"{source.where} has no tokens.txt")
    return path


TRANSDUCER: Architecture[Any] = Architecture(
    model_types=("transducer",),
    layouts=("transformers",),
    settings_files=("tokens.txt",),
    tokenizer_file=tokens_file,
    read=read_transducer,
    recogniser=lambda files, precision: Transducer(files),
)


@pytest.fixture
def transducer_folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "transducer", "joiner_dim": 512}))
    (tmp_path / "tokens.txt").write_text("<blk>\na\n")
    save_file({"joiner.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    return tmp_path


def test_a_third_architecture_is_one_entry_in_the_tuple(
    transducer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is found by its config.json and becomes an engine; before the entry it is refused by its type."""
    with pytest.raises(ModelError, match=r"of type 'transducer', wanted whisper, wav2vec2, hubert or wavlm"):
        Engine.load(str(transducer_folder))
    monkeypatch.setattr(registry, "ARCHITECTURES", (*ARCHITECTURES, TRANSDUCER))
    engine = Engine.load(str(transducer_folder))
    assert isinstance(engine.recogniser, Transducer)
    assert engine.architecture == "transducer"
    assert engine.recogniser.files.config["joiner_dim"] == 512
    assert engine.weights_sha256 == load_model_files(str(transducer_folder)).weights_sha256
    (transducer_folder / "tokens.txt").unlink()
    with pytest.raises(ModelError, match=r"no tokens\.txt"):
        find_model(str(transducer_folder))


def test_another_architecture_is_refused_by_name(write_transformers: Callable[[Path], Path], tmp_path: Path) -> None:
    """A BERT beside a config.json that says so."""
    folder = write_transformers(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 8}))
    wanted = "whisper, wav2vec2, hubert or wavlm"
    with pytest.raises(ModelError) as caught:
        load_model_files(str(folder))
    assert str(caught.value) == f"{folder} holds a transformers model of type 'bert', wanted {wanted}"


def test_every_configured_model_has_an_architecture() -> None:
    """A type in configs/models/*.toml that no architecture accepts would only be noticed when somebody loads it."""
    for model in configured_models().values():
        if model.present:
            assert architecture_of(model.located()) in ARCHITECTURES
        assert any(
            model.architecture in architecture.model_types and model.layout in architecture.layouts
            for architecture in ARCHITECTURES
        )


def test_every_folder_of_an_architecture_is_registered_and_no_type_twice() -> None:
    """Two architectures that claim one model type would depend on the order of the tuple."""
    types = [name for architecture in ARCHITECTURES for name in architecture.model_types]
    assert len(OWN_FOLDERS) == len(ARCHITECTURES) >= 2
    assert len(types) == len(set(types))


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the product but the architectures' own."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not any(path.is_relative_to(folder) for folder in OWN_FOLDERS):
                yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def names_compared(tree: ast.Module) -> Iterator[object]:
    """The constants that a module compares with something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            yield from (c.value for side in sides for c in ast.walk(side) if isinstance(c, ast.Constant))
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            yield node.value.value


def test_no_other_file_compares_the_name_of_an_architecture() -> None:
    """`architecture == "whisper"` anywhere else would have to be found and extended for the next architecture."""
    names = {*(folder.name for folder in OWN_FOLDERS)}
    names |= {name for architecture in ARCHITECTURES for name in architecture.model_types}
    compared = [(path, name) for path, tree in modules() for name in names_compared(tree) if name in names]
    assert compared == []
    assert "whisper" in names_compared(ast.parse('x = files.architecture != "whisper"'))


def test_only_the_registry_imports_an_architecture() -> None:
    """Everything else works through `asr.models.base.Recogniser`."""
    own = tuple(f"asr.models.{folder.name}" for folder in OWN_FOLDERS)
    users = {
        str(path)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(own)
    }
    assert users == {str(Path("asr", "models", "registry.py"))}


def test_finding_and_checking_files_needs_no_model_code() -> None:
    """The way is models -> model_files, never back: `asr models` starts without torch and knows no architecture."""
    program = "import sys, asr.model_files; print([m for m in sys.modules if m.startswith(('torch', 'asr.models'))])"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
