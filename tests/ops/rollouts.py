"""A server and a monitor on one ledger with the weights of Whisper, clients that speak to them, and who labels.

Unreal: the recordings are two clips under noise, the labels come from a program that knows what is said, and the policy
allows more points than `configs/rollout.toml`, so that some dozens of streams decide.
"""

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from rapidfuzz.distance import Levenshtein
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.engine import Engine
from asr.errors import MoveConflict
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

NAME = "m"
TEXT = "the quick brown fox jumps over the lazy dog one two three four five six seven eight nine ten"
RECORDINGS = 6
SNR_DB = 1.0
"""So much noise that tiny.en makes 3 or 4 errors in 19 words, and whisper-base one less."""
BATCH = 4
"""Streams at a time."""
MOST_STREAMS = 150
PATIENCE_S = 600.0
SERVER = """
workers = 1
max_load = 99.0
keep_warm_s = 0.0
max_shadow_lag_s = 600
start_timeout_s = 600.0
step_timeout_s = 600.0
"""
"""A machine busy with other tests must not look like a worker that hangs, or like a release that does not load."""
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

    def __init__(self, folder: Path, *options: str | Path) -> None:
        """``options``: more of them for `asr monitor`."""
        self.folder, self.place = folder, folder / "ledger.db"
        self.ledger = open_ledger(self.place)
        self.tiny = exported(find_model("whisper-tiny.en")[1], folder / "tiny")
        self.recordings = [recording(number) for number in range(RECORDINGS)]
        """What clients say, one after the other."""
        self.text = TEXT
        """The words of each of them."""
        self.errors: dict[int, list[int]] = {}
        self._known: dict[Path, list[int]] = {}
        self._heard: dict[str, Said] = {}
        self._labelled: set[tuple[str, int]] = set()
        self._clients = itertools.count()
        self.move(CHAMPION, self.add(self.tiny))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, "s" * 32)  # so that the same clients are the canary's in each run
            self.server = ServerProcess(folder, f'ledger = "{self.place}"\n{SERVER}', NAME)
        (folder / "policy.toml").write_text(POLICY)
        with (folder / "monitor.log").open("wb") as log:
            command = [Path(sys.executable).with_name("asr"), "monitor", "--ledger", self.place, "--every", "0.2"]
            command += ["--config", folder / "policy.toml", *options]
            self.monitor = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.server.wait_until_ready(PATIENCE_S)
            self.know(1, self.tiny)
        except BaseException:
            self.stop()
            raise

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
        number = client % len(self.recordings)
        url = self.server.url.replace("http", "ws") + f"v1/listen?{RAW}&language=en&client_id=client-{client}"
        while True:
            try:
                socket = connect(url, compression=None, max_size=None)
                break
            except InvalidStatus as refused:  # a busy machine has fewer places than clients: they try again, as asked
                time.sleep(float(refused.response.headers["Retry-After"]))
        with socket:
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

    def say(self, recordings: Sequence[bytes], text: str) -> None:
        """What clients say from now on, as linear16, each with these words. What they said before gets no label."""
        self.recordings, self.text = list(recordings), text
        self._known.clear()
        self._heard.clear()

    # -- the labels --------------------------------------------------------------------------------------------------

    def know(self, number: int, folder: Path) -> None:
        """The errors of a release in each recording, as somebody would count them who knows what was said."""
        if folder not in self._known:
            engine = Engine.load(str(folder), threads=1)
            self._known[folder] = [errors(text_of(engine, samples), self.text) for samples in self.recordings]
        self.errors[number] = self._known[folder]

    def _label(self) -> None:
        """Labels of both texts of each pair that was drawn, and of the streams of each arm of a canary."""
        wanted = {(o.stream_id, o.release) for o in self.ledger.outcomes(NAME) if CANARY in self.ledger.aliases(NAME)}
        for new in self.errors:
            pairs = [pair for old in self.errors for pair in self.ledger.pairs(NAME, old, new) if pair.is_drawn]
            wanted |= {(pair.stream_id, number) for pair in pairs for number in (pair.champion, pair.challenger)}
        self.label(wanted)

    def label(self, wanted: Iterable[tuple[str, int]]) -> None:
        """Labels of these streams' texts by these releases, if there are none yet."""
        due = [one for one in sorted(set(wanted) - self._labelled) if one[0] in self._heard]
        lines = [self._line(*one) for one in due]
        if lines:
            self._labelled |= set(due)
            file = self.folder / "labels.jsonl"
            file.write_text("\n".join(lines))
            added, _, problems = import_labels(file, self.ledger, time.time())
            assert (added, list(problems)) == (len(lines), [])

    def _line(self, stream_id: str, release: int) -> str:
        found = self.errors[release][self._heard[stream_id].recording]
        row = {"stream_id": stream_id, "name": NAME, "release": release, "words": len(self.text.split())}
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


def errors(text: str, said: str) -> int:
    """Substitutions, deletions and insertions of words, by the rule of the server's pairs."""
    return int(Levenshtein.distance(*(units(normalise(each, "en"), "en") for each in (said, text))))
