"""Hub ids, with the hub's own client, on a cache folder in that client's layout."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest

from asr.errors import ModelError
from asr.model_files.hub import is_hub_id
from asr.models.registry import load_model_files

pytestmark = pytest.mark.usefixtures("own_cache")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no way to the hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def fetched(hub_cache: Path, write_transformers: Callable[[Path], Path], tmp_path: Path) -> Path:
    """The random model as `someone/tiny`, fetched before: blobs named by their SHA-256, a snapshot of links to them."""
    repository = hub_cache / "models--someone--tiny"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", snapshot, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for file in write_transformers(tmp_path / "model").iterdir():
        blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    return snapshot


def test_a_model_fetched_before_loads_without_the_hub(fetched: Path) -> None:
    """The client's own cache is used, and its blob's name is the weights' hash."""
    model = load_model_files("someone/tiny")
    assert model.name == "someone/tiny"
    assert model.weights_sha256 == (fetched / "model.safetensors").resolve().name


def test_a_blob_whose_content_does_not_fit_its_name_is_refused(fetched: Path) -> None:
    """A hub's file is named by its SHA-256, so damage is noticed; the error has the command for a new download."""
    blob = (fetched / "model.safetensors").resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged.*hf download someone/tiny --force-download"):
        load_model_files("someone/tiny")


@pytest.mark.usefixtures("hub_cache")
def test_a_hub_that_cannot_be_reached_is_an_error() -> None:
    """Neither cached nor reachable: one sentence with the command for a machine that has the hub."""
    with pytest.raises(ModelError, match=r"hub cannot be reached; where it can, run: hf download someone/other"):
        load_model_files("someone/other")


def test_without_the_client_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is an extra; the error has the command."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "huggingface_hub" else find_spec(name)
    )
    with pytest.raises(ModelError, match=r"-m pip install '?huggingface[-_]hub"):
        load_model_files("openai/whisper-small")


@pytest.mark.parametrize("name", ["openai/whisper-small", "Systran/faster-whisper-tiny.en", "a/b"])
def test_hub_ids_are_recognised(name: str) -> None:
    """Organisation and model, nothing else."""
    assert is_hub_id(name)


@pytest.mark.parametrize(
    "name", ["./model", "/abs/path", "~/model", "a/b/c", "../x", "a/", "whisper-tiny", "a b/c", "a/.."]
)
def test_paths_are_no_hub_ids(name: str) -> None:
    """A folder that is not there must not be looked for on the hub."""
    assert not is_hub_id(name)
