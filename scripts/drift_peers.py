"""Evidently, NannyML and river with their defaults on the vitals of `asr drift trial`, beside our own bets.

    python -m scripts.drift_peers export wire.npz worlds.npz --months 10 --trials 5
    python3.11 -m venv peers && peers/bin/pip install evidently==0.7.23 "pandas<2.4" river==0.26.1
    python3.11 -m venv nannyml && nannyml/bin/pip install nannyml==0.13.1 statsmodels
    peers/bin/python scripts/drift_peers.py run worlds.npz evidently      # or river, ours
    nannyml/bin/python scripts/drift_peers.py run worlds.npz nannyml

``wire.npz`` holds measured vitals (`python -m scripts.drift_wire --keep wire.npz`; or a ledger's NAME.conditions.npz).
The peers are no dependency of this project and need environments of their own. ``export`` writes worlds: a reference
of 500 streams, then a month of 3,000 in which nothing moves, or 200 streams and a shift. Evidently and NannyML get
chunks of 100 streams, river one stream after the other. Two rules for each: any signal, and what it calls the data set
(half of the columns; the reconstruction error). Numbers that are not always known are left out, since not all peers
take them. ``run`` prints the share of months with an alarm, and the median of the streams from a shift to the alarm.
"""

import argparse
import importlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 100
World = tuple[np.ndarray, np.ndarray]
"""Reference and live values ``(n, signals)``."""
Alarms = dict[str, int | None]
"""Rule -> the live stream after which it raised its first alarm."""


def export(options: argparse.Namespace) -> None:
    """Writes the worlds, and what our own detector does in them."""
    from eval.measured_vitals import load
    from ops.drift.trial import Trial

    trial = Trial(load(options.measured))
    worlds, ours = {}, {}
    for kind in ["", *options.shifts]:
        for seed in range(options.trials if kind else options.months):
            detector, values, places = trial.world(kind, seed)
            worlds[f"{kind}|{seed}|reference"], worlds[f"{kind}|{seed}|live"] = detector.reference, values
            ours[f"{kind}|{seed}"] = first_alarm(detector, values, places)
    np.savez_compressed(options.file, ours=np.array(json.dumps(ours)), **worlds)


def first_alarm(detector: Any, values: np.ndarray, places: list[str]) -> int | None:
    """The live stream after which our detector raises its first alarm."""
    while places:
        taken = detector.receive(values, places)
        if detector.alarming():
            return int(detector.units)
        values, places = values[taken:], places[taken:]
    return None


def run(options: argparse.Namespace) -> None:
    """Prints a line for each rule of a peer."""
    os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # neither is to report its use
    quiet = 200
    found: dict[tuple[str, str], list[int | None]] = {}
    with np.load(options.file) as file:
        ours = json.loads(str(file["ours"]))
        for name in [each for each in file.files if each.endswith("|reference")]:
            kind, seed, _ = name.split("|")
            reference, live = known(file[name], file[f"{kind}|{seed}|live"])
            peer = (
                {"own bets": ours[f"{kind}|{seed}"]} if options.peer == "ours" else PEERS[options.peer](reference, live)
            )
            for rule, at in peer.items():
                found.setdefault((rule, kind), []).append(at)
    for (rule, kind), alarms in found.items():
        if not kind:
            print(f"{rule}: {sum(at is not None for at in alarms)} of {len(alarms)} quiet months have an alarm")
            continue
        after = [np.inf if at is None else at - quiet for at in alarms if at is None or at > quiet]
        delay = f"{np.median(after):.0f}" if after else "none"
        print(f"{rule}: {kind}: {delay} streams to the alarm; {len(alarms) - len(after)} of {len(alarms)} before it")


def known(reference: np.ndarray, live: np.ndarray) -> World:
    """Both without the numbers that are unknown somewhere or the same everywhere in the reference."""
    usable = ~np.isnan(reference).any(axis=0) & ~np.isnan(live).any(axis=0) & (reference.std(axis=0) > 0)
    return reference[:, usable], live[:, usable]


def evidently(reference: np.ndarray, live: np.ndarray) -> Alarms:
    """`DataDriftPreset`: Kolmogorov-Smirnov or Wasserstein for each column, half of them for the data set."""
    report, preset = importlib.import_module("evidently").Report, importlib.import_module("evidently.presets")
    alarms: Alarms = {"Evidently, any column": None, "Evidently, half of the columns": None}
    before = frame(reference)
    for end, chunk in chunks(live):
        metrics = report([preset.DataDriftPreset()]).run(frame(chunk), before).dict()["metrics"]
        value = next(each["value"] for each in metrics if "DriftedColumnsCount" in each["metric_name"])
        for rule, is_alarm in zip(alarms, (value["count"] > 0, value["share"] >= 0.5), strict=True):
            if is_alarm and alarms[rule] is None:
                alarms[rule] = end
        if None not in alarms.values():
            break
    return alarms


def nannyml(reference: np.ndarray, live: np.ndarray) -> Alarms:
    """The Jensen-Shannon distance of each column, and the error of a reconstruction by principal components."""
    module, names = importlib.import_module("nannyml"), [f"c{number}" for number in range(reference.shape[1])]
    calculators = {
        "NannyML, any column": module.UnivariateDriftCalculator(names, chunk_size=CHUNK),
        "NannyML, reconstruction": module.DataReconstructionDriftCalculator(names, chunk_size=CHUNK),
    }
    alarms: Alarms = {}
    for rule, calculator in calculators.items():
        calculator.fit(frame(reference))
        table = calculator.calculate(frame(live)).filter(period="analysis").to_df()
        columns = [column for column in table.columns if column[-1] == "alert"]
        hits = np.flatnonzero(table[columns].to_numpy(bool).any(axis=1))
        alarms[rule] = int(hits[0] + 1) * CHUNK if len(hits) else None
    return alarms


def river(reference: np.ndarray, live: np.ndarray) -> Alarms:
    """One detector for each column, fed with the reference first."""
    drift = importlib.import_module("river.drift")
    return {
        f"river, {name}, any column": river_alarm(getattr(drift, name), reference, live)
        for name in ("ADWIN", "PageHinkley")
    }


def river_alarm(kind: Callable[[], Any], reference: np.ndarray, live: np.ndarray) -> int | None:
    """The first alarm of detectors of one kind."""
    first = None
    for column in range(reference.shape[1]):
        detector = kind()
        for value in reference[:, column]:
            detector.update(float(value))
        for number, value in enumerate(live[: first or len(live), column], 1):
            detector.update(float(value))
            if detector.drift_detected:
                first = number
                break
    return first


PEERS: dict[str, Callable[[np.ndarray, np.ndarray], Alarms]] = {
    "evidently": evidently,
    "nannyml": nannyml,
    "river": river,
}


def chunks(live: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Whole chunks, each with the number of its last stream."""
    return ((end, live[end - CHUNK : end]) for end in range(CHUNK, len(live) + 1, CHUNK))


def frame(values: np.ndarray) -> Any:
    """As pandas wants it."""
    names = [f"c{number}" for number in range(values.shape[1])]
    return importlib.import_module("pandas").DataFrame(values, columns=names)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("export")
    first.add_argument("measured", type=Path)
    first.add_argument("file")
    first.add_argument("--months", type=int, default=10)
    first.add_argument("--trials", type=int, default=5)
    first.add_argument("--shifts", nargs="*", default=["telephone+mulaw", "other language"])
    first.set_defaults(work=export)
    second = commands.add_parser("run")
    second.add_argument("file")
    second.add_argument("peer", choices=[*PEERS, "ours"])
    second.set_defaults(work=run)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
