"""Conditions applied to data sets: their names, their effects, and that they are reproducible."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from eval.data.apply_conditions import Conditions, apply_conditions, audio_set, parse_chains, with_overlay
from eval.data.conditions import Gain, Line, Noise, Overlay, Room
from eval.data.dataset import data_sha256, load_dataset, read
from eval.data.types import Dataset


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    """Two tones with a text each."""
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    rows = []
    for name, hz in (("a", 440), ("b", 880)):
        soundfile.write(tmp_path / f"{name}.wav", 0.2 * np.sin(2 * np.pi * hz * t), SAMPLE_RATE_HZ, subtype="FLOAT")
        rows.append({"audio_filepath": f"{name}.wav", "text": name, "duration": 1.0, "device": "desk"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_dataset(tmp_path)


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """Two noises of three seconds, as a plain folder."""
    folder = tmp_path / "noise-babble"
    folder.mkdir()
    for i in range(2):
        samples = 0.1 * np.random.default_rng(i).standard_normal(3 * SAMPLE_RATE_HZ)
        soundfile.write(folder / f"n{i}.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    return folder


def added(dataset: Dataset, clean: Dataset) -> np.ndarray:
    """What a condition added to the first utterance."""
    return read(dataset.utterances[0]).samples - read(clean.utterances[0]).samples


def test_noise_at_several_levels_makes_a_data_set_of_each(clean: Dataset, noises: Path) -> None:
    """Named after set, noise and level; attributes are added and the others kept; the clean set comes first."""
    sets = apply_conditions([clean], Conditions(noises, "20,0"))
    assert [s.name for s in sets] == [clean.name, f"{clean.name}+babble@20dB", f"{clean.name}+babble@0dB"]
    noisy = sets[2].utterances[0]
    assert noisy.attributes == (("device", "desk"), ("noise", "babble"), ("snr_db", "0"))
    assert (noisy.id, noisy.text, noisy.dataset) == ("a", "a", sets[2].name)
    noise, speech = added(sets[2], clean), read(clean.utterances[0]).samples
    assert np.mean(noise**2) == pytest.approx(np.mean(speech**2), rel=1e-3)


def test_the_noise_is_the_same_at_every_level_and_every_time(clean: Dataset, noises: Path) -> None:
    """Only 20 dB apart; another seed or another utterance gets another part of the noise."""
    _, loud, soft = apply_conditions([clean], Conditions(noises, "0,20"))
    np.testing.assert_allclose(added(loud, clean), 10 * added(soft, clean), atol=1e-5)
    again = apply_conditions([clean], Conditions(noises, "0"))[1]
    assert np.array_equal(read(again.utterances[0]).samples, read(loud.utterances[0]).samples)
    other = apply_conditions([clean], Conditions(noises, "0", seed=1))[1]
    assert not np.allclose(added(other, clean), added(loud, clean), atol=1e-3)


def test_the_datas_hash_knows_the_conditions(clean: Dataset, noises: Path) -> None:
    """Gain, seed and the noise's own sound; the clean set's hash is as it was."""
    plain, noisy = apply_conditions([clean], Conditions(noises, "10"))
    before = data_sha256(noisy.utterances)
    hashes = {data_sha256(plain.utterances), before}
    hashes.add(data_sha256(apply_conditions([clean], Conditions(noises, "5"))[1].utterances))
    hashes.add(data_sha256(apply_conditions([clean], Conditions(noises, "10", seed=1))[1].utterances))
    soundfile.write(noises / "n0.wav", np.ones(16000) / 4, SAMPLE_RATE_HZ)
    hashes.add(data_sha256(apply_conditions([clean], Conditions(noises, "10"))[1].utterances))
    assert len(hashes) == 5
    assert data_sha256(plain.utterances) == data_sha256(clean.utterances)


def test_chains_are_applied_in_order(clean: Dataset) -> None:
    """Louder and clipped, then softer is not softer, then louder."""
    overlays = Conditions(chains="gain:30+gain:-30,gain:-30+gain:30").overlays()
    assert [str(overlay) for overlay in overlays] == ["gain+30dB+gain-30dB", "gain-30dB+gain+30dB"]
    first, second = (read(with_overlay(clean, overlay).utterances[0]).samples for overlay in overlays)
    assert np.abs(first).max() == pytest.approx(10**-1.5, rel=1e-3)
    np.testing.assert_allclose(second, read(clean.utterances[0]).samples, rtol=1e-4, atol=1e-6)


def test_conditions_are_understood_as_they_are_written(noises: Path) -> None:
    """Commas between conditions, plus signs inside."""
    given = audio_set(noises)
    assert given is not None
    chains = parse_chains("telephone+mulaw, opus:16 ,reverb+noise:7.5,gain:-20,", given, given)
    assert chains == (
        (Line("telephone"), Line("mulaw")),
        (Line("opus", 16),),
        (Room("babble", given[1]), Noise("babble", given[1], 7.5)),
        (Gain(-20),),
    )
    assert [str(Overlay(chain)) for chain in chains] == [
        "telephone+mulaw",
        "opus16k",
        "reverb+babble@7.5dB",
        "gain-20dB",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hall", "wanted one of noise:SNR, reverb"),
        ("noise:10", "wanted --noise"),
        ("reverb", "wanted --rirs"),
        ("gain:much", "wanted a number as in gain:-20"),
        ("telephone:8", "wanted one of"),
        ("mp3:nan", "wanted a number"),
    ],
)
def test_unknown_conditions_are_refused(text: str, what: str) -> None:
    """The error says what is wanted."""
    with pytest.raises(ConfigError, match=what):
        parse_chains(text, None, None)


def test_levels_without_noise_and_nothing_to_run_are_refused(clean: Dataset) -> None:
    """Each in one sentence."""
    with pytest.raises(ConfigError, match="wanted --noise"):
        apply_conditions([clean], Conditions(snr_db="10"))
    with pytest.raises(ConfigError, match="neither clean recordings nor a condition"):
        apply_conditions([clean], Conditions(clean=False))


def test_rooms_alone_and_noise_alone_need_not_be_named(clean: Dataset, noises: Path) -> None:
    """Unless conditions are named: then those are all."""
    names = [s.name.split("+", 1)[1] for s in apply_conditions([clean], Conditions(noises, rirs=noises, clean=False))]
    assert names == ["babble@20dB", "babble@10dB", "babble@5dB", "babble@0dB", "reverb"]
    (named,) = apply_conditions([clean], Conditions(noises, rirs=noises, chains="reverb+noise:5", clean=False))
    assert named.name == f"{clean.name}+reverb+babble@5dB"
    assert dict(named.utterances[0].attributes)["room"] == "babble"


def test_a_noise_may_be_one_file(noises: Path) -> None:
    """Called as the file is."""
    assert audio_set(noises / "n0.wav") == ("n0", (noises / "n0.wav",))
    (noises.parent / "empty").mkdir()
    with pytest.raises(ConfigError, match="found no recording"):
        audio_set(noises.parent / "empty")
