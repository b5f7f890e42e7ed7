"""Drift on the wire: clients speak to a server, and how many streams after a shift the monitor's watcher finds it.

    python -m scripts.drift_wire --data SPEECH/en-crowd --other SPEECH/de-crowd --accent SPEECH/en-accented \\
        --noise SPEECH/noise-speech_commands_bg --rirs SPEECH/rirs

`asr serve` with a ledger; each recording is one stream of a client named after its speaker, sent as fast as the server
takes it. The telephone is real: 8 kHz mu-law on the wire. What the server wrote then comes in an order with a known
onset, one stream a day, so that each counts: half of the speakers as the reference, the other half as recorded, and
then under the condition (again from the first where they are spent). After each stream the watcher looks at a ledger
on disk. Prints its first alarm; then `asr drift trial` on the same rows, with other speakers in each trial.
"""

import argparse
import asyncio
import io
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve, firwin2
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asr.aliases import CHAMPION
from asr.config import SAMPLE_RATE_HZ
from asr.ledger import Ledger, VitalsRow, open_ledger
from asr.model_files.export import exported
from asr.models.registry import find_model
from asr.models.whisper.accent import fitted
from asr.vitals import GROUPS, INDEX
from eval.data.apply_conditions import audio_set, parse_chains, with_overlay
from eval.data.conditions import Overlay
from eval.data.dataset import load_dataset, read
from eval.data.types import Utterance
from eval.measured_vitals import MeasuredSet, load, save
from eval.metrics.word_errors import align_texts, counts_of
from ops.drift.measuring import keep
from ops.drift.reference import freeze
from ops.drift.trial import MOST_UNITS, Trial, summary
from ops.drift.watcher import DriftWatcher
from scripts.scale import BUSY
from scripts.swaps import NAME, Serving
from server.client.protocol import CLOSE_STREAM, listen_url, pcm16

TELEPHONE, MICROPHONE, ACCENT = "telephone+mulaw", "another microphone", "accent"
CHAINS = (TELEPHONE, "noise:10", "opus:8", "reverb", "gain:-6")
AT_ONCE = 2
DAY_S = 86_400.0
QUIET = 60
"""Streams before the shift."""


def main() -> None:
    """Speaks, watches, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--other", type=Path, nargs="*", default=[], help="sets in other languages")
    parser.add_argument("--accent", type=Path, help="speakers of the fit of the number `accent` are left out")
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--rirs", type=Path)
    parser.add_argument("--limit", type=int, default=260, help="recordings as recorded")
    parser.add_argument("--each", type=int, default=100, help="recordings of each shift")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="keep what was measured in this file, or read it from there")
    options = parser.parse_args()
    if not (options.keep and options.keep.is_file()):
        options.keep = options.keep or Path(tempfile.mkdtemp()) / "wire.npz"
        save(options.keep, list(spoken(options)))
    sets = load(options.keep)
    benign = ("gain:-6", MICROPHONE)
    known = [each for each in sets if each.condition not in benign]
    for shift in sets[1:]:
        with tempfile.TemporaryDirectory() as folder:
            print(watched(Path(folder), sets[0], shift, known), flush=True)
    trial = Trial(sets)
    trial.known = Trial(known).known
    for shift in sets[1:]:
        name = shift.condition or shift.data
        found = [trial.onset(name, seed) for seed in range(options.trials)] if name in trial.others else []
        print(summary(name, found), flush=True)
    if ACCENT in trial.others:
        alone = [trial.onset(ACCENT, seed, GROUPS["pronunciation"]) for seed in range(options.trials)]
        print(f"by its own number, {summary(ACCENT, alone)}")


# -- the wire --------------------------------------------------------------------------------------------------------


def spoken(options: argparse.Namespace) -> Iterator[MeasuredSet]:
    """All kinds of speech through one server, one kind after the other; the first is as recorded."""
    noise, rooms = audio_set(options.noise), audio_set(options.rirs)
    own = load_dataset(options.data)
    few = replace(own, utterances=spread(own.utterances, options.each))
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.db") as ledger:
        release = ledger.add_release(
            NAME, exported(find_model("whisper-tiny.en")[1], Path(folder) / "tiny"), by="", why=""
        )
        ledger.move(NAME, CHAMPION, expected=None, to=release.number, by="script", why="the first")
        server = Serving(Path(folder), 1, 0.0)
        asyncio.run(server.start())
        try:
            clean = spread(own.utterances, options.limit)
            yield of_set(ledger, server, clean, "own", "", is_own=True)
            for chain in CHAINS:
                if ("noise" in chain and not noise) or ("reverb" in chain and not rooms):
                    continue
                overlay = Overlay(parse_chains(chain, noise, rooms)[0])
                yield of_set(ledger, server, with_overlay(few, overlay).utterances, "own", chain, is_own=True)
            yield of_set(ledger, server, few.utterances, "own", MICROPHONE, is_own=True)
            others = [one for path in options.other for one in load_dataset(path).utterances[: options.each // 4]]
            if others:
                yield of_set(ledger, server, others, "other language", "", is_own=False)
            if options.accent:
                heard = {speaker for each in fitted().values() for speaker in each["speakers"]}
                unheard = [one for one in load_dataset(options.accent).utterances if one.speaker not in heard]
                accent = spread(unheard, options.each)
                yield of_set(ledger, server, accent, ACCENT, "", is_own=False)
        finally:
            server.stop()


def spread(utterances: Sequence[Utterance], count: int) -> tuple[Utterance, ...]:
    """This number of them, evenly through the set."""
    return tuple(utterances[:: max(1, len(utterances) // count)])[:count]


def of_set(
    ledger: Ledger, server: Serving, utterances: Sequence[Utterance], data: str, condition: str, *, is_own: bool
) -> MeasuredSet:
    """Speaks these recordings, and takes from the ledger what the server wrote about each."""
    begin_s = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        texts = dict(pool.map(lambda one: speak(server.url, one, condition), utterances))
    speakers = dict(zip(texts, utterances, strict=True))
    while not set(texts) <= {row.stream_id for row in ledger.outcomes(NAME)}:
        time.sleep(0.1)
    first: dict[str, VitalsRow] = {}
    for row in ledger.vitals(NAME):
        if row.stream_id in texts and row.numbers[INDEX["speech_share"]] > 0:
            first.setdefault(row.stream_id, row)
    counts = [counts_of(align_texts(speakers[one].text, texts[one], speakers[one].language)) for one in first]
    found = MeasuredSet(
        data, condition, "en", "", is_own,
        np.array([speakers[one].speaker for one in first]),
        np.array([row.numbers for row in first.values()], np.float32),
        np.array([each.errors for each in counts]),
        np.array([each.reference_length for each in counts]),
    )  # fmt: skip
    seconds = time.perf_counter() - begin_s
    audio_s = sum(row.audio_s for row in first.values())
    print(
        f"{condition or data}: {len(first)} streams, WER {found.wer:.1f} %, {audio_s / seconds:.1f} times real time",
        flush=True,
    )
    return found


def speak(url: str, utterance: Utterance, condition: str) -> tuple[str, str]:
    """One stream; returns the server's name of it, and the text. Comes again while a busy server refuses it."""
    while True:
        try:
            return _spoken(url, utterance, condition)
        except InvalidStatus as refusal:
            if refusal.response.status_code != BUSY:
                raise
        time.sleep(1.0)


