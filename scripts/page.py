"""Measures the page in a real Chromium, with recordings as its microphone, on a real server of this machine.

python -m scripts.page kills --data ../shared/speech/en-read --kills 6 --seed 1
    kills the server at random moments, starts it again, and says which words were lost
python -m scripts.page first-words --data ../shared/speech/en-read --clips 10
    says how long after speech begins its first words stand on the page
python -m scripts.page picture --data ../shared/speech/en-read --out docs/page.png
    makes the picture of README.md: the page while it listens

Needs Chromium, and the packages of `make setup`. Exit code 1: `kills` has lost a word,
or `first-words` is over `--most`.
"""

import argparse
import base64
import difflib
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import numpy as np
import soundfile
from playwright.sync_api import Page, WebSocket, sync_playwright

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.normalisation.normalise import normalise
from eval.data.speech_bounds import speech_bounds
from eval.runs.local_server import free_port

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
GAP_S = 0.6
"""Silence between two recordings."""
LEAD_S = 2.0
"""Silence before the first one."""
UP_S = (1.0, 9.0)
"""From a page that is connected to the next kill."""
DOWN_S = (0.0, 12.0)
"""From a kill to the next start; the model's loading comes on top."""
END_S = 600.0
"""Silence behind the last one, so that the microphone goes on."""
READY_S = 400.0
MOST_MISSING = 2
"""A run of at most this number of words may be a difference of two recognitions; a longer one is lost sound."""


class Server:
    """`asr serve`, which keeps its port when it is killed and started again."""

    def __init__(self, folder: Path, model: str) -> None:
        self._port = free_port()
        self._log = folder / "server.log"
        self._model = model
        self.url = f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        command = [sys.executable, "-m", "asr", "serve", "--port", str(self._port), "--model", self._model]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        """Raises `TimeoutError`."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                with urlopen(f"{self.url}readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.1)
        raise TimeoutError(f"the server was not ready after {READY_S:.0f} s: {self._log.read_text()[-500:]}")

    def __enter__(self) -> "Server":
        """Starts it, and waits until it is ready."""
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Without any shutdown, as when a machine fails."""
        self._process.kill()
        self._process.wait()


@contextmanager
def open_page(url: str, spoken: Path) -> Iterator[Page]:
    """The page in a new browser whose microphone plays a recording, once, from its opening."""
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += [f"--use-file-for-fake-audio-capture={spoken}%noloop"]
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, CHROMIUM)), None)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        page.set_default_timeout(READY_S * 1000)
        page.goto(url)
        page.wait_for_selector("#model option", state="attached")
        yield page
        browser.close()


