"""What all tests share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from asr.engine import Engine

torch.set_num_threads(1)

# A busy machine is no fault of an example: no test here has an absolute time.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Models that somebody trained on this machine are no part of what is tested here.
os.environ["STEADYWORD_MODELS"] = tempfile.mkdtemp(prefix="steadyword-models-")
# Nor is a ledger of releases.
os.environ.pop("ASR_LEDGER", None)
# Nor are the keys of a server that runs here.
os.environ["STEADYWORD_KEYS"] = ""
# A server with a ledger would make a salt in the user's folder.
os.environ["STEADYWORD_CLIENT_SALT"] = "the salt of clients in all tests of this project"


MODEL_FIXTURES = {"whisper_tiny", "whisper_tiny_float32", "whisper_base", "real", "learned", "remote"}
"""A test that uses one of them loads weights, so it gets the marker `model`; others say so themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if MODEL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.model)


@pytest.fixture(autouse=True)
def no_ledger_is_left() -> Iterator[None]:
    """A command with `--ledger` sets the variable for its process; here that is the process of the next test too."""
    yield
    os.environ.pop("ASR_LEDGER", None)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long bytes get no name but a number: encoders write other ones in each process, and the processes of one run must
    name a test alike."""
    return "bytes" if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(scope="session")
def whisper_tiny() -> "Engine":
    """The default model as users run it: int8 where the CPU has it."""
    from asr.engine import Engine

    return Engine.load("whisper-tiny.en")


@pytest.fixture(scope="session")
def whisper_tiny_float32() -> "Engine":
    """The default model in float32, whose numbers other implementations give too."""
    from asr.engine import Engine

    return Engine.load("whisper-tiny.en", precision="float32")


@pytest.fixture(scope="session")
def whisper_base() -> "Engine":
    """The multilingual model."""
    from asr.engine import Engine

    return Engine.load("whisper-base")


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small CTC model, trained in seconds: it knows two clips by heart (`tests.train.learned`)."""
    from eval.progress import Bar
    from tests.train.learned import learned_model

    folder = tmp_path_factory.mktemp("models") / "learned"
    learned_model(folder, Bar(advance=lambda _: None, say=lambda _: None))
    return folder
