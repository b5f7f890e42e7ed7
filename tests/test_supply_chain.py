"""What is installed and loaded is what was locked, and data runs no code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("asr", "server", "batch", "eval", "train")

LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"[a-z0-9-]+==\S+( ; \S.*)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_the_locks_has_hashes(name: str) -> None:
    """`pip install --require-hashes` refuses a file that is none of them, and a lock where one is missing."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line.split("--hash", 1) for line in text.splitlines() if line and not line.startswith("#")]
    assert len(packages) > 60
    for pin, hashes in packages:
        assert PIN.fullmatch(pin.strip()), pin
        assert all(HASH.fullmatch(one) for one in ("--hash" + hashes).split()), pin


def test_the_locks_are_installed_with_their_hashes() -> None:
    """Each `pip install -r` of a lock."""
    lines = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "-r requirements" in line]
    assert len(lines) == 2
    assert all("--require-hashes" in line for line in lines)


def calls_in(source: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The name of each function that is called, as it is written, and its constant keyword arguments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            options = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
            yield ast.unparse(node.func), options


def runs_code(name: str, options: dict[str, object]) -> bool:
    """Whether this call may run code that comes with data."""
    last = name.rsplit(".", 1)[-1]
    return (
        name in ("eval", "exec", "yaml.load", "torch.hub.load", "joblib.load", "marshal.loads", "dill.load")
        or (last in ("load", "loads", "Unpickler") and "pickle" in name)
        or last == "read_pickle"
        or (name == "torch.load" and options.get("weights_only") is not True)
        or bool(options.get("allow_pickle"))
        or bool(options.get("trust_remote_code"))
    )


SOURCES = [path for package in (*PACKAGES, "scripts") for path in (ROOT / package).rglob("*.py")]
JIT = "asr/streaming/vad.py"
"""The only TorchScript, compared with its hash before it is loaded."""

CHECKPOINTS = ("server/workers/worker.py", "pickle.loads")
"""Sessions that another worker of this server pickled. They come through the server's own pipe, never from outside."""


def test_nothing_loads_data_that_may_run_code() -> None:
    """No pickle, no `eval`, no code of a model's author."""
    for path in SOURCES:
        for name, options in calls_in(path.read_text(encoding="utf-8")):
            where = str(path.relative_to(ROOT))
            assert not runs_code(name, options) or (where, name) == CHECKPOINTS, f"{where}: {name}"
            assert name != "torch.jit.load" or where == JIT, f"{where}: {name}"


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(p)", "torch.load(p, weights_only=False)", "pickle.load(f)", "cloudpickle.loads(b)", "eval(t)",
        "yaml.load(f)",
        "np.load(p, allow_pickle=True)", "AutoModel.from_pretrained(n, trust_remote_code=True)", "pd.read_pickle(p)",
    ],
)  # fmt: skip
def test_the_search_finds_each_kind(source: str) -> None:
    """Otherwise the test above could not fail."""
    assert any(runs_code(*call) for call in calls_in(source))


def test_what_is_safe_is_not_found() -> None:
    """Tensors alone, JSON, a model in training mode."""
    for source in ("torch.load(p, weights_only=True)", "json.loads(t)", "model.eval()", "np.load(p)"):
        assert not any(runs_code(*call) for call in calls_in(source))
