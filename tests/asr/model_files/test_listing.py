"""The models that have a name."""

import pytest

from asr.model_files import list_models
from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import Packaged, flip_a_byte


def test_the_list_shows_present_missing_and_damaged_models(packaged: Packaged) -> None:
    """Present and intact; present but damaged; not present, where the hash is unknown."""
    intact = list_models()[0]
    assert (intact.name, intact.present, intact.hash_ok) == ("tiny-test", True, True)
    assert intact.size_bytes == sum(part.stat().st_size for part in packaged.parts)
    flip_a_byte(packaged.parts[0], 5000)
    assert (list_models()[0].present, list_models()[0].hash_ok) == (True, False)
    packaged.parts[0].unlink()
    missing = list_models()[0]
    assert (missing.present, missing.hash_ok, missing.size_bytes) == (False, None, None)


@pytest.mark.model
def test_the_languages_listed_are_those_of_the_tokenizer() -> None:
    """configs/models/whisper-base.toml writes out its 99 languages; the tokenizer has the same, in the same order."""
    listed = {status.name: status.languages for status in list_models()}
    assert listed["whisper-base"] == tuple(load_model_files("whisper-base").generation["lang_to_id"])
    assert listed["whisper-tiny.en"] == ("en",)
