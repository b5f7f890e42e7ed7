"""Whole rollouts with real parts: `asr serve`, `asr monitor`, a ledger on disk, clients, and the weights of Whisper.

Each test brings in another release and waits for the verdict in the ledger. `tests.ops.rollouts` says what is unreal.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.aliases import CANARY, CHAMPION, LOADING, SHADOW, SHARE, WEIGHT
from asr.errors import ModelError
from asr.model_files.export import exported
from asr.models.registry import find_model
from tests.ops.rollouts import BATCH, NAME, World, noisy

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(900)]
"""Some minutes of work for two cores; a machine that is busy takes several times as long."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("rollout"))
    try:
        yield made
    finally:
        made.stop()


def test_equal_weights_under_a_new_number_are_promoted_without_a_label(world: World) -> None:
    new = world.add(world.tiny)
    world.errors[new] = world.errors[1]
    labels = world.ledger.labels(NAME)
    world.move(SHADOW, new, {SHARE: 1.0})
    assert world.speak_until_verdict(new, with_labels=False) == ["canary", "promoted"]
    assert world.ledger.labels(NAME) == labels
    assert world.champion == new
    world.settle()
    assert world.speak(1)[0].release == f"{NAME}/{new}"


@pytest.mark.parametrize("kind", ["does not load", "fails its self-test"])
def test_a_broken_release_never_serves(world: World, kind: str, tmp_path: Path, broken: Path) -> None:
    """Not as the canary of all clients, and not as the champion by hand."""
    folder = broken
    if kind == "does not load":
        folder = Path(shutil.copytree(broken, tmp_path / "broken"))
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"d_model": 2 * config["d_model"]}))
    live, new = world.champion, world.add(folder)
    failed = world.failed_loads()
    world.move(CANARY, new, {WEIGHT: 1.0})
    world.until(lambda: world.failed_loads() > failed)
    assert {said.release for said in world.speak(2)} == {f"{NAME}/{live}"}
    world.move(CANARY, None)
    world.move(CHAMPION, new)
    world.until(lambda: world.failed_loads() > failed + 1)
    assert {said.release for said in world.speak(2)} == {f"{NAME}/{live}"}
    world.move(CHAMPION, live)
    assert {one.arm for one in world.ledger.outcomes(NAME) if one.release == new} == {LOADING}


def test_worse_weights_are_rejected_in_the_shadow(world: World, worse: Path) -> None:
    """They pass the self-test, and no client is ever served by them."""
    live, new = world.champion, world.add(worse)
    world.know(new, worse)
    world.move(SHADOW, new, {SHARE: 1.0})
    assert world.speak_until_verdict(new) == ["rejected"]
    assert world.champion == live
    assert not [one for one in world.ledger.outcomes(NAME) if one.release == new]


def test_worse_weights_without_a_shadow_are_rolled_back_in_the_canary(world: World, worse: Path) -> None:
    live, new = world.champion, world.add(worse, "without a shadow")
    world.know(new, worse)
    world.move(CANARY, new, {WEIGHT: 0.5})
    assert world.speak_until_verdict(new) == ["rolled back"]
    assert world.champion == live
    assert {one.arm for one in world.ledger.outcomes(NAME) if one.release == new} == {CANARY}
    world.settle()
    assert {said.release for said in world.speak(BATCH)} == {f"{NAME}/{live}"}


def test_a_better_model_is_promoted_by_proof(world: World, tmp_path: Path) -> None:
    """whisper-base in place of tiny.en, from streams in which the two differ and their labels."""
    try:
        folder = exported(find_model("whisper-base")[1], tmp_path / "base")
    except ModelError as error:
        pytest.skip(f"whisper-base is not installed: {error}")
    new = world.add(folder)
    world.know(new, folder)
    world.move(SHADOW, new, {SHARE: 1.0})
    assert world.speak_until_verdict(new) == ["canary", "promoted"]
    assert sum(world.errors[new]) < sum(world.errors[1])
    promotion = world.verdicts(new)[-1]
    assert promotion.evidence["labelled"] > 0
    assert promotion.evidence["benefit"] >= 20
    world.settle()
    assert world.speak(1)[0].release == f"{NAME}/{new}"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So much noise that the weights recognise nothing."""
    return noisy(tmp_path_factory.mktemp("broken") / "model", scale=0.3, seed=1)


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with seeded noise: they recognise clear speech, and nothing under noise."""
    return noisy(tmp_path_factory.mktemp("worse") / "model", scale=0.15, seed=2)
