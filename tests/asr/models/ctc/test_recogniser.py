"""The way from a lattice to words: greedy, beam, language model, hotwords, alignment. Lattices are written by hand."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.config import CtcSettings, DecodeSettings
from asr.engine import Engine
from asr.errors import CallerError, ConfigError, ModelError
from asr.model_files import list_models
from asr.models.base import Window
from asr.models.ctc.forced_align import emissions, place
from asr.models.ctc.search import NEVER, SearchOptions, language_model, search
from asr.models.ctc.vocabulary import Vocabulary
from tests.asr.ctc_models import random_model, save
from tests.speech import RATE_HZ, clip
from train.language_model import write_language_model


def asked(beam_size: int = 1, **told: object) -> Window:
    """A window with these settings."""
    settings = DecodeSettings(beam_size=beam_size, ctc=CtcSettings(**told))  # type: ignore[arg-type]
    return Window(np.zeros(0, np.float32), settings=settings)


LETTERS = ("<pad>", "<unk>", "|", *"abcdeinortw")
VOCABULARY = Vocabulary(LETTERS, blank=0, delimiter="|", special=frozenset({1}), normalise=False)
GREEDY, BEAM = SearchOptions(), SearchOptions(beam=8)


def lattice(frames: str, sure: float = 0.9) -> torch.Tensor:
    """One frame a character: a letter, the delimiter, or `_` for blank; the rest shares what is left."""
    rows = torch.full((len(frames), len(LETTERS)), math.log((1 - sure) / (len(LETTERS) - 1)))
    for i, letter in enumerate(frames):
        rows[i, 0 if letter == "_" else LETTERS.index(letter)] = math.log(sure)
    return rows


def doubtful(frames: str, at: int, letters: str, shares: tuple[float, ...]) -> torch.Tensor:
    """A sure lattice with one frame in which several letters are as probable as told."""
    rows = lattice(frames)
    rows[at] = math.log(1e-6)
    for letter, share in zip(letters, shares, strict=True):
        rows[at, LETTERS.index(letter)] = math.log(share)
    return rows


@pytest.mark.parametrize("settings", [GREEDY, BEAM])
def test_runs_are_one_letter_and_blanks_part_doubles(settings: SearchOptions) -> None:
    """Graves et al. 2006: repeated tokens are merged, then blanks go."""
    words = search(lattice("__nn_i_nn|_aa_b_b_"), VOCABULARY, settings)
    assert [word.text for word in words] == [" nin", " abb"]
    assert [(word.first, word.until) for word in words] == [(2, 9), (11, NEVER)]


@pytest.mark.parametrize("settings", [GREEDY, BEAM])
def test_confidence_is_the_frames_posterior(settings: SearchOptions) -> None:
    """The geometric mean of the letters' probabilities."""
    (word,) = search(doubtful("_ab_", 2, "bd", (0.6, 0.39)), VOCABULARY, settings)
    assert word.confidence == pytest.approx(math.sqrt(0.9 * 0.6), abs=0.01)


def test_the_beam_adds_up_what_greedy_search_parts() -> None:
    """Blank is the best of each frame (0.6), but "a" is better than nothing: 1 - 0.36 (Graves 2012, figure 7.3)."""
    rows = torch.full((2, len(LETTERS)), math.log(1e-9))
    rows[:, 0], rows[:, LETTERS.index("a")] = math.log(0.6), math.log(0.4)
    assert search(rows, VOCABULARY, GREEDY) == []
    assert [word.text for word in search(rows, VOCABULARY, BEAM)] == [" a"]


