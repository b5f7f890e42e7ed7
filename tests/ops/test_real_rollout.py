"""Whole rollouts with real parts: `asr serve`, `asr monitor`, a ledger on disk, clients, and the weights of Whisper.

Each test brings in another release and waits for the verdict in the ledger. Unreal: the recordings are two clips under
noise, the labels come from a program that knows what is said, and the policy allows more points than
`configs/rollout.toml`, so that some dozens of streams decide.
"""

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from rapidfuzz.distance import Levenshtein
from websockets.sync.client import connect

from asr.aliases import CANARY, CHAMPION, SHADOW, SHARE, WEIGHT
from asr.engine import Engine
from asr.errors import ModelError, MoveConflict
from asr.events import Final
from asr.ledger import Move, open_ledger
from asr.model_files.export import exported
from asr.models.registry import find_model
from asr.normalisation.normalise import normalise, units
from ops.labels import import_labels
from server.access.client_salt import VARIABLE
from server.client.protocol import pcm16
from tests.server.running import CLOSE, RAW, ServerProcess, transcript, until_closed
from tests.speech import clip, silence
from train.config import ModelSettings
from train.whisper_task import whisper_task

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(900)]
"""Some two minutes of work for two idle cores; a machine that is busy takes several times as long."""

NAME = "m"
TEXT = "the quick brown fox jumps over the lazy dog one two three four five six seven eight nine ten"
RECORDINGS = 6
SNR_DB = 1.0
"""So much noise that tiny.en makes 3 or 4 errors in 19 words, and whisper-base one less."""
BATCH = 3
"""Streams at a time."""
MOST_STREAMS = 150
PATIENCE_S = 600.0
POLICY = """
allow_points = 25.0
shadow_share = 1.0
steps = [0.5]
step_clients = 3
harm_alpha = 0.02
watch_alpha = 0.005
guard_alpha = 0.025
unit_minutes = 0
client_hours = 0
most_delay_s = 60.0
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator["World"]:
    made = World(tmp_path_factory.mktemp("rollout"))
    try:
        yield made
    finally:
        made.stop()


def test_equal_weights_under_a_new_number_are_promoted_without_a_label(world: "World") -> None:
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
def test_a_broken_release_never_serves(world: "World", kind: str, tmp_path: Path) -> None:
    """Not as the canary of all clients, and not as the champion by hand."""
    folder = noisy(tmp_path / "noisy", scale=0.3, seed=1)
    if kind == "does not load":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"d_model": 2 * config["d_model"]}))
    live, broken = world.champion, world.add(folder)
    for alias, options in ((CANARY, {WEIGHT: 1.0}), (CHAMPION, {})):
        failed = world.failed_loads()
        world.move(alias, broken, options)
        world.until(lambda before=failed: world.failed_loads() > before)  # type: ignore[misc]
        assert {said.release for said in world.speak(BATCH)} == {f"{NAME}/{live}"}
        world.move(alias, live if alias == CHAMPION else None)
    assert not [one for one in world.ledger.outcomes(NAME) if one.release == broken]


def test_worse_weights_are_rejected_in_the_shadow(world: "World", worse: Path) -> None:
    """They pass the self-test, and no client is ever served by them."""
    live, new = world.champion, world.add(worse)
    world.know(new, worse)
    world.move(SHADOW, new, {SHARE: 1.0})
    assert world.speak_until_verdict(new) == ["rejected"]
    assert world.champion == live
    assert not [one for one in world.ledger.outcomes(NAME) if one.release == new]


def test_worse_weights_without_a_shadow_are_rolled_back_in_the_canary(world: "World", worse: Path) -> None:
    live, new = world.champion, world.add(worse, "without a shadow")
    world.know(new, worse)
    world.move(CANARY, new, {WEIGHT: 0.5})
    assert world.speak_until_verdict(new) == ["rolled back"]
    assert world.champion == live
    assert {one.arm for one in world.ledger.outcomes(NAME) if one.release == new} == {CANARY}
    world.settle()
    assert {said.release for said in world.speak(BATCH)} == {f"{NAME}/{live}"}


def test_a_better_model_is_promoted_by_proof(world: "World", tmp_path: Path) -> None:
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
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with seeded noise: they recognise clear speech, and nothing under noise."""
    return noisy(tmp_path_factory.mktemp("worse") / "model", scale=0.15, seed=2)


