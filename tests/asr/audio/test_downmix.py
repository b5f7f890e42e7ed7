"""Channels -> mono: ordinary stereo keeps its mean to the bit, and no wiring of two channels makes speech vanish."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.downmix import Downmix, OneChannel, StreamDownmix
from asr.audio.pcm import AudioForm
from asr.audio.streams import StreamDecoder
from asr.errors import AudioError
from tests.asr.media import decode, encoded_channels, sound_file
from tests.asr.media import read as read_file
from tests.speech import RATE_HZ, speech

SPEECH = speech()
NOISE = np.random.default_rng(0).standard_normal((2, len(SPEECH))).astype(np.float32) * SPEECH.std()
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")


def mixed(frames: np.ndarray, names: tuple[str, ...] = ()) -> np.ndarray:
    """The mono samples of all frames at 16 kHz."""
    mixer = Downmix(AudioForm(RATE_HZ, names), frames.shape[1])
    return np.concatenate([mixer.process(frames.astype(np.float32)), mixer.flush()])


def likeness(mono: np.ndarray, original: np.ndarray = SPEECH) -> float:
    """The correlation with the original, whatever the sign: 1 is the same sound."""
    return float(abs(np.corrcoef(mono, original)[0, 1]))


def delayed(samples: np.ndarray, by_ms: float) -> np.ndarray:
    """The same length, shifted by whole samples."""
    shift = round(by_ms * RATE_HZ / 1000)
    return np.concatenate([np.zeros(shift, np.float32), samples])[: len(samples)]


@pytest.mark.parametrize(
    "right",
    [
        SPEECH,
        0.2 * SPEECH,
        0 * SPEECH,
        SPEECH + NOISE[0],
        NOISE[0],
        -0.05 * NOISE[1],
        *(delayed(SPEECH, by_ms) for by_ms in (0.1, 0.5, 1, 2, 5, 20)),
        SPEECH + 0.2,
        SPEECH + 0.1 * np.sin(2 * np.pi * 50 * np.arange(len(SPEECH)) / RATE_HZ),
    ],
    ids=[
        *("same", "panned", "silent", "noisy", "another sound", "quiet noise"),
        *("0.1 ms", "0.5 ms", "1 ms", "2 ms", "5 ms", "20 ms", "offset", "hum"),
    ],
)  # fmt: skip
def test_stereo_without_an_opposite_phase_is_its_mean(right: np.ndarray) -> None:
    """To the bit: also where microphones are apart, and single bands of a vowel do cancel."""
    frames = np.stack([SPEECH, right], axis=1).astype(np.float32)
    np.testing.assert_array_equal(mixed(frames), np.clip(frames, -1, 1).mean(axis=1))


@pytest.mark.parametrize(("gain", "noise"), [(1.0, 0.0), (1.0, 0.3), (1.0, 0.7), (0.5, 0.0), (0.5, 0.3)])
@pytest.mark.parametrize("level", [1.0, 0.001])
def test_speech_in_opposite_phase_is_kept(gain: float, noise: float, level: float) -> None:
    """Whole or in part (each side has its own noise), loud or at -60 dB: nearly as if the wiring were right.

    With strong noise half a second passes until that is sure.
    """
    left, right = SPEECH + noise * NOISE[0], -gain * SPEECH + noise * NOISE[1]
    mono = mixed(level * np.stack([left, right], axis=1))
    assert likeness(mono) >= 0.93 * likeness(left - right)


def test_an_opposite_phase_may_begin_and_end_anywhere() -> None:
    """A plug that is changed during the recording, in the middle of speech: no part is lost and nothing clicks."""
    sign = np.where((np.arange(len(SPEECH)) > 1.7 * RATE_HZ) & (np.arange(len(SPEECH)) < 8.5 * RATE_HZ), -1, 1)
    mono = mixed(np.stack([SPEECH, sign * SPEECH], axis=1))
    whole = len(SPEECH) // 160 * 160
    power = (SPEECH[:whole].reshape(-1, 160) ** 2).mean(axis=1)
    loud = power > 0.01 * power.max()
    share = ((mono[:whole].reshape(-1, 160) ** 2).mean(axis=1) / np.maximum(power, 1e-12))[loud]
    assert (share > 0.5).mean() > 0.99
    assert np.abs(np.diff(mono)).max() <= 1.2 * np.abs(np.diff(SPEECH)).max()


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60), st.sampled_from([1, -1]))
@settings(max_examples=20, deadline=None)
def test_frames_in_any_pieces_equal_all_at_once(sizes: list[int], sign: int) -> None:
    """Decisions depend on places in the stream, not on how it arrives."""
    frames = np.stack([SPEECH, sign * SPEECH + 0.2 * NOISE[0]], axis=1)[: 3 * RATE_HZ]
    mixer, parts, at = Downmix(AudioForm(RATE_HZ), 2), [], 0
    for size in sizes:
        parts.append(mixer.process(frames[at : at + size]))
        at += size
    parts += [mixer.process(frames[at:]), mixer.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), mixed(frames))


def test_little_waits_in_a_live_stream() -> None:
    """Mono nothing, ordinary stereo less than a block of 20 ms."""
    for channels, most in ((1, 0), (2, 319)):
        mixer = Downmix(AudioForm(RATE_HZ), channels)
        given_samples = 0
        for start in range(0, len(SPEECH), 441):
            piece = SPEECH[start : start + 441]
            given_samples += len(mixer.process(np.repeat(piece[:, None], channels, axis=1)))
            assert start + len(piece) - given_samples <= most


def test_the_centre_counts_most_and_the_bass_not_at_all() -> None:
    """5.1 of a film: speech in the centre among louder effects, a rumble in the LFE."""
    frames = np.random.default_rng(1).standard_normal((len(SPEECH), 6)) * SPEECH.std() * 0.5
    frames[:, 2] = SPEECH
    frames[:, 3] = 0.9 * np.sin(2 * np.pi * 40 * np.arange(len(SPEECH)) / RATE_HZ)
    assert likeness(mixed(frames, SURROUND)) > 0.9 > 0.2 > likeness(mixed(frames))


@pytest.mark.parametrize("carrier", [0, 1, 2, 4, 5])
def test_speech_in_any_channel_of_surround_is_kept(carrier: int) -> None:
    """No channel but the LFE is given up for the centre."""
    frames = np.zeros((len(SPEECH), 6))
    frames[:, carrier] = SPEECH
    mono = mixed(frames, SURROUND)
    assert likeness(mono) > 0.999
    assert mono.std() >= SPEECH.std() / 8


def test_more_than_two_channels_may_cancel_too() -> None:
    """Front left and right in opposite phase and a silent centre; four microphones, one turned over."""
    frames = np.zeros((len(SPEECH), 6))
    frames[:, 0], frames[:, 1] = SPEECH, -SPEECH
    assert likeness(mixed(frames, SURROUND)) > 0.99
    four = np.stack([SPEECH, -SPEECH, 0 * SPEECH, 0 * SPEECH], axis=1)
    assert likeness(mixed(four)) > 0.99


def read_live(frames: np.ndarray) -> np.ndarray:
    """As raw samples, in messages of 100 ms."""
    data = (frames * 32767).astype("<i2").tobytes()
    return decode([data[at : at + 6_400] for at in range(0, len(data), 6_400)], "linear16", RATE_HZ, 2)


@pytest.mark.parametrize(
    "through",
    [
        read_live,
        lambda frames: decode([sound_file(frames, RATE_HZ)], "auto"),
        lambda frames: decode([encoded_channels("ogg", "libopus", frames, RATE_HZ)], "ogg-opus"),
        lambda frames: read_file(sound_file(frames, RATE_HZ)),
        lambda frames: read_file(sound_file(frames, RATE_HZ, "FLAC")),
        lambda frames: read_file(encoded_channels("mp4", "aac", frames, RATE_HZ)),
    ],
    ids=["live raw", "live wav", "live opus", "wav", "flac", "m4a"],
)
def test_every_way_in_keeps_speech_in_opposite_phase(through: Callable[[np.ndarray], np.ndarray]) -> None:
    """Files and streams share the mixer."""
    mono = through(np.stack([SPEECH, -SPEECH], axis=1))
    assert mono.std() > 0.9 * SPEECH.std()


def test_a_surround_wav_is_read_by_its_channel_mask() -> None:
    """As a file and live: WAVE_FORMAT_EXTENSIBLE names the channels."""
    frames = np.zeros((RATE_HZ, 6))
    frames[:, 2], frames[:, 3] = SPEECH[RATE_HZ : 2 * RATE_HZ], 0.9
    data = sound_file(frames, RATE_HZ, "WAVEX", "PCM_16")
    centre = (np.round(frames[:, 2] * 32767) / 32768 * 3 / 7).astype(np.float32)
    for mono in (read_file(data), decode([data], "auto")):
        np.testing.assert_allclose(mono, centre, atol=1e-4)


def test_a_notice_says_that_channels_cancel() -> None:
    """Only where they do."""
    for sign, said in ((1, False), (-1, True)):
        mixer = StreamDownmix()
        mixer.process(AudioForm(RATE_HZ), np.stack([SPEECH, sign * SPEECH], axis=1))
        mixer.flush()
        assert ("opposite phase" in mixer.notice) is said


def test_a_live_stream_has_a_notice_as_soon_as_channels_cancel() -> None:
    """For the summary at its end."""
    frames = np.stack([SPEECH, -SPEECH], axis=1)
    decoder = StreamDecoder("linear16", RATE_HZ, 2)
    assert decoder.notices == ()
    decoder.decode((frames * 32767).astype("<i2").tobytes())
    assert len(decoder.notices) == 1


def test_one_channel_is_taken_as_it_is() -> None:
    """Of any form, in any pieces; NaN in it and another number of channels are refused."""
    frames = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    assert np.array_equal(OneChannel(1).process(AudioForm(8000), frames)[0][1], frames[:, 1])
    assert OneChannel(0, 2).process(AudioForm(8000), frames)[0][0] == 8000
    with pytest.raises(AudioError, match="found audio with 2 channels; wanted 3, as was said"):
        OneChannel(0, 3).process(AudioForm(8000), frames)
    with pytest.raises(AudioError, match="found audio with 1 channel; wanted at least 2"):
        OneChannel(1).process(AudioForm(8000), frames[:, :1])
    with pytest.raises(AudioError, match="NaN"):
        OneChannel(0).process(AudioForm(8000), frames * np.nan)