def test_a_hotword_is_preferred_where_the_sound_leaves_it_open() -> None:
    """Not where it does not."""
    rows = doubtful("_an_e_|", 1, "ao", (0.55, 0.44))
    boosted = SearchOptions(8, ("One",), CtcSettings(hotword_weight=3.0))
    assert [word.text for word in search(rows, VOCABULARY, BEAM)] == [" ane"]
    assert [word.text for word in search(rows, VOCABULARY, boosted)] == [" one"]
    assert [word.text for word in search(lattice("_t_wo_|", sure=0.999), VOCABULARY, boosted)] == [" two"]


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
    """Missing, or another file."""
    pytest.importorskip("kenlm")
    with pytest.raises(ConfigError, match="no language model at"):
        search(lattice("a|"), VOCABULARY, SearchOptions(2, (), CtcSettings(lm=str(tmp_path / "none"))))


def test_a_vocabulary_without_a_delimiter_makes_each_letter_a_word() -> None:
    """As in Chinese: no spaces, and each letter ends where the next begins."""
    unspaced = Vocabulary(LETTERS, blank=0, delimiter="", special=frozenset({1, 2}), normalise=False)
    words = search(lattice("_aa_b__"), unspaced, GREEDY)
    assert [(word.text, word.until) for word in words] == [("a", 4), ("b", NEVER)]


def test_a_given_text_is_placed_where_it_is_written() -> None:
    """Letters and words with their times; case and punctuation are the rule's, not the text's."""
    placed = place(lattice("__o_n_e_|__t_w_oo_"), "One, two!", VOCABULARY, hop_s=0.02, offset_s=0.0)
    assert [(word.text, word.start_s, word.end_s) for word in placed] == [
        ("One,", pytest.approx(0.04), pytest.approx(0.14)),
        ("two!", pytest.approx(0.22), pytest.approx(0.34)),
    ]
    assert [character[0] for character in placed[1].characters] == ["t", "w", "o"]
    assert placed[0].score == pytest.approx(0.9)


def test_a_text_that_was_not_said_scores_low() -> None:
    """Its letters are forced into frames that say something else."""
    right, wrong = (place(lattice("__o_n_e___"), text, VOCABULARY, 0.02, 0.0)[0].score for text in ("one", "two"))
    assert right > 0.8
    assert wrong < 0.1


def test_letters_outside_the_vocabulary_are_listed() -> None:
    """Nothing is left out without a word."""
    with pytest.raises(CallerError, match=r"cannot write: 'x' \(2\), '7' \(1\)"):
        place(lattice("____________"), "xx 7 one", VOCABULARY, 0.02, 0.0)


def test_a_text_longer_than_its_recording_is_refused() -> None:
    """Each letter needs a frame, two equal ones a blank between them."""
    with pytest.raises(CallerError, match="4 letters does not fit in 5 frames; wanted 6"):
        emissions(lattice("_aab_"), [3, 3, 3, 4], 0)


# -- folders that cannot be used ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(random_model("wav2vec2 large"), tmp_path_factory.mktemp("model"))


