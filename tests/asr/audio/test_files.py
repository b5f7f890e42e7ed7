"""Files of every format: read whole and in blocks, and a clear error for a file that is no recording."""

import contextlib
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_audioeval
import soundfile

from asr.audio.files import duration_s, read_blocks
from asr.errors import AudioError
from tests.asr.media import encoded, read, sine, sound_file, video_only

CLIPS = Path(pytest_audioeval.__path__[0]) / "samples" / "audio" / "en"
TONE = sine(1.3, 16_000)

UNCOMPRESSED = [
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
    ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"),
    ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"),
    ("MP3", "MPEG_LAYER_III"), ("NIST", "PCM_16"), ("NIST", "PCM_24"), ("NIST", "ULAW"), ("NIST", "ALAW"),
]  # fmt: skip
CODED = [
    ("mp4", "aac"), ("ipod", "aac"), ("adts", "aac"), ("ogg", "libopus"), ("webm", "libopus"), ("matroska", "flac"),
    ("mp3", "libmp3lame"), ("mpegts", "aac"), ("flac", "flac"), ("mov", "pcm_s16le"), ("avi", "pcm_s16le"),
]  # fmt: skip


def assert_same_tone(decoded: np.ndarray, tone: np.ndarray, slack_s: float = 0.1) -> None:
    """The tone's length to ``slack_s`` (coders pad), and in its middle its level and nothing but its pitch."""
    assert abs(len(decoded) - len(tone)) <= slack_s * 16_000
    middle = decoded[3_000:16_000]
    level = np.median(np.abs(middle)) * 2**0.5  # not the peak: FFmpeg's AAC coder adds clicks to pure tones
    assert level == pytest.approx(0.4, abs=0.025)  # LAME takes 5 % off
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * 16_000 / len(middle) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("form", "subtype"), UNCOMPRESSED)
def test_files_of_libsndfiles_making_are_read(form: str, subtype: str) -> None:
    """WAV in all its kinds, and what else people have."""
    assert_same_tone(read(sound_file(TONE, 16_000, form, subtype)), TONE)


@pytest.mark.parametrize(("form", "codec"), CODED)
def test_files_of_ffmpegs_making_are_read(form: str, codec: str) -> None:
    """MP4, M4A, bare AAC, WebM, Matroska, MP3, a broadcast's stream, FLAC, films."""
    assert_same_tone(read(encoded(form, codec, sine(1.3, 48_000))), TONE)


@pytest.mark.parametrize(
    ("form", "codec"),
    [("3g2", "aac"), ("ac3", "ac3"), ("eac3", "eac3"), ("mp2", "mp2"), ("wv", "wavpack"),
     ("vob", "mp2"), ("mpeg", "mp2"), ("tta", "tta"), ("voc", "pcm_s16le"), ("rm", "ac3"), ("oga", "flac"),
     ("asf", "aac")],
)  # fmt: skip
def test_rarer_kinds_in_folders_are_read(form: str, codec: str) -> None:
    """Those of `asr.audio.kinds` that FFmpeg can write here."""
    assert_same_tone(read(encoded(form, codec, sine(1.3, 48_000))), TONE)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_rate_and_any_number_of_channels(rate_hz: int, channels: int) -> None:
    """Sample for sample the tone at 16 kHz, mixed down as the channels' mean."""
    frames = np.repeat(sine(1.3, rate_hz)[:, None], channels, axis=1)
    decoded = read(sound_file(frames, rate_hz, "WAV", "FLOAT"))
    assert len(decoded) == len(TONE)
    np.testing.assert_allclose(decoded[200:-200], TONE[200:-200], atol=1e-3)


def sphere(fields: str, body: bytes, size: int = 1024) -> bytes:
    """A NIST SPHERE file: a header of lines, padded to `size` bytes, then the samples."""
    return f"NIST_1A\n{size:7d}\n{fields}end_head\n".encode().ljust(size) + body


@pytest.mark.parametrize(("order", "dtype"), [("01", "<i2"), ("10", ">i2")])
@pytest.mark.parametrize("coding", ["", "sample_coding -s3 pcm\n"])
def test_sphere_files_of_corpora_are_read(order: str, dtype: str, coding: str) -> None:
    """TIMIT has no field for the coding and calls its files .wav; two channels as in Switchboard; a longer header."""
    for channels, size in ((1, 1024), (2, 2048)):
        frames = np.repeat((TONE[:, None] * 32767).astype(dtype), channels, axis=1)
        fields = (
            f"database_id -s5 TIMIT\nchannel_count -i {channels}\nsample_count -i {len(TONE)}\nsample_rate -i 16000\n"
            f"sample_n_bytes -i 2\nsample_byte_format -s2 {order}\nsample_sig_bits -i 16\n{coding}"
        )
        assert_same_tone(read(sphere(fields, frames.tobytes(), size)), TONE, slack_s=0.001)


