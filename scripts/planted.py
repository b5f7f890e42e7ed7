"""Plants problems of known kinds among good recordings, runs `asr eval audit`, and counts what it finds.

    python scripts/planted.py --english ../shared/speech/en-crowd --vietnamese ../shared/speech/vi-crowd --out planted

Both sets are manifests as in `../shared/speech`. The copy has 101 untouched recordings, and the problems in others.
"""

import argparse
import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from eval.data.effects import CODECS, coded, telephone

UNTOUCHED_EN, UNTOUCHED_VI = 73, 28
STYLE = ("casing of labels", "casing of a word", "punctuation at the end", "typography")
"""Hints about style are no alarms: recordings of one set differ in it."""
SPELLING = ("spelling", "acronyms", "digits and words")
"""These are found where two spellings were planted; elsewhere they are hints about style."""


@dataclass
class Planted:
    """The rows of the copy, and what was planted: kind -> ids of the recordings of each problem."""

    folder: Path
    english: list[dict[str, object]]
    vietnamese: list[dict[str, object]]
    rows: list[dict[str, object]] = field(default_factory=list)
    problems: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    def add(self, row: dict[str, object], samples: np.ndarray | None = None, **changes: object) -> str:
        """Writes a recording as FLAC under the next name; returns its id."""
        name = f"r{len(self.rows):03d}"
        sound = samples_of(row) if samples is None else samples
        soundfile.write(self.folder / f"{name}.flac", sound, SAMPLE_RATE_HZ)
        kept = {key: row[key] for key in ("text", "speaker", "language") if key in row}
        self.rows.append(kept | {"audio_filepath": f"{name}.flac", "duration": len(sound) / SAMPLE_RATE_HZ} | changes)
        return name

    def problem(self, kind: str, *names: str) -> None:
        self.problems.setdefault(kind, []).append(names)

    def labels(self, kind: str, times: int, change: Callable[[str], str], **changes: object) -> None:
        """Recordings whose label is changed."""
        for _ in range(times):
            row = self.english.pop()
            self.problem(kind, self.add(row, text=change(str(row["text"])), **changes))

    def sounds(self, kind: str, times: int, change: Callable[[np.ndarray], np.ndarray], *, copy: bool = False) -> None:
        """Recordings whose sound is changed; ``copy``: the original is there too, and both are the problem."""
        for _ in range(times):
            row = self.english.pop()
            original = (self.add(row),) if copy else ()
            self.problem(kind, *original, self.add(row, change(samples_of(row))))


def samples_of(row: dict[str, object]) -> np.ndarray:
    with open(str(row["audio_filepath"]), "rb") as file:
        return np.concatenate(list(read_blocks(file)))


def rows_of(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row | {"audio_filepath": str(folder / row["audio_filepath"])} for row in rows]


