"""Words for tests of transcripts."""

from asr.events import Word


def words_of(text: str, start_s: float = 0.0, word_s: float = 0.4) -> tuple[Word, ...]:
    """One word after another, each with its leading space."""
    return tuple(
        Word(f" {part}", start_s + index * word_s, start_s + (index + 0.9) * word_s, 0.9)
        for index, part in enumerate(text.split(" "))
    )