def shortened(samples: np.ndarray, block: int = 256) -> bytes:
    """Integer samples ``(n,)`` as Shorten 2 writes them: first differences in Rice codes (Robinson 1994, TR.156)."""
    bits: list[int] = []

    def rice(value: int, low_bits: int) -> None:
        bits.extend([0] * (value >> low_bits) + [1] + [value >> bit & 1 for bit in reversed(range(low_bits))])

    for value in (5, 1, block, 0, 0, 0):  # 16 bits with the low byte first, one channel, and no other options
        rice(value.bit_length(), 2)
        rice(value, value.bit_length())
    last = 0
    for start in range(0, len(samples), block):
        rice(1, 2)
        rice(11, 3)
        for sample in samples[start : start + block].tolist():
            difference, last = sample - last, sample
            rice(2 * difference if difference >= 0 else -2 * difference - 1, 12)
    rice(4, 2)
    return b"ajkg\x02" + np.packbits(np.array(bits, np.uint8)).tobytes()


def test_shortened_sphere_is_read() -> None:
    """As the discs of WSJ and Switchboard hold it."""
    samples = (sine(4.096, 16_000) * 32767).astype("<i2")
    fields = (
        f"channel_count -i 1\nsample_count -i {len(samples)}\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
        "sample_byte_format -s2 01\nsample_coding -s26 pcm,embedded-shorten-v2.00\n"
    )
    decoded = read(sphere(fields, shortened(samples)))
    np.testing.assert_array_equal(decoded, samples / np.float32(32768))


@pytest.mark.parametrize("coding", ["pcm,embedded-wavpack-v1.0", "adpcm"])
def test_sphere_of_an_unknown_coding_is_refused(coding: str) -> None:
    """In one sentence."""
    fields = "channel_count -i 1\nsample_count -i 100\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
    with pytest.raises(AudioError, match=r"found .*; wanted"):
        read(sphere(f"{fields}sample_coding -s9 {coding}\n", bytes(2000)))


def test_a_real_recording_is_what_libsndfile_reads() -> None:
    """Speech, compared with a plain reading of the whole file."""
    paths = sorted(CLIPS.glob("*.wav"))[:3]
    assert paths
    for path in paths:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate_hz == 16_000
        np.testing.assert_array_equal(np.concatenate(list(read_blocks(path))), samples.mean(axis=1))


def test_blocks_have_the_length_asked_for() -> None:
    """All but the last; joined they are the recording."""
    data = sound_file(TONE, 16_000)
    lengths = [len(block) for block in read_blocks(io.BytesIO(data), 0.25)]
    assert lengths == [4_000] * 5 + [800]
    np.testing.assert_array_equal(read(data, 0.25), read(data, 100))


def test_a_long_file_is_read_as_blocks_are_asked_for() -> None:
    """Hours are never loaded whole: the first block needs only the file's first bytes."""
    file = Counted(sound_file(np.zeros(60 * 48_000, np.int16), 48_000))
    next(read_blocks(file, 1.0))
    assert file.read_bytes < len(file.getvalue()) / 10
    file = Counted(encoded("mp3", "libmp3lame", np.zeros(60 * 48_000, np.float32)))
    next(read_blocks(file, 1.0))
    assert file.read_bytes < len(file.getvalue()) / 2


class Counted(io.BytesIO):
    """Counts what is read of it."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.read_bytes += count
        return count


@pytest.mark.parametrize("data", [sound_file(TONE, 16_000), encoded("mp4", "aac", sine(1.3, 48_000))])
def test_uploads_come_as_spooled_files(data: bytes) -> None:
    """As `multipart` leaves them: the position anywhere, in memory or on disk; they stay open."""
    for max_size in (10, 1 << 20):
        with tempfile.SpooledTemporaryFile(max_size=max_size) as upload:
            upload.write(data)
            assert_same_tone(np.concatenate(list(read_blocks(upload))), TONE)  # type: ignore[arg-type]
            assert not upload.closed


def test_the_files_name_does_not_matter(tmp_path: Path) -> None:
    """A WAV called .raw, .mp3, or nothing at all; a name with another script and a colon."""
    for name in ("a.raw", "a.mp3", "a", "https:речь.txt"):
        path = tmp_path / name
        path.write_bytes(sound_file(TONE, 16_000))
        assert_same_tone(np.concatenate(list(read_blocks(path))), TONE)
        assert duration_s(path) == pytest.approx(1.3)


@pytest.mark.parametrize(("form", "codec"), CODED)
def test_the_length_is_told_without_decoding(form: str, codec: str) -> None:
    """To a tenth of a second if the container has it (for bare AAC and MPEG-TS FFmpeg estimates it)."""
    length_s = duration_s(io.BytesIO(encoded(form, codec, sine(1.3, 48_000))))
    assert length_s == pytest.approx(1.3, abs=0.6 if form in ("adts", "mpegts") else 0.1)


def test_a_browsers_recording_does_not_tell_its_length() -> None:
    """None, and the recording is read all the same."""
    data = encoded("webm", "libopus", sine(1.3, 48_000), live=True)
    assert duration_s(io.BytesIO(data)) is None
    assert_same_tone(read(data), TONE)


def test_chained_ogg_is_read_to_its_end() -> None:
    """libsndfile stops after the first link, in silence; that is why Ogg is FFmpeg's here."""
    link = encoded("ogg", "libopus", sine(1.3, 48_000))
    assert len(read(link + link)) == pytest.approx(2 * len(TONE), abs=10)


