"""The key of a job: it decides which texts of earlier runs are kept."""

from dataclasses import replace
from pathlib import Path

from asr.transcripts.recording import offline_settings
from batch.job import BatchJob
from batch.messages import Task

TASK = Task("m", "de", "Hi.", ("Foo",), "float32", offline_settings())
JOB = BatchJob(Path("out"), TASK, "5" * 64, ("txt",), word_times=True)


def test_a_new_version_keeps_the_texts_of_old_ones() -> None:
    """The key of version 4. Who changes it makes everybody transcribe everything again: raise `VERSION` for it."""
    assert JOB.key == "087335254f43640dc1421a349bc5e91d6e336cfa7aff914f75cb7b6a78477981"


def test_the_key_depends_on_all_that_changes_a_text_and_on_nothing_else() -> None:
    """Weights, precision, options; not the folder, the formats or the name of the model."""
    others = [
        replace(JOB, weights_sha256="6" * 64),
        replace(JOB, word_times=False),
        *(
            replace(JOB, task=replace(TASK, **change))
            for change in (
                {"language": "en"},
                {"prompt": ""},
                {"hotwords": ()},
                {"precision": "int8"},
                {"settings": offline_settings(beam_size=5)},
            )
        ),
    ]
    assert len({JOB.key, *(other.key for other in others)}) == 1 + len(others)
    same = replace(JOB, output_dir=Path("elsewhere"), formats=("srt",), task=replace(TASK, model="/a/folder"))
    assert same.key == JOB.key
