"""Containers with several tracks, late tracks, gaps and damage: which track is read, and where its sound lies."""

import io
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from asr.audio.files import duration_s, header, read_blocks
from asr.audio.tracks import Timeline
from asr.errors import AudioError
from tests.asr.media import encoded, read, sine, sound_file

RATE_HZ = 48_000
TONE = sine(1.0, RATE_HZ)
SILENCE = np.zeros(RATE_HZ, np.float32)
FORMS = [("mp4", "aac"), ("matroska", "libopus"), ("mov", "pcm_s16le"), ("mpegts", "aac")]


def container(
    form: str,
    codec: str,
    tracks: Sequence[np.ndarray],
    *,
    flags: Sequence[Disposition] = (),
    languages: Sequence[str] = (),
    start_s: Sequence[float] = (),
    gap: tuple[float, float] = (np.inf, 0.0),
    with_video: bool = False,
) -> bytes:
    """Mono tracks ``(n,)`` at 48 kHz. Track i begins at `start_s[i]`; from `gap[0]` s on all are `gap[1]` s later."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as output:
        video = _video(output) if with_video else None
        streams: list[Any] = [output.add_stream(codec, rate=RATE_HZ, layout="mono") for _ in tracks]
        for stream, flag, language in itertools.zip_longest(streams, flags, languages):
            stream.disposition = flag or Disposition(0)
            stream.metadata["language"] = language or "und"
        packets = _video_packets(video) if video else []
        for stream, samples, late_s in itertools.zip_longest(streams, tracks, start_s):
            packets += _audio_packets(stream, samples, late_s or 0.0, gap)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            output.mux(packet)
    return buffer.getvalue()


def _video(output: Any) -> Any:
    stream = output.add_stream("mpeg4", rate=10)
    stream.width, stream.height = 32, 32
    return stream


def _video_packets(stream: Any, seconds: int = 8) -> list[Any]:
    packets = []
    for number in range(10 * seconds):
        frame = av.VideoFrame(32, 32, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _audio_packets(stream: Any, samples: np.ndarray, late_s: float, gap: tuple[float, float]) -> list[Any]:
    packets = []
    for start in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], format="flt", layout="mono")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = start + round(late_s * RATE_HZ)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    for packet in packets:
        if packet.pts * packet.time_base - late_s >= gap[0]:
            moved = round(gap[1] / packet.time_base)
            packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
    return packets


def sounds(mono: np.ndarray) -> list[tuple[float, float]]:
    """Begin and end in seconds of each stretch of sound at 16 kHz; pauses below 0.1 s do not count."""
    loud = np.flatnonzero(np.abs(mono) > 0.05) / 16_000
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > 0.1)
    return list(zip(loud[[0, *(breaks + 1)]], loud[[*breaks, -1]], strict=True))


def assert_sounds(mono: np.ndarray, *wanted: tuple[float, float]) -> None:
    found = sounds(mono)
    assert len(found) == len(wanted), found
    for times_s, wanted_s in zip(found, wanted, strict=True):
        assert times_s == pytest.approx(wanted_s, abs=0.06)


def notices_of(data: bytes) -> list[str]:
    notices: list[str] = []
    list(read_blocks(io.BytesIO(data), on_notice=notices.append))
    return notices


# -- the choice of a track ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "codec"), [("mp4", "aac"), ("matroska", "libopus")])
@pytest.mark.parametrize(
    ("flags", "taken"),
    [
        ([Disposition(0), Disposition.default], 1),
        ([Disposition.default, Disposition(0)], 0),
        ([Disposition.visual_impaired, Disposition(0)], 1),
        ([Disposition.hearing_impaired, Disposition(0)], 1),
        ([Disposition.comment, Disposition(0)], 1),
        ([Disposition(0), Disposition.comment], 0),
    ],
)
def test_the_track_of_ffmpegs_choice_is_read(form: str, codec: str, flags: list[Disposition], taken: int) -> None:
    """The default one, and none that comments or describes; a notice says which."""
    if form == "mp4" and Disposition.comment in flags:
        pytest.skip("MP4 has no mark for commentaries")
    tracks = [SILENCE, SILENCE]
    tracks[taken] = TONE
    data = container(form, codec, tracks, flags=flags, languages=["eng", "deu"])
    assert_sounds(read(data), (0.0, 1.0))
    (notice,) = notices_of(data)
    assert notice.startswith(f"took audio track {taken + 1} of 2 ({'opus' if codec == 'libopus' else codec}")
    assert ["eng", "deu"][taken] in notice.split(", left out")[0]


def test_a_single_track_is_not_worth_a_notice() -> None:
    """Whatever is beside it: here a picture."""
    assert notices_of(container("mp4", "aac", [TONE], with_video=True)) == []


@pytest.mark.parametrize(("codec_id", "unknown"), [(b"A_OPUS", b"A_XYZW")])
def test_a_track_of_an_unknown_codec_is_passed_over(codec_id: bytes, unknown: bytes) -> None:
    """Also where it is the default one. A file of such tracks only is an error that says so."""
    data = container("matroska", "libopus", [SILENCE, TONE], flags=[Disposition.default])
    first = data.replace(codec_id, unknown, 1)
    assert_sounds(read(first), (0.0, 1.0))
    assert "left out 1 (unknown codec" in notices_of(first)[0]
    assert header(io.BytesIO(first)).codec == "opus"
    with pytest.raises(AudioError, match="with audio of an unknown codec; wanted"):
        read(data.replace(codec_id, unknown))


@pytest.mark.parametrize("form", ["matroska", "mp4"])
def test_a_track_without_any_sound_is_passed_over(form: str) -> None:
    """A recorder that never started it."""
    codec = "aac" if form == "mp4" else "libopus"
    data = container(form, codec, [SILENCE[:0], TONE], flags=[Disposition.default])
    assert_sounds(read(data), (0.0, 1.0))


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "codec"), FORMS)
def test_a_track_that_begins_after_the_picture_begins_with_silence(form: str, codec: str) -> None:
    """MP4's edit list, Matroska's block times, MPEG-TS's time stamps; the length counts from the picture."""
    data = container(form, codec, [TONE], start_s=[2.5], with_video=True)
    assert_sounds(read(data), (2.5, 3.5))
    if form != "matroska":  # it has no length of each track
        assert duration_s(io.BytesIO(data)) == pytest.approx(3.5, abs=0.6 if form == "mpegts" else 0.1)