def _spoken(url: str, utterance: Utterance, condition: str) -> tuple[str, str]:
    samples = read(utterance).samples
    if condition == MICROPHONE:
        taps = firwin2(257, [0, 2500, 3500, SAMPLE_RATE_HZ / 2], [1, 1, 2**0.5, 2**0.5], fs=SAMPLE_RATE_HZ)
        samples = fftconvolve(samples, taps, mode="same").astype(np.float32)
    audio, form = pcm16(samples), {"encoding": "linear16", "sample_rate": SAMPLE_RATE_HZ}
    if condition == TELEPHONE:  # its band ends below 4 kHz, so every second sample says all
        raw, form = io.BytesIO(), {"encoding": "mulaw", "sample_rate": SAMPLE_RATE_HZ // 2}
        soundfile.write(raw, samples[::2], SAMPLE_RATE_HZ // 2, format="RAW", subtype="ULAW")
        audio = raw.getvalue()
    name, texts = "", list[str]()
    with connect(listen_url(url, **form, client_id=utterance.speaker), compression=None, max_size=None) as socket:
        for start in range(0, len(audio), 1 << 16):
            socket.send(audio[start : start + (1 << 16)])
        socket.send(CLOSE_STREAM)
        for message in socket:
            table = json.loads(message)
            name = table.get("request_id", name)
            if table.get("type") == "Results" and table["is_final"]:
                texts.append(table["channel"]["alternatives"][0]["transcript"])
    return name, " ".join(texts)


# -- the watch -------------------------------------------------------------------------------------------------------


def watched(folder: Path, own: MeasuredSet, shift: MeasuredSet, known: Sequence[MeasuredSet]) -> str:
    """One pass: the reference, the other speakers as recorded, then the shift; the watcher looks after each stream."""
    names = np.random.default_rng(0).permutation(np.unique(own.speakers))
    reference, live = (np.isin(own.speakers, half) for half in np.array_split(names, 2))
    moved = np.isin(shift.speakers, own.speakers[live]) if shift.is_own else np.ones(len(shift.speakers), bool)
    with open_ledger(folder / "ledger.db") as ledger:
        ledger.add_vitals(rows(own, np.flatnonzero(reference), 0))
        freeze(ledger, NAME, time.time(), int(reference.sum()))
        keep(ledger, NAME, known)
        at, watcher, name = int(reference.sum()), DriftWatcher(), shift.condition or shift.data
        quiet = np.resize(np.flatnonzero(live), QUIET)
        for number, (source, row) in enumerate(
            [(own, row) for row in quiet] + [(shift, row) for row in np.resize(np.flatnonzero(moved), MOST_UNITS)]
        ):
            ledger.add_vitals(rows(source, np.array([row]), at + number))
            if list(watcher.look(ledger, NAME, time.time())):
                alarm = ledger.alarms(NAME)[0]
                return f"{name}: {number + 1 - QUIET} streams after the shift: {alarm.sentence}"
    return f"{name}: no alarm in {MOST_UNITS} streams"


def rows(of: MeasuredSet, chosen: np.ndarray, first: int) -> list[VitalsRow]:
    """These recordings as streams of their speakers, one a day."""
    return [
        VitalsRow(
            DAY_S * (first + number), NAME, 1, f"s{first + number}", str(of.speakers[row]), 0, "en", "pcm", 1.0, 1,
            of.numbers[row],
        )
        for number, row in enumerate(chosen.tolist())
    ]  # fmt: skip


if __name__ == "__main__":
    main()
