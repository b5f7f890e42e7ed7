"""A model's self-test: it must recognise the built-in sample before anybody speaks to it."""

from pathlib import Path

from asr.engine import Engine
from asr.errors import AsrError, ModelError
from asr.transcripts.recording import transcribe

SAMPLE = Path(__file__).with_name("ready.flac")
"""The built-in sample, made by scripts/make_ready_sample.py."""
SAMPLE_WORD = "seven"


def self_test(engine: Engine) -> None:
    """Raises `ModelError` if the engine fails on the sample, recognises nothing in it, or does not find its word."""
    is_english = "en" in engine.languages
    try:
        text = transcribe(SAMPLE, engine, language="en" if is_english else None).text
    except AsrError as error:
        raise ModelError(f"model {engine.name} failed on the built-in sample: {error}") from None
    if fault := fault_of(text, engine.name, is_english):
        raise ModelError(fault)


def fault_of(text: str, model: str, is_english: bool) -> str:
    """What is wrong with a model's text of the sample, "" if nothing is. Only a model that knows English must find its
    word; of other languages too it writes something for clear speech."""
    if not text.strip():
        return f"model {model} recognised nothing in the built-in sample, wanted words"
    if is_english and SAMPLE_WORD not in text.lower() and "7" not in text:
        return f"model {model} recognised {text!r} in the built-in sample, wanted the word {SAMPLE_WORD!r}"
    return ""
