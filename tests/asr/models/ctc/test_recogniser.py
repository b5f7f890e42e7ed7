"""CTC models on real audio: settings of stream and folder, and forced alignment of recordings."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asr.config import CtcSettings, DecodeSettings
from asr.engine import Engine
from asr.errors import CallerError, ModelError
from asr.models.base import Window
from asr.models.ctc.search import language_model
from tests.speech import RATE_HZ, clip
from train.language_model import write_language_model

HOP_S = 320 / RATE_HZ


def window(beam_size: int = 1, **settings: object) -> Window:
    """A window with these settings."""
    decode = DecodeSettings(beam_size=beam_size, ctc=CtcSettings(**settings))  # type: ignore[arg-type]
    return Window(np.zeros(0, np.float32), settings=decode)


def test_an_upper_case_vocabulary_is_as_good(model_folder: Path, tmp_path: Path) -> None:
    """facebook/wav2vec2-base-960h writes capitals: its text keeps them, and a text to align is converted."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "m"))
    table = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({k if "<" in k else k.upper(): v for k, v in table.items()}))
    engine = Engine.load(str(folder))
    placed = engine.recogniser.place(clip("quick_brown_fox"), "the quick brown fox")
    assert "".join(letter for letter, _, _ in placed[1].characters) == "QUICK"


def test_a_recording_shorter_than_one_frame_has_no_words(model_folder: Path) -> None:
    """A frame needs 25 ms; in less audio there are no words."""
    engine = Engine.load(str(model_folder))
    assert engine.recogniser.place(np.zeros(300, np.float32), "") == []
    with pytest.raises(CallerError, match="does not fit in 0 frames"):
        engine.recogniser.place(np.zeros(300, np.float32), "one")


def test_long_recordings_are_aligned_in_chunks(model_folder: Path) -> None:
    """50 s are computed in chunks with context: one frame every 20 ms, none twice."""
    engine = Engine.load(str(model_folder))
    samples = np.tile(clip("counting"), 40)[: 50 * RATE_HZ]
    assert len(engine.recogniser.lattice(samples)) == (len(samples) - 400) // 320 + 1


def test_a_folder_may_say_how_its_model_is_searched(model_folder: Path, tmp_path: Path) -> None:
    """With a language model in the folder. The stream's own settings come first; a missing file is an error."""
    pytest.importorskip("kenlm")
    folder = Path(shutil.copytree(model_folder, tmp_path / "m"))
    write_language_model(folder, ["one two", "two"])
    recogniser = Engine.load(str(folder)).recogniser
    options = recogniser.search_options(window())
    lm = options.settings.lm
    assert (options.beam, Path(lm).name, options.settings.lm_weight) == (12, "lm.arpa", 1.0)
    assert recogniser.search_options(window(beam_size=3)).beam == 3
    own = recogniser.search_options(window(lm="own.arpa", lm_weight=0.2)).settings
    assert (own.lm, own.lm_weight) == ("own.arpa", 0.2)
    assert recogniser.right_frames(window()) * HOP_S == pytest.approx(0.32)
    assert recogniser.right_frames(window(right_s=1.0)) * HOP_S == pytest.approx(1.0)
    assert language_model(lm).score("two", bos=False, eos=False) > language_model(lm).score("one", bos=False, eos=False)
    (folder / "lm.arpa").unlink()
    with pytest.raises(ModelError, match=r"names the language model lm\.arpa, which is not beside it"):
        Engine.load(str(folder))