def recordings(data: Path) -> list[Path]:
    """The recordings of a data set with a manifest, in its order."""
    lines = (data / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [data / json.loads(line)["audio_filepath"] for line in lines]


def joined(paths: list[Path], into: Path, end_s: float) -> Path:
    """Recordings one after the other, silence between, before and `end_s` behind, as a WAV file at 48 kHz."""
    pieces = [np.zeros(round(LEAD_S * SAMPLE_RATE_HZ), np.float32)]
    for path in paths:
        pieces += [*read_blocks(path), np.zeros(round(GAP_S * SAMPLE_RATE_HZ), np.float32)]
    pieces.append(np.zeros(round(end_s * SAMPLE_RATE_HZ), np.float32))
    soundfile.write(into, np.concatenate(pieces), SAMPLE_RATE_HZ)
    return into


# --- kills

WATCH = """() => {
    const finals = () => [...document.querySelectorAll("#words .final")].map((e) => e.textContent).join("");
    window.taken = [];
    window.lost = [];
    let before = finals();
    new MutationObserver(() => {
        const now = finals();
        if (!now.startsWith(before)) window.taken.push(before.slice(-80));
        before = now;
        const notice = document.getElementById("notice").textContent;
        if (/could not be kept/.test(notice)) window.lost.push(notice);
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
SHOWN = "() => document.getElementById('words').innerText.trim()"
CONNECTED = """async () => {
    const { page } = await import("/static/state.js");
    return Boolean(page.stream?.ready);
}"""


PAGE_WORDS = """async () => {
    const { page, transcript } = await import("/static/state.js");
    const { tape } = page.tapes[0];
    const said = transcript.finals.flatMap(({ words }) => words);
    const words = said.map(({ text, start, end }) => [text.trim(), start, end]);
    return [words, tape.end / tape.rate];
}"""
ROUNDED_S = 0.05
Spoken = tuple[str, float, float]
"""A word, its begin and its end."""


@dataclass
class Heard:
    """One stream of the server, over all of its connections, as it went over the wire."""

    offset_s: float
    rate_hz: int
    received_s: float = 0.0
    settled_s: float = 0.0
    words: list[Spoken] = field(default_factory=list)
    """Of its finals."""

    def take(self, text: str | bytes) -> None:
        message = json.loads(text)
        if "received_bytes" in message:
            self.received_s = self.offset_s + message["received_bytes"] / 2 / self.rate_hz
        self.settled_s = max(self.settled_s, message.get("settled_s", 0.0))
        if message.get("is_final"):
            found = message["channel"]["alternatives"][0]["words"]
            self.words += [(word["punctuated_word"], word["start"], word["end"]) for word in found]


class Wire:
    """What a page and its servers said to each other: what is lost between the two cannot be seen in the text alone,
    since two recognitions of the same sound differ at times."""

    def __init__(self, page: Page) -> None:
        self.streams: list[Heard] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(socket.url).query).items()}
        if "resume" not in query:
            self.streams.append(Heard(float(query.get("offset", 0)), int(query["sample_rate"])))
        socket.on("framereceived", self.streams[-1].take)

    def unheard_s(self, end_s: float) -> float:
        """Seconds of the tape that no stream got: behind what was final before a stream, or at the end."""
        unheard_s = reached_s = 0.0
        for stream in self.streams:
            unheard_s += max(0.0, stream.offset_s - reached_s - ROUNDED_S)
            reached_s = max(reached_s, stream.settled_s)
        return unheard_s + max(0.0, end_s - self.streams[-1].received_s - ROUNDED_S)

    def dropped(self, shown: list[Spoken]) -> list[list[str]]:
        """Of each seam with more words dropped as already known than words were known: those dropped."""
        on_page = {(text, start_s) for text, start_s, _ in shown}
        seams = []
        for number, stream in enumerate(self.streams[1:], 1):
            before = {(text, start_s) for other in self.streams[:number] for text, start_s, _ in other.words}
            known = [word for word in shown if word[:2] in before and (word[1] + word[2]) / 2 > stream.offset_s]
            dropped = [text for text, start_s, _ in stream.words if (text, start_s) not in on_page]
            if len(dropped) > len(known):
                seams.append(dropped)
        return seams


@dataclass
class Losses:
    """What the kills of one run have cost."""

    outages_s: list[float] = field(default_factory=list)
    reconnected_s: list[float] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    """Words that stood on the page at a kill, and not before the server was back."""
    taken: list[str] = field(default_factory=list)
    """Final text that was on the page and later was not."""
    notices: list[str] = field(default_factory=list)
    unheard_s: float = 0.0
    dropped: list[list[str]] = field(default_factory=list)
    words: int = 0
    missing: list[list[str]] = field(default_factory=list)
    """Against the recording recognised at once. A word of a cut utterance may be read in another way."""
    extra: int = 0

    @property
    def is_lost(self) -> bool:
        lost = self.hidden or self.taken or self.notices or self.unheard_s or self.dropped
        return bool(lost) or any(len(run) > MOST_MISSING for run in self.missing)


def wait_connected(page: Page) -> None:
    """Raises `TimeoutError`."""
    deadline = time.monotonic() + READY_S
    while not page.evaluate(CONNECTED):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the page is not connected: {page.locator('#notice').inner_text()}")
        page.wait_for_timeout(50)


def kill_once(page: Page, server: Server, draw: random.Random, losses: Losses) -> None:
    """One outage at a random moment, and the page's way back."""
    page.wait_for_timeout(1000 * draw.uniform(*UP_S))
    server.kill()
    killed = time.monotonic()
    page.wait_for_timeout(300)  # messages that were under way
    before = page.evaluate(SHOWN)
    page.wait_for_timeout(1000 * draw.uniform(*DOWN_S))
    if not page.evaluate(SHOWN).startswith(before):
        losses.hidden.append(before[-80:])
    server.start()
    server.wait_until_ready()
    ready = time.monotonic()
    wait_connected(page)
    losses.outages_s.append(ready - killed)
    losses.reconnected_s.append(time.monotonic() - ready)


def words_of(text: str) -> list[str]:
    return normalise(text, "en").split()


def undisturbed(url: str, spoken: Path) -> str:
    """The text of the recording, recognised at once by the same server."""
    with urlopen(Request(f"{url}v1/listen", spoken.read_bytes(), {"Content-Type": "audio/wav"}), timeout=600) as answer:
        result: dict[str, Any] = json.load(answer)
    return str(result["results"]["channels"][0]["alternatives"][0]["transcript"])


def compare(losses: Losses, wanted: list[str], found: list[str]) -> None:
    """Counts the words of `wanted` that have no counterpart in `found`, in runs."""
    losses.words = len(wanted)
    for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, wanted, found, autojunk=False).get_opcodes():
        if i2 - i1 > j2 - j1:
            losses.missing.append(wanted[i1 + (j2 - j1) : i2])
        losses.extra += max(0, (j2 - j1) - (i2 - i1))