def _edited(folder: Path, to: Path, name: str, **changes: object) -> Path:
    shutil.copytree(folder, to)
    table = json.loads((to / name).read_text())
    table.update(changes)
    (to / name).write_text(json.dumps({key: value for key, value in table.items() if value is not None}))
    return to


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("vocab.json", {"<pad>": None}, r"no blank \(<pad>\)"),
        ("vocab.json", {"z": 900}, "ids beyond the model's 32 outputs"),
        ("vocab.json", {"eng": {"a": 1}}, "several languages"),
        ("preprocessor_config.json", {"sampling_rate": 8000}, "takes audio at 8000 Hz, wanted 16000"),
        ("config.json", {"adapter_attn_dim": 16}, "adapters"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act = 'relu', wanted 'gelu'"),
        ("config.json", {"num_hidden_layers": 4}, "no tensor wav2vec2.encoder.layers.3"),
        ("config.json", {"vocab_size": 40}, r"lm_head.weight has the shape \(32, 32\), wanted \(40, 32\)"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(
    model_folder: Path, tmp_path: Path, name: str, changes: dict[str, object], said: str
) -> None:
    """In one sentence that says what was found."""
    with pytest.raises(ModelError, match=said):
        Engine.load(str(_edited(model_folder, tmp_path / "m", name, **changes)))


def test_a_folder_without_a_tokenizer_is_refused(model_folder: Path, tmp_path: Path) -> None:
    """The sentence says which file is wanted."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "m"))
    (folder / "vocab.json").unlink()
    with pytest.raises(ModelError, match=r"no vocab\.json"):
        Engine.load(str(folder))


def test_an_upper_case_vocabulary_is_as_good(model_folder: Path, tmp_path: Path) -> None:
    """facebook/wav2vec2-base-960h writes in capitals: the text is left so, and a text to align is put so."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "m"))
    table = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({k if "<" in k else k.upper(): v for k, v in table.items()}))
    engine = Engine.load(str(folder))
    placed = engine.recogniser.place(clip("quick_brown_fox"), "the quick brown fox")
    assert "".join(letter for letter, _, _ in placed[1].characters) == "QUICK"


def test_a_recording_shorter_than_one_frame_has_no_words(model_folder: Path) -> None:
    """25 ms are wanted for a frame; less is heard, and says nothing."""
    engine = Engine.load(str(model_folder))
    assert engine.recogniser.place(np.zeros(300, np.float32), "") == []
    with pytest.raises(CallerError, match="does not fit in 0 frames"):
        engine.recogniser.place(np.zeros(300, np.float32), "one")


def test_long_recordings_are_placed_in_steps(model_folder: Path) -> None:
    """Three minutes go through in steps with context; there is one frame every 20 ms, none twice."""
    engine = Engine.load(str(model_folder))
    samples = np.tile(clip("counting"), 40)[: 50 * RATE_HZ]
    assert len(engine.recogniser.lattice(samples)) == (len(samples) - 400) // 320 + 1


def test_a_model_trained_here_is_listed_and_found_by_name(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the configured ones; a misspelt name is helped."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path))
    shutil.copytree(model_folder, tmp_path / "letters-of-ours")
    status = {one.name: one for one in list_models()}["letters-of-ours"]
    assert (status.architecture, status.present, status.hash_ok) == ("wav2vec2", True, None)
    assert Engine.load("letters-of-ours").name == "letters-of-ours"
    with pytest.raises(ModelError, match="did you mean letters-of-ours"):
        Engine.load("letter-of-ours")


def test_a_folder_may_say_how_its_model_is_searched(model_folder: Path, tmp_path: Path) -> None:
    """With the language model beside it; settings that say something themselves are obeyed; a missing file is told."""
    pytest.importorskip("kenlm")
    folder = Path(shutil.copytree(model_folder, tmp_path / "m"))
    write_language_model(folder, ["one two", "two"])
    recogniser = Engine.load(str(folder)).recogniser
    how, lm = recogniser._search_options(asked()), recogniser._search_options(asked()).settings.lm
    assert (how.beam, Path(lm).name, how.settings.lm_weight) == (12, "lm.arpa", 1.0)
    assert recogniser._search_options(asked(beam_size=3)).beam == 3
    own = recogniser._search_options(asked(lm="own.arpa", lm_weight=0.2)).settings
    assert (own.lm, own.lm_weight) == ("own.arpa", 0.2)
    assert recogniser._right_frames(asked()) * recogniser._hop_s == pytest.approx(0.32)
    assert recogniser._right_frames(asked(right_s=1.0)) * recogniser._hop_s == pytest.approx(1.0)
    assert language_model(lm).score("two", bos=False, eos=False) > language_model(lm).score("one", bos=False, eos=False)
    (folder / "lm.arpa").unlink()
    with pytest.raises(ModelError, match=r"names the language model lm\.arpa, which is not beside it"):
        Engine.load(str(folder))


def test_words_of_a_closed_vocabulary_are_told_apart_and_spelled_right(tmp_path: Path) -> None:
    """A missing delimiter and a wrong letter, each a little more probable than the right one, are mended."""
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
