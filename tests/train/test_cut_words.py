"""Words cut out of sentences, to train a small vocabulary."""

from pathlib import Path

import soundfile

from asr.align import AlignedWord, Alignment, align
from asr.engine import Engine
from eval.data.dataset import load_dataset, read
from tests.speech import RATE_HZ, clip
from train.cut_words import _aligned, cut_words, spans


def test_a_word_is_cut_with_a_margin_that_does_not_reach_its_neighbour() -> None:
    """0.03 s before and 0.05 s after, but at most half the gap to the next word."""
    words = tuple(AlignedWord(text, *times, 1.0) for text, times in (("a", (0.5, 0.7)), ("b", (0.72, 1.0))))
    first, second = spans(Alignment(words, "", 1.04))
    assert [round(s, 3) for s in (*first, *second)] == [0.47, 0.71, 0.71, 1.02]


def test_words_are_found_in_a_real_sentence(tmp_path: Path, whisper_tiny: Engine) -> None:
    """Whisper aligns the clip's numbers; each word becomes a recording of the new data set."""
    (tmp_path / "set").mkdir()
    soundfile.write(tmp_path / "set/counting.wav", clip("counting"), RATE_HZ)
    (tmp_path / "set/counting.txt").write_text("One two three four five six seven eight nine ten")
    count = cut_words([tmp_path / "set"], {"three": "3", "seven": "7", "zero": "0"}, whisper_tiny, tmp_path / "words")
    found = load_dataset(tmp_path / "words").utterances
    assert [u.text for u in found] == ["three", "seven"][: len(found)]
    assert len(found) == count == 2
    assert all(0.15 < read(u).duration_s < 1.2 for u in found)


def test_a_word_is_placed_in_the_spelling_that_fits_better(whisper_tiny: Engine) -> None:
    """Whisper writes a long row of numbers as digits, so each word gets the better score of its two spellings."""
    said = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    spelled = [str(number) for number in range(1, 11)]
    engine, samples = whisper_tiny, clip("counting")
    both = [align(samples, " ".join(text), engine).words for text in (said, spelled)]
    found = list(_aligned(samples, said, spelled, engine))
    assert [word for word, _, _ in found] == said
    assert [score for _, score, _ in found] == [max(a.score, b.score) for a, b in zip(*both, strict=True)]