@pytest.mark.parametrize(("form", "codec"), [("matroska", "libopus"), ("mpegts", "aac"), ("mp4", "aac")])
def test_a_gap_in_a_track_is_silence(form: str, codec: str) -> None:
    """A recorder that paused, packets that a network lost."""
    data = container(form, codec, [sine(2.0, RATE_HZ)], gap=(0.99, 3.0), with_video=True)
    assert_sounds(read(data), (0.0, 1.0), (4.0, 5.0))


@pytest.mark.parametrize(("form", "codec"), [("matroska", "libopus"), ("mpegts", "aac")])
def test_times_count_from_the_beginning_of_the_container(form: str, codec: str) -> None:
    """A part that was cut out of a broadcast keeps the broadcast's times; players show 0."""
    assert_sounds(read(container(form, codec, [TONE], start_s=[1000.0])), (0.0, 1.0))


@pytest.mark.parametrize(
    ("form", "codec"),
    [*FORMS, ("ogg", "libopus"), ("mp3", "libmp3lame"), ("flac", "flac"), ("adts", "aac"),
     ("avi", "libmp3lame"), ("flv", "aac"), ("mpeg", "mp2"), ("webm", "libopus")],
)  # fmt: skip
def test_a_track_without_gaps_gets_no_silence(form: str, codec: str) -> None:
    """Rounded times, an encoder's delay and negative times are not gaps."""
    rate_hz = 44_100 if form in ("flv", "avi") else RATE_HZ
    decoded = read(encoded(form, codec, sine(5.0, rate_hz), rate_hz))
    middle = decoded[2_000 : len(decoded) - 4_000]
    windows = middle[: len(middle) // 160 * 160].reshape(-1, 160)
    assert windows.std(axis=1).min() > 0.2
    assert 4.9 < len(decoded) / 16_000 < 5.2


def test_streams_that_were_appended_follow_each_other() -> None:
    """Their times begin again."""
    link = encoded("ogg", "libopus", sine(1.3, RATE_HZ))
    assert len(read(link + link + link)) == pytest.approx(3 * 1.3 * 16_000, abs=20)
    broadcast = encoded("mpegts", "aac", sine(2.0, RATE_HZ))
    assert len(read(broadcast + broadcast)) == pytest.approx(4 * 16_000, abs=3_000)


@pytest.mark.parametrize(
    ("make", "codec"),
    [
        (lambda tone: encoded("ogg", "libopus", tone), "opus"),
        (lambda tone: encoded("matroska", "libopus", tone), "opus in mkv"),
        (lambda tone: encoded("mp3", "libmp3lame", tone), "mp3"),
        (lambda tone: encoded("adts", "aac", tone), "aac"),
        (lambda tone: encoded("mp4", "aac", tone), "m4a"),
        (lambda tone: encoded("mpegts", "aac", tone), "ts"),
        (lambda tone: sound_file(tone, RATE_HZ, "FLAC"), "flac"),
    ],
)
def test_damage_does_not_shorten_the_time_after_it(make: Callable[[np.ndarray], bytes], codec: str) -> None:
    """What is lost is silence, so words after it keep their times. In bare AAC the bytes give a rough length only."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 8 * RATE_HZ).astype(np.float32)
    noise[6 * RATE_HZ : 7 * RATE_HZ] = 0
    data = bytearray(make(noise))
    clean_s = len(read(bytes(data))) / 16_000
    for place in (0.2, 0.3, 0.4):
        at = round(place * len(data))
        data[at : at + 700] = bytes(700)
    damaged = read(bytes(data))
    assert sounds(damaged)[-1][0] == pytest.approx(7.0, abs=0.3 if codec == "aac" else 0.12)
    assert len(damaged) / 16_000 == pytest.approx(clean_s, abs=0.3 if codec == "aac" else 0.12)


def test_damaged_times_do_not_make_years_of_silence() -> None:
    """A jump of a day is taken for damage, and what follows continues."""
    timeline = Timeline()
    places = [
        (0.0, 0.0),
        (1.0, 0.0),
        (90_000.0, 0.0),
        (90_001.0, 0.0),
        (90_003.0, 1.0),
        (0.0, 0.0),
        (1.0, 0.0),
        (3.0, 1.0),
    ]
    assert [timeline.place(time_s, 1.0) for time_s, _ in places] == [silence_s for _, silence_s in places]