def kills(arguments: argparse.Namespace) -> int:
    """Runs one page under kills; prints what was lost, as a line of JSON last."""
    draw = random.Random(arguments.seed)
    losses = Losses()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spoken = joined(draw.sample(recordings(arguments.data), arguments.clips), folder / "spoken.wav", END_S)
        length_s = soundfile.info(spoken).duration - END_S
        with Server(folder, arguments.model) as server, open_page(server.url, spoken) as page:
            page.evaluate(WATCH)
            wire = Wire(page)
            page.locator("#start").click()
            began = time.monotonic()
            wait_connected(page)
            for number in range(arguments.kills):
                kill_once(page, server, draw, losses)
                said = (
                    f"kill {number + 1}: away {losses.outages_s[-1]:.1f} s, back {losses.reconnected_s[-1]:.1f} s later"
                )
                print(said, flush=True)
            page.wait_for_timeout(max(0.0, 1000 * (began + length_s + 2 - time.monotonic())))
            page.locator("#start").click()
            page.wait_for_selector("body[data-phase=idle]")
            text = page.evaluate(SHOWN)
            losses.taken, losses.notices = page.evaluate("() => [window.taken, window.lost]")
            shown, end_s = page.evaluate(PAGE_WORDS)
            losses.unheard_s = wire.unheard_s(end_s)
            losses.dropped = wire.dropped([tuple(word) for word in shown])
            short = joined_copy(spoken, folder / "short.wav", length_s)
            compare(losses, words_of(undisturbed(server.url, short)), words_of(text))
    print(json.dumps({**vars(losses), "seed": arguments.seed, "audio_s": round(length_s, 1)}, ensure_ascii=False))
    print("something was lost" if losses.is_lost else "nothing was lost")
    return int(losses.is_lost)


def joined_copy(spoken: Path, into: Path, length_s: float) -> Path:
    """The recording without the silence at its end."""
    samples, rate_hz = soundfile.read(spoken, dtype="float32", frames=round(length_s * SAMPLE_RATE_HZ))
    soundfile.write(into, samples, rate_hz)
    return into


# --- first words

