"""From a lattice to words: the best path, beams, language model and hotwords, on lattices written by hand."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.config import CtcSettings
from asr.errors import ConfigError
from asr.models.ctc.forced_align import merge_runs
from asr.models.ctc.search import NEVER, SearchOptions, search, words_of
from asr.models.ctc.vocabulary import Vocabulary
from tests.asr.models.ctc.lattices import LETTERS, VOCABULARY, doubtful, lattice
from train.language_model import write_language_model

GREEDY, BEAM = SearchOptions(), SearchOptions(beam=8)


@pytest.mark.parametrize("settings", [GREEDY, BEAM])
def test_a_run_is_one_letter_and_a_blank_separates_doubles(settings: SearchOptions) -> None:
    """Graves et al. 2006: repeated tokens are merged, then blanks go."""
    words = search(lattice("__nn_i_nn|_aa_b_b_"), VOCABULARY, settings)
    assert [word.text for word in words] == [" nin", " abb"]
    assert [(word.first, word.until) for word in words] == [(2, 9), (11, NEVER)]


def test_scripts_without_spaces_are_divided_by_characters() -> None:
    """A word is settled when the next character begins, although no delimiter is written between them."""
    letters = ("_", "<unk>", "|", *"ab我有。")
    path = [(letters.index(letter), 0.0) for letter in "_我__有_|_ab_我_。_"]
    words = words_of(merge_runs(path, 0), replace(VOCABULARY, letters=letters))
    assert [word.text for word in words] == ["我", "有", " ab", "我。"]
    assert [(word.first, word.last, word.until) for word in words] == [
        (1, 1, 4),
        (4, 4, 6),
        (8, 9, 11),
        (11, 13, NEVER),
    ]


@pytest.mark.parametrize("settings", [GREEDY, BEAM])
def test_confidence_is_the_frames_posterior(settings: SearchOptions) -> None:
    """The geometric mean of the letters' probabilities."""
    (word,) = search(doubtful("_ab_", 2, "bd", (0.6, 0.39)), VOCABULARY, settings)
    assert word.confidence == pytest.approx(math.sqrt(0.9 * 0.6), abs=0.01)


def test_the_beam_adds_up_the_paths_of_one_text() -> None:
    """Blank is the best of each frame (0.6), but "a" is better than nothing: 1 - 0.36 (Graves 2012, figure 7.3)."""
    rows = torch.full((2, len(LETTERS)), math.log(1e-9))
    rows[:, 0], rows[:, LETTERS.index("a")] = math.log(0.6), math.log(0.4)
    assert search(rows, VOCABULARY, GREEDY) == []
    assert [word.text for word in search(rows, VOCABULARY, BEAM)] == [" a"]


def test_a_hotword_is_preferred_where_the_audio_leaves_it_open() -> None:
    """Where the audio is clear it changes nothing."""
    rows = doubtful("_an_e_|", 1, "ao", (0.55, 0.44))
    boosted = SearchOptions(8, ("One",), CtcSettings(hotword_weight=3.0))
    assert [word.text for word in search(rows, VOCABULARY, BEAM)] == [" ane"]
    assert [word.text for word in search(rows, VOCABULARY, boosted)] == [" one"]
    assert [word.text for word in search(lattice("_t_wo_|", sure=0.999), VOCABULARY, boosted)] == [" two"]


def test_a_hotword_may_have_several_words() -> None:
    """Also when it is given twice or empty; where the audio is clear it changes nothing."""
    rows = torch.cat([doubtful("_o_n_e_|", 1, "ao", (0.55, 0.44)), doubtful("_o_n_e_|", 3, "rn", (0.55, 0.44))])
    for hotwords in (("One one",), ("one one", "one  one", " ", "")):
        boosted = SearchOptions(8, hotwords, CtcSettings(hotword_weight=3.0))
        assert [word.text for word in search(rows, VOCABULARY, boosted)] == [" one", " one"]
    clear = torch.cat([lattice("_t_wo_|", sure=0.999), lattice("_o_n_e_|", sure=0.999)])
    boosted = SearchOptions(8, ("ten one", "two ten"), CtcSettings(hotword_weight=3.0))
    assert [word.text for word in search(clear, VOCABULARY, boosted)] == [" two", " one"]


ARPA = "\\data\\\nngram 1=5\nngram 2=2\n\n\\1-grams:\n-1.0\t<unk>\n-1.0\t<s>\t-0.3\n-0.5\t</s>\n-0.8\tone\t-0.3\n" + (
    "-0.8\tore\t-0.3\n\n\\2-grams:\n-0.1\tone ore\n-2.5\tone one\n\n\\end\\\n"
)


def test_a_language_model_prefers_what_is_said_more_often(tmp_path: Path) -> None:
    """After "one" the bigram model expects "ore", also when "one" was said in an earlier window."""
    pytest.importorskip("kenlm")
    (tmp_path / "lm.arpa").write_text(ARPA)
    settings = SearchOptions(8, (), CtcSettings(lm=str(tmp_path / "lm.arpa")))
    second = doubtful("_o_n_e_|", 3, "nr", (0.55, 0.44))
    assert [word.text for word in search(second, VOCABULARY, BEAM)] == [" one"]
    assert [word.text for word in search(second, VOCABULARY, settings, context=("one",))] == [" ore"]
    both = torch.cat([lattice("_o_n_e_|"), second])
    assert [word.text for word in search(both, VOCABULARY, settings)] == [" one", " ore"]


def test_a_language_model_that_is_none_is_refused(tmp_path: Path) -> None:
    """The file is missing."""
    pytest.importorskip("kenlm")
    with pytest.raises(ConfigError, match="no language model at"):
        search(lattice("a|"), VOCABULARY, SearchOptions(2, (), CtcSettings(lm=str(tmp_path / "none"))))


def test_words_of_a_closed_vocabulary_are_separated_and_spelled_right(tmp_path: Path) -> None:
    """A missing delimiter and a wrong letter, each a little more probable than the right one, are corrected."""
    pytest.importorskip("kenlm")
    write_language_model(tmp_path, ["one two"])
    settings = SearchOptions(12, (), CtcSettings(lm=str(tmp_path / "lm.arpa"), lm_weight=1.0))
    rows = lattice("_one_two_")
    rows[4] = math.log(1e-6)
    rows[4, 0], rows[4, LETTERS.index("|")] = math.log(0.8), math.log(0.19)
    rows[6] = math.log(1e-6)
    rows[6, LETTERS.index("o")], rows[6, LETTERS.index("w")] = math.log(0.6), math.log(0.39)
    assert [word.text for word in search(rows, VOCABULARY, BEAM)] == [" oneto"]
    assert [word.text for word in search(rows, VOCABULARY, settings)] == [" one", " two"]


def test_a_vocabulary_without_a_delimiter_makes_each_letter_a_word() -> None:
    """As in Chinese: no spaces, and each letter ends where the next begins."""
    unspaced = Vocabulary(LETTERS, blank=0, delimiter="", special=frozenset({1, 2}), normalise=False)
    words = search(lattice("_aa_b__"), unspaced, GREEDY)
    assert [(word.text, word.until) for word in words] == [("a", 4), ("b", NEVER)]