def plant_labels(p: Planted) -> None:
    for _ in range(4):
        one, other = p.english.pop(), p.english.pop()
        p.problem("swapped labels", p.add(one, text=other["text"]), p.add(other, text=one["text"]))
    for _ in range(3):
        vietnamese = p.vietnamese.pop()
        p.problem("label of another language", p.add(p.english.pop(), text=vietnamese["text"]))
    for _ in range(2):
        p.problem("language told wrong", p.add(p.vietnamese.pop(), language="en"))
    p.labels("half of the label", 4, lambda text: text[: len(text) // 2].rsplit(" ", 1)[0])
    p.labels("one word wrong", 3, lambda text: text.rsplit(" ", 1)[0] + " elephants.")
    p.labels("decomposed letters", 2, lambda text: unicodedata.normalize("NFD", text + " café"))
    p.labels("letters of another script", 3, lambda text: text.replace("a", "а", 1))
    p.labels("a remark in brackets", 3, lambda text: "[noise] " + text)
    p.labels("invisible characters", 2, lambda text: text.replace(" ", "\u200b ", 1))
    for pair in (("colour", "color"), ("centre", "center"), ("U.S.A.", "USA"), ("twenty", "20")):
        names = [
            p.add(row, text=f"{row['text']} {word}") for row, word in zip([p.english.pop()] * 2, pair, strict=True)
        ]
        p.problem("one word in two spellings", *names)


def plant_sounds(p: Planted) -> None:
    p.sounds("copy", 4, lambda samples: samples, copy=True)
    p.sounds("copy in MP3", 3, lambda samples: coded(samples, CODECS["mp3"]), copy=True)
    p.sounds("copy in Opus", 2, lambda samples: coded(samples, CODECS["opus"]), copy=True)
    p.sounds("copy, cut at both ends", 3, lambda samples: samples[4_000:-4_000], copy=True)
    p.sounds("copy, turned down", 2, lambda samples: samples / 5, copy=True)
    p.sounds("silent", 2, np.zeros_like)
    p.sounds("clipped", 2, lambda samples: np.clip(samples * 40, -1, 1))
    p.sounds("clipped, then turned down", 2, lambda samples: np.clip(samples * 40, -1, 1) * 0.3)
    p.sounds("ends within a word", 3, lambda samples: samples[: int(len(samples) * 0.55)])
    p.sounds("8 kHz", 3, telephone)
    for times, kind in ((2, "missing file"), (2, "broken file")):
        for _ in range(times):
            name = p.add(p.english.pop())
            path = p.folder / f"{name}.flac"
            path.unlink() if kind == "missing file" else path.write_bytes(b"no sound at all")
            p.problem(kind, name)


def mentioned(value: object) -> str:
    """All texts within a JSON value, one after the other."""
    if isinstance(value, dict):
        return " ".join(map(mentioned, value.values()))
    return " ".join(map(mentioned, value)) if isinstance(value, list) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--english", "--vietnamese", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--model", action="append", default=[], help="run these models first, and give their traces")
    options = parser.parse_args()
    folder = options.out / "data"
    folder.mkdir(parents=True)
    p = Planted(folder, rows_of(options.english)[::-1], rows_of(options.vietnamese)[::-1])
    good = {p.add(p.english.pop()) for _ in range(UNTOUCHED_EN)} | {
        p.add(p.vietnamese.pop()) for _ in range(UNTOUCHED_VI)
    }
    plant_labels(p)
    plant_sounds(p)
    manifest = "\n".join(json.dumps(row, ensure_ascii=False) for row in p.rows)
    (folder / "manifest.jsonl").write_text(manifest + "\n", encoding="utf-8")
    asr = [str(Path(sys.executable).with_name("asr")), "eval"]
    traces: list[str] = []
    if options.model:
        models = [word for model in options.model for word in ("--model", model)]
        run = ["run", "--data", str(folder), "--mode", "offline", "--threads", "1", "--out", str(options.out / "run")]
        subprocess.run([*asr, *run, *models], check=True)
        traces = ["--traces", str(options.out / "run")]
    subprocess.run([*asr, "audit", str(folder), "--out", str(options.out / "audit"), *traces], check=True)
    report(p, good, json.loads((options.out / "audit" / "audit.json").read_text(encoding="utf-8")))


def report(p: Planted, good: set[str], audit: dict[str, list[dict[str, object]]]) -> None:
    """Prints, by kind, how many problems are named by a finding, and which untouched recordings are."""
    found = [(str(f["kind"]), mentioned(f)) for f in audit["findings"] if f["kind"] not in STYLE]
    found += [("disputed label", mentioned(d)) for d in audit["disputes"]]
    found += [("left out", mentioned(audit["left_out"]))]
    count = 0
    for kind, problems in p.problems.items():
        is_spelling = "spellings" in kind
        mine = [(finding, text) for finding, text in found if is_spelling == (finding in SPELLING)]
        by = [{finding for finding, text in mine if all(name in text for name in names)} for names in problems]
        count += sum(map(bool, by))
        print(f"{kind:28} {sum(map(bool, by))} of {len(by)}  {', '.join(sorted(set().union(*by)))}")
    print(f"all kinds: {count} of {sum(map(len, p.problems.values()))}")
    for finding, text in found:
        named = sorted(name for name in good if name in text)
        if named and finding not in SPELLING:
            print(f"untouched recordings under {finding!r}: {', '.join(named)}")


if __name__ == "__main__":
    main()
