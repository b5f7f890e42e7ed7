"""An alignment as text: one line per word, JSON, or any other format of a transcript."""

import json
from dataclasses import asdict

from asr.align.align import Alignment
from asr.events import Final, Word
from asr.transcripts.formats import FORMATS, Transcript, segments_from_finals


def write(alignment: Alignment, text_format: str, language: str, model: str) -> str:
    """The alignment in a format of `asr.transcripts.formats.FORMATS`. Two formats differ from a transcript's.

    txt: one line per word with start, end, score and text. json: the fields of `Alignment` by name, and its score.
    """
    if text_format == "txt":
        return "".join(
            f"{word.start_s:9.3f} {word.end_s:9.3f}  {word.score:5.3f}  {word.text}\n" for word in alignment.words
        )
    if text_format == "json":
        return json.dumps(asdict(alignment) | {"score": alignment.score}, ensure_ascii=False, indent=1) + "\n"
    return FORMATS[text_format](_transcript(alignment, language, model))


def _transcript(alignment: Alignment, language: str, model: str) -> Transcript:
    words = tuple(Word(f" {word.text}", word.start_s, word.end_s, word.score) for word in alignment.words)
    finals = [Final(words, words[0].start_s, words[-1].end_s, language, ends_utterance=True)] if words else []
    text = " ".join(word.text for word in alignment.words)
    return Transcript(text, language, alignment.duration_s, segments_from_finals(finals), model)
