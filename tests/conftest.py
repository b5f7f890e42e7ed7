"""What all tests share."""

import os
import tempfile
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

# Models that somebody trained on this machine are no part of what is tested here.
os.environ["STEADYWORD_MODELS"] = tempfile.mkdtemp(prefix="steadyword-models-")


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small CTC model, trained in seconds: it knows two clips by heart (`tests.train.learned`)."""
    from eval.progress import Bar
    from tests.train.learned import learned_model

    folder = tmp_path_factory.mktemp("models") / "learned"
    learned_model(folder, Bar(advance=lambda _: None, say=lambda _: None))
    return folder
