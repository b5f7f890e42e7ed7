"""The ledger's mirror in a real MLflow registry on this machine, and moves that were made there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asr import cli
from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.errors import CallerError
from asr.ledger import Ledger, open_ledger
from eval.runs.local_server import free_port
from tests.asr.ledger.releases import add_releases, model_folder

pytestmark = pytest.mark.slow

mlflow = pytest.importorskip("mlflow", reason="the extra mlops is not installed")

from ops.mlflow import synchronise  # noqa: E402 - it needs MLflow


class World:
    """A ledger with the releases m/1 (champion), m/2 and m/3, and the registry that mirrors it."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.ledger: Ledger = open_ledger(folder / "ledger.db")
        self.uri = uri
        add_releases(self.ledger, folder, 3)
        self.ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
        self.client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        assert self.synchronise() == []

    def synchronise(self) -> list[str]:
        return synchronise(self.ledger, self.uri)

    def shown(self) -> dict[str, str]:
        """MLflow's aliases."""
        return {alias: str(version) for alias, version in self.client.get_registered_model("m").aliases.items()}

    def held(self) -> dict[str, str]:
        """The ledger's, with the same numbers."""
        return {alias: str(release.number) for alias, release in self.ledger.aliases("m").items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty registry in SQLite: MLflow takes seconds to create its tables."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}").search_registered_models()
    return path.read_bytes()


