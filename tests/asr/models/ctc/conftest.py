"""A folder with a small random CTC model."""

from pathlib import Path

import pytest

from tests.asr.ctc_models import random_model, save


@pytest.fixture(scope="package")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(random_model("wav2vec2 large"), tmp_path_factory.mktemp("model"))
