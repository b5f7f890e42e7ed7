"""The command works in any project: modules there that are called as our packages hide none of them."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from asr.own_packages import PACKAGES, _sorted

ROOT = Path(__file__).parents[2]
COMMAND = ["-c", "from steadyword import main; main()"]
GROUPS = ("transcribe", "serve", "eval", "train", "monitor", "models")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder with modules of our packages' names, in each form."""
    for name in ("train", "server", "ops"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the module of the project')\n")
    for name in ("eval", "batch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    return tmp_path


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=project,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize("path", ["", ".", "{}"])
@pytest.mark.parametrize("command", [COMMAND, ["-m", "asr"]], ids=["script", "module"])
def test_no_command_is_missing_in_a_project(project: Path, command: list[str], path: str) -> None:
    """From its folder, with it on the path by either name, as a script and as a module."""
    done = run(project, *command, "--help", PYTHONPATH=path.format(project))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [name for name in GROUPS if name not in done.stdout] == []


@pytest.mark.parametrize("command", [COMMAND, ["-m", "steadyword"]], ids=["script", "module"])
def test_a_module_called_asr_hides_nothing_from_the_command(project: Path, command: list[str]) -> None:
    """The command begins in a package whose name nobody else has."""
    (project / "asr.py").write_text("raise RuntimeError('the module of the project')\n")
    done = run(project, *command, "--version", PYTHONPATH=".")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("steadyword ")


@pytest.mark.parametrize("name", ["asr.py", "asr/__init__.py"])
def test_a_program_names_the_module_that_hides_ours(project: Path, name: str) -> None:
    """In a user's own program Python takes that module for ours. The error names it; it is not run."""
    module = project / name
    module.parent.mkdir(exist_ok=True)
    module.write_text("raise RuntimeError('the module of the project')\n")
    done = run(project, "-c", "import steadyword; steadyword.transcribe")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: found {module}")


def test_a_script_called_asr_is_named(project: Path) -> None:
    """Python has its folder first on the path."""
    (project / "asr.py").write_text("import steadyword\nsteadyword.transcribe('talk.mp3')\n")
    done = run(project, "asr.py")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: found {project / 'asr.py'}")


def test_child_processes_find_the_same_packages(project: Path) -> None:
    """Workers are started by `multiprocessing`, which gives them this process's path."""
    code = (
        "from asr.own_packages import find_own_packages_first as first; first()\n"
        "import importlib, multiprocessing\n"
        "child = multiprocessing.get_context('spawn').Process(\n"
        "    target=importlib.import_module, args=('server.workers.process',))\n"
        "child.start(); child.join(); raise SystemExit(child.exitcode)\n"
    )
    done = run(project, "-c", code, PYTHONPATH=".")
    assert done.returncode == 0, done.stderr


def test_only_folders_that_hide_a_package_move(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The standard library stays before installed packages; a folder of files is no package."""
    home, other, files = str(ROOT), str(tmp_path_factory.mktemp("other")), tmp_path_factory.mktemp("files")
    (files / "train").mkdir()
    path = [str(project), other, str(files), home, "/installed"]
    assert _sorted(path, home) == [other, str(files), home, "/installed", str(project)]
    assert _sorted([other, home, str(project)], home) == [other, home, str(project)]
    assert _sorted([str(project), other], home) == [other, home, str(project)]


def test_the_list_is_that_of_the_wheel() -> None:
    """A new package would be hidden again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {*PACKAGES, "steadyword"} == {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}


def test_the_package_is_found_by_the_name_it_is_installed_by() -> None:
    """`import steadyword` has what `import asr` has."""
    import asr
    import steadyword

    assert steadyword.__all__ == asr.__all__
    assert steadyword.transcribe is asr.transcribe
    assert {*asr.__all__} <= {*dir(steadyword)}
    with pytest.raises(AttributeError, match="steadyword"):
        _ = steadyword.nothing