def noisy(folder: Path, scale: float, seed: int) -> Path:
    """tiny.en with noise of so much of each matrix' own deviation."""
    task = whisper_task(ModelSettings(start="whisper-tiny.en"), torch.device("cpu"), "en")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in task.model.parameters():
            if weights.dim() > 1:
                weights.add_(scale * weights.std() * torch.randn(weights.shape, generator=random))
    folder.mkdir()
    task.save(folder)
    return folder


@dataclasses.dataclass(frozen=True)
class Said:
    """What a client got."""

    stream_id: str
    recording: int
    release: str
    text: str


class World:
    """A server and a monitor on one ledger, and who speaks to the server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "ledger.db"
        self.ledger = open_ledger(self.place)
        self.tiny = exported(find_model("whisper-tiny.en")[1], folder / "tiny")
        self.recordings = [recording(number) for number in range(RECORDINGS)]
        self.errors: dict[int, list[int]] = {}
        self._heard: dict[str, Said] = {}
        self._labelled: set[tuple[str, int]] = set()
        self._clients = itertools.count()
        self.move(CHAMPION, self.add(self.tiny))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, "s" * 32)  # so that the same clients are the canary's in each run
            settings = (
                f'ledger = "{self.place}"\nworkers = 1\nmax_load = 99.0\nkeep_warm_s = 0.0\nmax_shadow_lag_s = 600\n'
            )
            self.server = ServerProcess(folder, settings, NAME)
        (folder / "policy.toml").write_text(POLICY)
        with (folder / "monitor.log").open("wb") as log:
            command = [Path(sys.executable).with_name("asr"), "monitor", "--ledger", self.place, "--every", "0.2"]
            self.monitor = subprocess.Popen([*command, "--config", folder / "policy.toml"], stdout=log, stderr=log)
        self.server.wait_until_ready()
        self.know(1, self.tiny)

    def stop(self) -> None:
        self.monitor.terminate()
        self.monitor.wait(20)
        self.server.stop()

    # -- the ledger --------------------------------------------------------------------------------------------------

    def add(self, folder: Path, note: str = "") -> int:
        """A release of these files and one with its number, since the same files are the same release."""
        number = len(self.ledger.releases(NAME)) + 1
        copy = self.folder / f"release-{number}"
        shutil.copytree(folder, copy)
        (copy / "note.txt").write_text(f"{number} {note}")
        release = self.ledger.add_release(NAME, copy, by="test", why=note or "a rollout")
        shutil.rmtree(copy)
        return release.number

    @property
    def champion(self) -> int:
        return self.ledger.aliases(NAME)[CHAMPION].number

    def move(self, alias: str, to: int | None, options: dict[str, float] | None = None) -> None:
        """By hand. The monitor may have moved the alias in between."""
        while True:
            at = self.ledger.aliases(NAME).get(alias)
            expected = at.number if at else None
            if expected == to:
                return
            try:
                self.ledger.move(NAME, alias, expected=expected, to=to, by="test", why="by hand", options=options or {})
            except MoveConflict:
                continue
            return

    def verdicts(self, number: int) -> list[Move]:
        """The monitor's moves about a release, without those that only tidy up."""
        moves = [move for move in self.ledger.moves(NAME) if number in (move.from_number, move.to_number)]
        return [one for one in moves if one.evidence.get("verdict") not in (None, "watch", "finished", "step")]

    # -- the server --------------------------------------------------------------------------------------------------

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.server.url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def failed_loads(self) -> float:
        return self._sum("asr_failed_loads_total")

    def _sum(self, metric: str) -> float:
        lines = (line for line in self.get("metrics").splitlines() if line.startswith((f"{metric} ", f"{metric}{{")))
        return sum(float(line.split()[-1]) for line in lines)

    def settle(self) -> None:
        """Until new streams sit where the ledger says."""
        self.until(lambda: f'"{NAME}/{self.champion}"' in self.get("v1/models"))

    def until(self, holds: Callable[[], bool]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert self.monitor.poll() is None, (self.folder / "monitor.log").read_text()[-2000:]
            assert time.monotonic() < end_s, self.server.log()[-2000:]
            time.sleep(0.1)

    # -- the clients -------------------------------------------------------------------------------------------------

    def speak(self, count: int) -> list[Said]:
        """Streams of new clients, until the ledger has their outcomes."""
        with ThreadPoolExecutor(count) as pool:
            said = list(pool.map(self._speak, [next(self._clients) for _ in range(count)]))
        self._heard |= {one.stream_id: one for one in said}
        return said

    def _speak(self, client: int) -> Said:
        number = client % RECORDINGS
        url = self.server.url.replace("http", "ws") + f"v1/listen?{RAW}&language=en&client_id=client-{client}"
        with connect(url, compression=None, max_size=None) as socket:
            socket.send(self.recordings[number])
            socket.send(CLOSE)
            messages, code = until_closed(socket)
        assert code == 1000, messages[-1]
        releases = {one["metadata"]["release"] for one in messages if one["type"] == "Results"}
        assert len(releases) <= 1
        end = next(one for one in messages if one["type"] == "Metadata")
        return Said(end["request_id"], number, next(iter(releases), ""), transcript(messages))

    def speak_until_verdict(self, new: int, *, with_labels: bool = True) -> list[str]:
        """The verdicts on a release up to the end of its trial. Speaks a batch, waits for its rows, labels it."""
        self.until(lambda: f" to {NAME}/{new}\n" in self.server.log())  # while it loads, its arm has no outcomes
        for _ in range(MOST_STREAMS // BATCH):
            said = self.speak(BATCH)
            self.until(lambda: self._is_over(new) or self._are_written(said))  # noqa: B023
            if self._is_over(new):
                break
            if with_labels:
                self._label()
        return [str(move.evidence["verdict"]) for move in self.verdicts(new)]

    def _is_over(self, new: int) -> bool:
        aliases = self.ledger.aliases(NAME)
        on_trial = [aliases[alias].number for alias in (CANARY, SHADOW) if alias in aliases]
        return self.champion == new or new not in on_trial

    def _are_written(self, said: Sequence[Said]) -> bool:
        """The outcomes of these streams, and all that the shadow has to hear."""
        rows = {one.stream_id for one in self.ledger.outcomes(NAME)}
        return rows.issuperset(one.stream_id for one in said) and not self._sum("asr_shadow_bytes")

    # -- the labels --------------------------------------------------------------------------------------------------

    def know(self, number: int, folder: Path) -> None:
        """The errors of a release in each recording, as somebody would count them who knows what was said."""
        engine = Engine.load(str(folder), threads=1)
        self.errors[number] = [errors(text_of(engine, samples)) for samples in self.recordings]

    def _label(self) -> None:
        """Labels of both texts of each pair that was drawn, and of the streams of each arm of a canary."""
        wanted = {(o.stream_id, o.release) for o in self.ledger.outcomes(NAME) if CANARY in self.ledger.aliases(NAME)}
        for new in self.errors:
            pairs = [pair for old in self.errors for pair in self.ledger.pairs(NAME, old, new) if pair.is_drawn]
            wanted |= {(pair.stream_id, number) for pair in pairs for number in (pair.champion, pair.challenger)}
        lines = [self._line(*one) for one in sorted(wanted - self._labelled) if one[0] in self._heard]
        if lines:
            self._labelled |= wanted
            file = self.folder / "labels.jsonl"
            file.write_text("\n".join(lines))
            added, _, problems = import_labels(file, self.ledger, time.time())
            assert (added, list(problems)) == (len(lines), [])

    def _line(self, stream_id: str, release: int) -> str:
        found = self.errors[release][self._heard[stream_id].recording]
        row = {"stream_id": stream_id, "name": NAME, "release": release, "words": len(TEXT.split())}
        return json.dumps(row | {"errors": found, "by": "test"})


def recording(number: int) -> bytes:
    """Two sentences under noise, as linear16. Their ends differ, so that no release is late by its word times alone."""
    speech = [silence(0.3), clip("quick_brown_fox"), silence(0.3), clip("counting"), silence(0.2 + 0.1 * number)]
    samples = np.concatenate(speech)
    noise = np.random.default_rng(number).standard_normal(len(samples)).astype(np.float32)
    return pcm16(samples + noise * np.sqrt(np.mean(samples**2) / 10 ** (SNR_DB / 10)))


def text_of(engine: Engine, pcm: bytes) -> str:
    """A stream without a server."""
    session = engine.open(language="en")
    session.receive_audio((np.frombuffer(pcm, "<i2") / 32768.0).astype(np.float32))
    session.receive_end()
    while session.ready:
        engine.step([session])
    return "".join(event.text for event in session.take_events() if isinstance(event, Final))


def errors(text: str) -> int:
    """Substitutions, deletions and insertions of words, by the rule of the server's pairs."""
    return int(Levenshtein.distance(*(units(normalise(each, "en"), "en") for each in (TEXT, text))))
