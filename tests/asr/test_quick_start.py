"""A command that only recognises starts without what it never uses, and ends without a search for garbage."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from asr.quick_start import without_collection


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_collection_is_paused_and_goes_on_as_before() -> None:
    """Also after an error, and not where the caller had switched it off."""
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="wrong"), without_collection():
        raise ValueError("wrong")
    assert gc.isenabled()
    gc.disable()
    with without_collection():
        pass
    assert not gc.isenabled()


SCRIPT = """
import sys
from asr.quick_start import NEVER_USED, quick_imports

finders = list(sys.meta_path)
with quick_imports():
    import torch
assert sys.meta_path == finders
for name in NEVER_USED:
    assert not names(name), f"{name} was loaded"
    assert getattr(sys.modules[name], "aten") is torch.ops.aten, "loaded when it is used"
    assert names(name), name
assert torch.empty(3, 2, device="meta").sum(0).shape == (2,), "and then it works"
"""
NAMES = "def names(name):\n    return 'aten' in object.__getattribute__(sys.modules[name], '__dict__')\n"


@pytest.mark.slow
def test_what_is_never_used_is_loaded_when_it_is_used() -> None:
    """In a new process, since torch is imported once: the modules wait, and work as ever when somebody needs them."""
    done = subprocess.run([sys.executable, "-c", NAMES + SCRIPT], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