FIRST_INK = """async () => {
    const { page } = await import("/static/state.js");
    window.inkAt = 0;
    window.beganAt = Infinity; // of the tape: chunks come late at times, never early, so the least is nearest
    setInterval(() => {
        const tape = page.tapes[0]?.tape;
        if (tape?.end) window.beganAt = Math.min(window.beganAt, tape.spokenAt_s(0));
    }, 20);
    const words = document.getElementById("words");
    new MutationObserver(() => {
        if (!window.inkAt && words.textContent.trim()) {
            window.inkAt = -1;
            window.inkText = words.textContent.trim();
            requestAnimationFrame(() => requestAnimationFrame(() => (window.inkAt = performance.now() / 1000)));
        }
    }).observe(words, { childList: true, subtree: true, characterData: true });
}"""
TAPE = """async () => {
    const { page } = await import("/static/state.js");
    const { tape } = page.tapes[0];
    const bytes = new Uint8Array(tape.read(0, tape.end).buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return [btoa(text), tape.rate, window.beganAt, window.inkAt, window.inkText];
}"""


def first_words_of(server: Server, spoken: Path) -> tuple[float, str]:
    """Seconds from the begin of speech in what the page's microphone delivered until words are painted; these words."""
    with open_page(server.url, spoken) as page:
        page.evaluate(FIRST_INK)
        page.locator("#start").click()
        page.wait_for_function("() => window.inkAt > 0", timeout=30_000)
        page.wait_for_timeout(2000)  # enough sound to see where speech begins
        data, rate_hz, began_at_s, ink_at_s, text = page.evaluate(TAPE)
        page.locator("#start").click()
    samples = np.frombuffer(base64.b64decode(data), "<i2").astype(np.float32) / 32768
    every = round(rate_hz / SAMPLE_RATE_HZ)
    bounds = speech_bounds(samples[: len(samples) // every * every].reshape(-1, every).mean(axis=1))
    if bounds is None:
        raise ValueError(f"{spoken}: energy cannot tell where speech begins")
    return float(ink_at_s - began_at_s - bounds.start_s), str(text)


def first_words(arguments: argparse.Namespace) -> int:
    """Prints the delay of each recording, and of all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        delays_s = []
        with Server(folder, arguments.model) as server:
            for path in random.Random(arguments.seed).sample(recordings(arguments.data), arguments.clips):
                delay_s, text = first_words_of(server, joined([path], folder / "spoken.wav", 60.0))
                delays_s.append(delay_s)
                print(f"{path.name}: {delay_s:.2f} s, {text!r}", flush=True)
    median_s = statistics.median(delays_s)
    print(f"{len(delays_s)} recordings: median {median_s:.2f} s, longest {max(delays_s):.2f} s")
    return int(median_s > arguments.most)


# --- picture


def picture(arguments: argparse.Namespace) -> int:
    """Writes the page as it looks while it listens, with pale words at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spoken = joined(recordings(arguments.data)[: arguments.clips], folder / "spoken.wav", 60.0)
        with Server(folder, arguments.model) as server, open_page(server.url, spoken) as page:
            page.set_viewport_size({"width": 1000, "height": 640})
            page.locator("#start").click()
            page.wait_for_function("() => document.getElementById('elapsed').textContent >= '0:21'")
            page.wait_for_function("() => document.querySelector('.tail')?.textContent.length > 8")
            page.screenshot(path=arguments.out)
    return 0


def main() -> int:
    """Runs the check that is named; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for run, name, clips in ((kills, "kills", 30), (first_words, "first-words", 10), (picture, "picture", 6)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--data", type=Path, required=True, help="a folder with manifest.jsonl")
        command.add_argument("--clips", type=int, default=clips, help="how many of its recordings are spoken")
        command.add_argument("--model", default="whisper-tiny.en")
        command.add_argument("--seed", type=int, default=1)
        if run is kills:
            command.add_argument("--kills", type=int, default=6)
        elif run is picture:
            command.add_argument("--out", type=Path, default=Path("docs/page.png"))
        else:
            command.add_argument("--most", type=float, default=1.0, help="seconds that the median may take")
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
