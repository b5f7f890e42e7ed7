"""Models as folders that a peer reads."""

import hashlib
from pathlib import Path

import pytest

from asr.errors import ModelError
from asr.model_files.configured import configured_models
from eval.bench.peers.transcribers import ctranslate2_folder


@pytest.mark.parametrize("model", ["whisper-tiny.en", "whisper-base"])
def test_a_packaged_model_becomes_a_folder_that_the_peer_reads(model: str) -> None:
    """Its parts joined, with the other files that faster-whisper asks for; the hash is the configured one."""
    with ctranslate2_folder(model) as folder:
        assert {path.name for path in folder.iterdir()} >= {"model.bin", "config.json", "tokenizer.json"}
        assert any(path.name.startswith("vocabulary") for path in folder.iterdir())
        found = hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()
        assert found == configured_models()[model].sha256
    assert not folder.exists()


def test_a_folder_is_the_peers_as_it_is_and_other_models_are_refused(tmp_path: Path) -> None:
    """A hub's model is in another layout."""
    with ctranslate2_folder(str(tmp_path)) as folder:
        assert folder == tmp_path
    with pytest.raises(ModelError, match="CTranslate2"), ctranslate2_folder("openai/whisper-small"):
        pass
