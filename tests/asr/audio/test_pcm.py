"""Sample formats -> float32: the values that other decoders and the standards give."""

import av
import numpy as np
import pytest

from asr.audio.pcm import SAMPLE_FORMATS, PcmReader, alaw_table, any_to_float, checked_clipped, mulaw_table
from asr.errors import AudioError


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_companded_values_are_those_of_ffmpeg(law: str) -> None:
    """All 256 codes, against FFmpeg's decoders."""
    context = av.CodecContext.create(f"pcm_{law}", "r")
    context.sample_rate, context.layout = 8_000, "mono"
    values = np.concatenate([frame.to_ndarray()[0] for frame in context.decode(av.Packet(bytes(range(256))))])
    np.testing.assert_array_equal(SAMPLE_FORMATS[law].to_float(bytes(range(256))), values / np.float32(32768))


def test_companded_values_are_those_of_the_standard() -> None:
    """ITU-T G.711, tables 2a (mu-law, up to 8031) and 1a (A-law, up to 4032): the largest, the middle, the smallest."""
    mulaw, alaw = mulaw_table() * 32768 / 4, alaw_table() * 32768 / 8
    assert [mulaw[code] for code in (0x80, 0x8F, 0xFE, 0xFF, 0x00, 0x7F)] == [8031, 4191, 2, 0, -8031, 0]
    assert [alaw[code] for code in (0xAA, 0xD5, 0x2A, 0x55)] == [4032, 1, -4032, -1]


@pytest.mark.parametrize(
    ("dtype", "low", "middle", "high"),
    [("<i2", -32768, 0, 32767), ("<i4", -(2**31), 0, 2**31 - 1), ("u1", 0, 128, 255), ("<f8", -1.0, 0.0, 1.0)],
)
def test_full_scale_of_any_type_is_one(dtype: str, low: float, middle: float, high: float) -> None:
    """Integers have one step less above zero than below; unsigned ones have zero in the middle."""
    scaled = any_to_float(np.array([low, middle, high], dtype))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == pytest.approx([-1, 0, 1], abs=1 / 127)


def test_frames_are_clipped() -> None:
    """Nothing leaves [-1, 1], and what is inside stays."""
    frames = np.array([[0.5, 0.0], [3.0, 1.0], [-1e30, -1.0]], np.float32)
    assert checked_clipped(frames).tolist() == [[0.5, 0.0], [1.0, 1.0], [-1.0, -1.0]]


def test_a_frame_split_between_calls_waits_for_its_rest() -> None:
    """Stereo linear16 has frames of four bytes: three give nothing yet, and an error if the stream ends there."""
    reader = PcmReader(SAMPLE_FORMATS["linear16"], 2)
    assert len(reader.read(b"\0\x40\0")) == 0
    with pytest.raises(AudioError, match="found 3 bytes left over at the end; wanted frames of 4 bytes"):
        reader.end()
    assert reader.read(b"\x40").tolist() == [[0.5, 0.5]]
    reader.end()
