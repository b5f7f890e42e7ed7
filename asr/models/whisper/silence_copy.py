"""A model's states of silence in the user's cache: computing them takes as long as 30 s of audio, at every start."""

import contextlib
import hashlib
from pathlib import Path

import torch

from asr.model_files.cache import cache_dir, write_atomically
from asr.models import layers, linear
from asr.models.whisper import ctranslate2, encoder, network
from asr.models.whisper.files import WhisperFiles

_CODE = (ctranslate2, encoder, layers, linear, network)
"""The modules that the states come from: other code has another copy."""
_DIGEST_BYTES = hashlib.sha256().digest_size


class SilenceCopy:
    """The copy of one model in one precision: the SHA-256 of what follows, then the states ``(s, width)``, float32.

    Its name holds all that the states depend on. A new copy replaces those of other code, so that an update leaves none
    behind. On a GPU the states are computed at once, so there is no copy.
    """

    def __init__(self, files: WhisperFiles, precision: str) -> None:
        self._width = int(files.config["d_model"])
        on_cpu = files.tensors["model.decoder.embed_tokens.weight"].device.type == "cpu"
        self._path = _path(files.weights_sha256, precision) if on_cpu and files.weights_sha256 else None

    def read(self) -> torch.Tensor | None:
        """The states; None without a copy, or with one that is damaged."""
        if self._path is None:
            return None
        try:
            content = self._path.read_bytes()
        except OSError:
            return None
        digest, states = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(states).digest() != digest:
            return None
        return torch.frombuffer(bytearray(states), dtype=torch.float32).view(-1, self._width)

    def write(self, states: torch.Tensor) -> None:
        """Writes the copy. Where it cannot be written, the next start computes the states again."""
        if self._path is None:
            return
        content = states.contiguous().numpy().tobytes()
        with contextlib.suppress(OSError):
            write_atomically(self._path, lambda path: _write(path, hashlib.sha256(content).digest() + content))
            self._delete_others(self._path)

    def _delete_others(self, own: Path) -> None:
        """Two versions that are used in turns compute the states at each start, as without a cache."""
        model_and_precision = own.name.rpartition("-")[0]
        for other in own.parent.glob(f"{model_and_precision}-*.silence"):
            if other != own:
                other.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _path(weights_sha256: str, precision: str) -> Path | None:
    """None where the modules' source is not on this machine."""
    try:
        code = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in _CODE]
    except OSError:
        return None
    computed_by = [torch.__version__, torch.backends.cpu.get_cpu_capability(), *code]
    own = hashlib.sha256("\n".join(computed_by).encode()).hexdigest()
    return cache_dir() / "models" / f"{weights_sha256[:32]}-{precision}-{own[:16]}.silence"