@pytest.fixture
def world(store: bytes, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "mlflow.db").write_bytes(store)
    made = World(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    with made.ledger:
        yield made


def test_releases_and_aliases_show_in_mlflow(world: World) -> None:
    """Versions carry the release's name and hash; what changes in the ledger follows; a second look changes nothing."""
    versions = {str(one.version): one.tags for one in world.client.search_model_versions("name = 'm'")}
    assert {version: tags["steadyword.release"] for version, tags in versions.items()} == {
        "1": "m/1",
        "2": "m/2",
        "3": "m/3",
    }
    assert versions["2"]["steadyword.sha256"] == world.ledger.release("m", 2).sha256
    assert world.shown() == {CHAMPION: "1"}
    world.ledger.move("m", CANARY, expected=None, to=2, by="ann", why="try")
    world.ledger.move("m", CHAMPION, expected=1, to=3, by="ann", why="better")
    assert world.synchronise() == world.synchronise() == []
    assert world.shown() == world.held() == {CHAMPION: "3", CANARY: "2"}
    world.ledger.move("m", CANARY, expected=2, to=None, by="ann", why="enough")
    assert world.synchronise() == []
    assert world.shown() == {CHAMPION: "3"}


@pytest.mark.parametrize("alias", [CHAMPION, CANARY])
def test_a_move_without_evidence_is_refused_and_put_back(world: World, alias: str) -> None:
    """One sentence; the champion goes on serving."""
    before, moves = world.shown(), world.ledger.version()
    world.client.set_registered_model_alias("m", alias, "2")
    (sentence,) = world.synchronise()
    assert sentence.startswith(
        f"m@{alias} was moved in MLflow to m/2 and put back: m/2 has no passed gate beside today"
    )
    assert world.shown() == before
    assert world.ledger.version() == moves
    assert world.synchronise() == []


def test_a_move_with_evidence_is_granted(world: World) -> None:
    """The ledger's history names MLflow and the gate."""
    world.ledger.add_gate("m", 2, has_passed=True, by="ci", evidence={"wer": 0.1})
    world.client.set_registered_model_alias("m", CHAMPION, "2")
    assert world.synchronise() == ["m@champion was moved in MLflow to m/2, and in the ledger too"]
    move = world.ledger.moves("m")[-1]
    assert (move.by, move.from_number, move.to_number, move.evidence) == ("mlflow", 1, 2, {"gate": 1, "wer": 0.1})
    assert world.shown() == world.held()
    world.client.set_registered_model_alias("m", CHAMPION, "1")
    assert world.synchronise() == ["m@champion was moved in MLflow to m/1, and in the ledger too"]
    assert world.ledger.moves("m")[-1].why == "rolled back in MLflow"


def test_a_shadow_needs_no_evidence_and_to_stop_needs_none(world: World) -> None:
    """A shadow's words reach nobody; but a champion cannot be taken away."""
    world.client.set_registered_model_alias("m", SHADOW, "3")
    assert len(world.synchronise()) == 1
    assert world.held() == {CHAMPION: "1", SHADOW: "3"}
    assert world.ledger.options("m", SHADOW) == {"share": 0.2}
    world.client.delete_registered_model_alias("m", SHADOW)
    world.client.delete_registered_model_alias("m", CHAMPION)
    sentences = world.synchronise()
    assert (
        "m@champion was moved in MLflow to no release and put back: a champion is replaced, never taken away"
        in sentences
    )
    assert world.shown() == world.held() == {CHAMPION: "1"}


def test_a_version_that_is_no_release_is_refused(world: World) -> None:
    """Somebody registered a model of their own under the same name."""
    made = world.client.create_model_version("m", "steadyword:/elsewhere")
    world.client.set_registered_model_alias("m", SHADOW, made.version)
    (sentence,) = world.synchronise()
    assert "put back: that version is no release" in sentence
    assert world.shown() == {CHAMPION: "1"}


def test_a_release_with_damaged_files_is_refused(world: World) -> None:
    """Its hash is checked before it moves."""
    (world.ledger.release("m", 2).folder / "vocab.json").unlink()
    world.client.set_registered_model_alias("m", SHADOW, "2")
    (sentence,) = world.synchronise()
    assert "put back: the files of m/2" in sentence


def test_of_two_moves_at_once_the_ledgers_counts(world: World) -> None:
    """Somebody moved the alias here and somebody there."""
    world.ledger.move("m", SHADOW, expected=None, to=2, by="ann", why="here")
    world.client.set_registered_model_alias("m", SHADOW, "3")
    (sentence,) = world.synchronise()
    assert "put back: the ledger's alias moved at the same time, and it counts" in sentence
    assert world.shown() == world.held() == {CHAMPION: "1", SHADOW: "2"}


def test_a_mirror_that_died_between_two_steps_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had moved the ledger's alias and not remembered that: the move is not taken for another request."""
    world.ledger.add_gate("m", 2, has_passed=True, by="ci", evidence={})
    world.client.set_registered_model_alias("m", CHAMPION, "2")

    def die(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ops.mlflow.Mirror.put", die)
        with pytest.raises(KeyboardInterrupt):
            world.synchronise()
    assert world.held() == {CHAMPION: "2"}
    assert world.synchronise() == []
    assert world.shown() == world.held()


def test_another_model_of_that_name_is_left_alone(world: World, tmp_path: Path) -> None:
    """A registered model that this ledger did not make is not overwritten."""
    world.client.create_registered_model("other")
    world.ledger.add_release("other", model_folder(tmp_path / "other"), by="ann", why="a test")
    (sentence,) = world.synchronise()
    assert "MLflow's model other is not a mirror of this ledger and was left alone" in sentence
    assert world.client.search_model_versions("name = 'other'") == []


def test_a_server_that_is_down_is_one_sentence(tmp_path: Path) -> None:
    """Soon, and not after the four minutes for which MLflow's own client tries."""
    address = f"http://127.0.0.1:{free_port()}"
    with open_ledger(tmp_path / "ledger.db") as ledger:
        add_releases(ledger, tmp_path, 1)
        with pytest.raises(CallerError, match=r"MLflow's registry http://127.0.0.1:\d+ cannot be used"):
            synchronise(ledger, address)


def test_the_command_mirrors_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """`asr models mirror`; a registry that cannot be used is one sentence."""
    world.client.set_registered_model_alias("m", SHADOW, "3")
    command = ["models", "mirror", "--ledger", world.ledger.where, "--once", "--mlflow"]
    assert cli.run([*command, world.uri]) == 0
    assert capsys.readouterr().out == "m@shadow was moved in MLflow to m/3, and in the ledger too\n"
    assert cli.run([*command, "nosuch://registry"]) == 1
    assert "MLflow's registry nosuch://registry cannot be used" in capsys.readouterr().err
