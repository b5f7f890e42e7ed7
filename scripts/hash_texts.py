"""Prints one hash of everything that a model's sessions say over data sets, one-shot and streamed.

    .venv/bin/python scripts/hash_texts.py ../shared/speech/en-read:80 ../shared/speech/en-crowd:60

Texts, word times and confidences go in with all their bits; delays and costs do not. Two commits with the same hashes
recognise the same: run it before and after a change that must not change a word.
"""

import argparse
import dataclasses
import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

from asr.engine import Engine
from asr.events import Event, Word
from eval.data.dataset import load_dataset, read
from eval.runs.replay import offline, replay


def exact(event: Event) -> list[Any]:
    """An event as JSON values; numbers of its words in hexadecimal, which loses no bit."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if "words" in fields:
        fields["words"] = [_exact_word(word) for word in fields["words"]]
    return [type(event).__name__, fields]


def _exact_word(word: Word) -> list[str]:
    return [word.text, *(float(number).hex() for number in (word.start_s, word.end_s, word.confidence))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="a data set's folder, or FOLDER:COUNT for its first recordings")
    parser.add_argument("--model", default="whisper-tiny.en")
    options = parser.parse_args()
    engine = Engine.load(options.model, threads=1)
    for mode in (offline, replay):
        total, count = hashlib.sha256(), 0
        for name in options.data:
            folder, _, limit = name.partition(":")
            for utterance in islice(load_dataset(Path(folder)).utterances, int(limit) if limit else None):
                events = [exact(entry.event) for entry in mode(read(utterance), engine).entries]
                line = json.dumps(events, ensure_ascii=False, default=str)
                total.update(hashlib.sha256(line.encode()).hexdigest().encode())
                count += 1
        print(f"{options.model} {mode.__name__:8} {count:4} recordings {total.hexdigest()}")


if __name__ == "__main__":
    main()
