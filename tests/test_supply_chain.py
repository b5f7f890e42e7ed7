"""What is installed and loaded is what was locked, and data runs no code."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.lock import without_cuda

ROOT = Path(__file__).parents[1]
PACKAGES = ("asr", "server", "batch", "eval", "train")

LOCKS = ("requirements.lock", "requirements-cpu.lock", "requirements-dev.lock")
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
    assert len(lines) == 4
    assert all("--require-hashes" in line for line in lines)


def test_the_lock_without_cuda_is_the_other_one_without_it() -> None:
    """`make lock` writes it, and nobody edits it: the same versions and hashes, but for torch's own."""
    full, light = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-cpu.lock"))
    assert light == without_cuda(full)
    assert "nvidia" in full
    assert not re.search(r"nvidia|cuda-|triton", light.split("\n", 1)[1])
    assert light.splitlines()[1].startswith("torch==")


@pytest.mark.parametrize(
    ("goal", "cuda", "has_full", "chosen"),
    [
        ("serve", "0", False, "requirements-cpu.lock"),
        ("serve", "1", False, "requirements.lock"),
        ("serve", "0", True, "nothing"),
        ("light", "0", False, "requirements-cpu.lock"),
        ("setup", "0", False, "requirements.lock"),
        ("test", "0", False, "requirements.lock"),
    ],
)
def test_only_a_server_without_a_gpu_goes_without_cuda(
    tmp_path: Path, goal: str, cuda: str, has_full: bool, chosen: str
) -> None:
    """What `make` would install: tests always have the full lock, and an environment that has it keeps it."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    if has_full:
        (venv / ".runtime").touch()
    command = ["make", "--no-print-directory", "-n", goal, f"CUDA={cuda}", f"VENV={venv}"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    installed = re.findall(r"install .*-r (\S+)", plan)
    assert installed[:1] == ([] if chosen == "nothing" else [chosen])
    assert goal in ("serve", "light") or "requirements-cpu.lock" not in plan


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

OWN_PICKLES = {("server/workers/worker.py", "pickle.loads"), ("server/ray_router.py", "pickle.loads")}
"""Sessions that another worker of this server pickled, through the server's own pipe; requests that Ray's proxy pickled
for a replica, within the cluster. Never what came from outside."""


def test_nothing_loads_data_that_may_run_code() -> None:
    """No pickle, no `eval`, no code of a model's author."""
    for path in SOURCES:
        for name, options in calls_in(path.read_text(encoding="utf-8")):
            where = str(path.relative_to(ROOT))
            assert not runs_code(name, options) or (where, name) in OWN_PICKLES, f"{where}: {name}"
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
