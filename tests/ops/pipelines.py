"""A pipeline's files for the tests, and steps that only note that they were made."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from asr.ledger.pipelines import DONE, STEPS
from ops.pipeline.steps import Context, Result
from tests.ops.trials import NAME

TRAINING = """
name = "t"
kind = "whisper"
[data]
train = ["{data}"]
[model]
start = "whisper-tiny.en"
"""


def written(folder: Path, more: str = "") -> Path:
    """A pipeline's file, with a training on two recordings."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    (data / "manifest.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "audio_filepath": str(files("pytest_audioeval") / f"samples/audio/en/{name}.wav"),
                    "text": text,
                    "duration": 2,
                    "speaker": name,
                }
            )
            + "\n"
            for name, text in (("hello_world", "hello world"), ("quick_brown_fox", "the quick brown fox"))
        )
    )
    (folder / "train.toml").write_text(TRAINING.format(data=data))
    file = folder / "pipeline.toml"
    file.write_text(
        f'name = "{NAME}"\nwork = "work"\n{more}\n[train]\nconfig = "train.toml"\n[eval]\ndata = ["data"]\n'
    )
    return file


def doing(made: list[str], **results: Result) -> dict[str, Callable[[Context], Result]]:
    """Steps that only note that they were made; unreal: the work of a step."""

    def action(step: str) -> Callable[[Context], Result]:
        def do(at: Context) -> Result:
            made.append(step)
            at.folder(step).mkdir(parents=True, exist_ok=True)
            return results.get(step, Result(DONE, "made"))

        return do

    return {step: action(step) for step in STEPS}