def test_a_wav_whose_header_was_never_finished_is_read() -> None:
    """A recorder that was switched off leaves sizes of 0, a pipe leaves 0xFFFFFFFF."""
    data = sound_file((TONE * 32767).astype(np.int16), 16_000)
    for size in (0, 0xFFFFFFFF):
        unfinished = data[:4] + struct.pack("<I", size) + data[8:40] + struct.pack("<I", size) + data[44:]
        assert_same_tone(read(unfinished), TONE, slack_s=0.001)


@pytest.mark.parametrize(
    "make",
    [
        lambda tone: sound_file(tone, 48_000),
        lambda tone: sound_file(tone, 48_000, "FLAC"),
        lambda tone: sound_file(tone, 48_000, "MP3"),
        lambda tone: encoded("ogg", "libopus", tone),
        lambda tone: encoded("webm", "libopus", tone, live=True),
        lambda tone: encoded("adts", "aac", tone),
    ],
    ids=["wav", "flac", "mp3", "ogg", "webm", "aac"],
)
def test_a_file_that_was_cut_gives_what_came_before(make: Callable[[np.ndarray], bytes]) -> None:
    """Half of the bytes are about half of the sound, with its level and pitch."""
    data = make(sine(8, 48_000))
    decoded = read(data[: len(data) // 2])
    assert 3 * 16_000 < len(decoded) < 5 * 16_000
    assert_same_tone(decoded, decoded)


def test_a_damaged_flac_goes_on_after_the_damage() -> None:
    """Some frames are lost, not the rest."""
    data = bytearray(sound_file(sine(8, 48_000), 48_000, "FLAC"))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    decoded = read(bytes(data))
    assert len(decoded) > 7 * 16_000
    assert_same_tone(decoded[-20_000:], decoded[-20_000:])


M4A = encoded("mp4", "aac", sine(1.3, 48_000))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "empty"),
        (b"\0", "no recording"),
        (np.random.default_rng(0).bytes(100_000), "no recording"),
        (bytes(100_000), "no recording"),
        (b"The quick brown fox jumps over the lazy dog.\n" * 500, "no recording"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nwords\n\n" * 20, "no recording"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "no recording"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "no recording"),
        (b'{"not": "audio"}', "no recording"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no recording"),
        (M4A[: len(M4A) // 2], "no recording"),
        (video_only(), "without an audio track"),
        (sound_file(TONE[:0], 16_000), "without any samples"),
        (sound_file(TONE, 16_000)[:30], "no recording|without any samples"),
        (sound_file(TONE, 16_000, "FLAC")[:60], "no recording|without any samples"),
        (encoded("ogg", "libopus", sine(1, 48_000))[:150], "no recording|without any samples"),
        (sound_file(TONE, 4_000), "sample rate of 4000 Hz; wanted 8000 to 192000 Hz"),
        (sound_file(TONE, 384_000), "sample rate of 384000 Hz"),
        (sound_file(np.where(np.arange(9_000) == 8_000, np.nan, 0.1), 16_000, "WAV", "FLOAT"), "NaN or infinite"),
        (sound_file(np.where(np.arange(9_000) == 8_000, np.inf, 0.1), 16_000, "WAV", "DOUBLE"), "NaN or infinite"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused(data: bytes, found: str) -> None:
    """One sentence: what was found, what is wanted."""
    with pytest.raises(AudioError, match=f"found .*({found}).*; wanted|found .*({found})"):
        read(data)


def test_playlists_open_no_other_file(tmp_path: Path) -> None:
    """An upload must not read the server's files: FFmpeg's list formats are not let in, even where the file exists."""
    (tmp_path / "secret.wav").write_bytes(sound_file(TONE, 16_000))
    playlist = tmp_path / "upload.ffconcat"
    playlist.write_text("ffconcat version 1.0\nfile secret.wav\n")
    with pytest.raises(AudioError, match="no recording"):
        list(read_blocks(playlist))


def test_paths_that_hold_no_file_are_refused(tmp_path: Path) -> None:
    """The name stands in the message."""
    with pytest.raises(AudioError, match=r"found no file at .*/missing.wav; wanted"):
        list(read_blocks(tmp_path / "missing.wav"))
    with pytest.raises(AudioError, match=r"found a folder at .*; wanted"):
        duration_s(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"found .*empty.wav empty; wanted"):
        list(read_blocks(tmp_path / "empty.wav"))


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_an_audio_error_or_some_sound(seed: int) -> None:
    """Random bytes overwritten in files of many kinds: nothing but `AudioError` escapes, and no NaN comes out."""
    rng = np.random.default_rng(seed)
    originals = [sound_file(TONE, 16_000), sound_file(TONE, 16_000, "FLAC"), M4A, encoded("ogg", "libopus", TONE)]
    data = bytearray(originals[seed % 4])
    for place in rng.integers(0, len(data) if seed % 8 < 4 else 200, 12):
        data[place] = rng.integers(256)
    with contextlib.suppress(AudioError):
        assert np.isfinite(read(bytes(data))).all()
