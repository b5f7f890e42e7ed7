"""Containers that FFmpeg reads: the choice of an audio track, and its frames at the times that the container gives."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.stream import Disposition

from asr.audio.containers.mp4_tables import check_tables
from asr.audio.pcm import AudioForm, frame_form, frame_samples
from asr.errors import AudioError

OnNotice = Callable[[str], None]
"""Called with a sentence that the user should read, about a recording that is read all the same."""

WANTED = "wanted a recording such as WAV, FLAC, OGG, MP3, Opus, M4A, MP4 or WebM"
_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,ogg,"
    "mxf,nistsphere,oma,rm,tak,tta,voc,w64,wav,wv"
)
"""Audio and video containers only: FFmpeg also reads playlists, which name other files to open."""
_WITHOUT_TIMES = ("mp3", "aac", "ac3", "eac3", "dts")
"""Bare frames: FFmpeg counts them, and takes all of a damaged stretch for one. Its bytes say how many were lost."""
_FOR_IMPAIRED = Disposition.hearing_impaired | Disposition.visual_impaired
_COMMENTARY = Disposition.comment | Disposition.descriptions
_MAX_FAILURES = 16
"""Consecutive reads that may fail in a damaged file before it counts as ended."""
_MIN_GAP_S = 0.05
"""Shorter gaps are not filled: containers round times, recorders' clocks jitter, an encoder's delay is up to 7 ms."""
_MIN_LOST_S = 0.005
"""The same after a packet that could not be decoded, whose gap is real."""
_RESTART_S = 0.5
"""Where times go back by more than this, another stream was appended; less is disorder."""
_MAX_SILENCE_S = 12 * 3600.0
"""Inserted in one recording. Damaged times may claim years."""


def ignored(notice: str) -> None:
    """The `OnNotice` of those who have nobody to pass a notice to."""


def open_container(file: BinaryIO, name: str) -> "av.container.InputContainer":
    """Raises `AudioError` if there is no recording."""
    if file.seekable():
        check_tables(file, name or "the recording")
    try:
        return av.open(file, "r", options={"format_whitelist": _FORMATS}, metadata_errors="ignore")
    except av.error.FFmpegError:
        found = f"found no sound in {name}: it is no recording, or it ends before its first sample"
        raise AudioError(f"{found}; {WANTED}") from None


def best_track(container: "av.container.InputContainer", name: str) -> AudioStream:
    """The track that is read unless it holds no sound. Raises `AudioError` if no track can be decoded."""
    return _ranked(container, name)[0]


def read_tracks(file: BinaryIO, name: str, on_notice: OnNotice) -> Iterator[tuple[AudioForm, np.ndarray]]:
    """Pairs of a form and frames ``(n, channels)`` of the best track that has any, a few milliseconds each.

    Silence is inserted where the container's times leave a gap. Raises `AudioError` for a file without an audio track
    that can be decoded; a track without sound gives nothing.
    """
    for rank in itertools.count():
        with open_container(file, name) as container:
            tracks = _ranked(container, name)
            pieces = _placed(container, tracks[rank])
            first = next(pieces, None)
            if first is not None:
                if len(container.streams.audio) > 1:
                    on_notice(_choice(tracks[rank], list(container.streams.audio)))
                yield first
                yield from pieces
                return
            if rank + 1 == len(tracks) or not file.seekable():
                return
        file.seek(0)


def _ranked(container: "av.container.InputContainer", name: str) -> list[AudioStream]:
    """The audio tracks that have a decoder, the best first.

    The order is that of FFmpeg's `av_find_best_stream`: the default track, one that is not for the hearing or visually
    impaired, the track with the most packets and the highest bit rate, the first one. Unlike there, a commentary comes
    behind tracks with the same flags.
    """
    tracks = list(container.streams.audio)
    if not tracks:
        raise AudioError(f"found {name} without an audio track; {WANTED}")
    decodable = [track for track in tracks if track.codec_context is not None]
    if not decodable:
        raise AudioError(f"found {name} with audio of an unknown codec; {WANTED}")
    favourite = container.streams.best("audio")
    return sorted(decodable, key=lambda track: (*_rank(track), track != favourite, -(track.bit_rate or 0), track.index))


def _rank(track: AudioStream) -> tuple[int, bool]:
    """Sort key of a track's flags: the default track first, tracks for impaired people and commentaries last."""
    flags = track.disposition
    points = int(not flags & _FOR_IMPAIRED) + bool(flags & Disposition.default)
    return -points, bool(flags & _COMMENTARY)


def _choice(track: AudioStream, tracks: Sequence[AudioStream]) -> str:
    """Which track of several was taken, as in "took audio track 2 of 2 (aac, eng, default), left out 1 (aac)"."""
    taken = f"track {tracks.index(track) + 1} of {len(tracks)} ({_described(track)})"
    others = [f"{index} ({_described(other)})" for index, other in enumerate(tracks, start=1) if other != track]
    return f"took audio {taken}, left out {', '.join(others)}"


def _described(track: AudioStream) -> str:
    """Codec, language, title and flags, as far as the container has them."""
    codec = track.codec_context.name if track.codec_context is not None else "unknown codec"
    language = track.language if track.language not in (None, "und") else ""
    title = " ".join(track.metadata.get("title", "").split())[:60]
    flags = [(flag.name or "").replace("_", " ") for flag in Disposition if flag & track.disposition]
    return ", ".join(part for part in (codec, language, title and repr(title), *flags) if part)


def _placed(container: "av.container.InputContainer", track: AudioStream) -> Iterator[tuple[AudioForm, np.ndarray]]:
    """The track's frames, with silence where the container's times leave a gap: at its beginning, or inside."""
    start_s = (container.start_time or 0) / av.time_base
    timeline = Timeline()
    for frame in _frames(container, track, timeline):
        time_s = None if frame.time is None else frame.time - start_s
        form, samples = frame_form(frame), frame_samples(frame)
        silence = round(timeline.place(time_s, len(samples) / form.rate_hz) * form.rate_hz)
        while silence > 0:
            part = min(silence, form.rate_hz // 2)
            yield form, np.zeros((part, samples.shape[1]), np.float32)
            silence -= part
        yield form, samples


def _frames(
    container: "av.container.InputContainer", track: AudioStream, timeline: "Timeline"
) -> Iterator["av.AudioFrame"]:
    """The frames of all packets that can be decoded. Damaged packets are skipped; a truncated file just ends."""
    packets, failures = container.demux(track), 0
    lost = None if container.format.name not in _WITHOUT_TIMES else _LostBytes()
    while failures < _MAX_FAILURES:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            failures, packets = failures + 1, container.demux(track)
            continue
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            timeline.lose()
            if lost:
                lost.take_bad(packet)
            continue
        failures = 0
        if lost:
            timeline.skip(lost.take_good(packet))
        yield from frames


class _LostBytes:
    """How much is missing in a damaged stretch of bare frames, by its bytes and those of the frames before it."""

    def __init__(self) -> None:
        self._good = self._good_bytes = self._bad = self._bad_bytes = 0

    def take_bad(self, packet: Any) -> None:
        """A packet that cannot be decoded."""
        self._bad, self._bad_bytes = self._bad + 1, self._bad_bytes + packet.size

    def take_good(self, packet: Any) -> float:
        """A packet with sound: the seconds that are missing before it, beyond those of the bad packets themselves."""
        missing = 0
        if self._bad and self._good:
            missing = round(self._bad_bytes * self._good / self._good_bytes) - self._bad
        self._good, self._good_bytes = self._good + 1, self._good_bytes + packet.size
        self._bad = self._bad_bytes = 0
        return max(0, missing) * float((packet.duration or 0) * (packet.time_base or 0))


class Timeline:
    """Where each frame lies in the recording. Times are seconds from the beginning of the container.

    The samples alone do not say it: a track may begin later than the picture, a recorder may pause, packets get lost.
    """

    def __init__(self) -> None:
        self._end_s = 0.0
        """Of what was placed so far."""
        self._shift_s = 0.0
        """From the container's times to places, since its times began again."""
        self._last_s = -math.inf
        self._silence_s = 0.0
        self._min_gap_s = _MIN_GAP_S

    def lose(self) -> None:
        """A packet before the next frame is lost, so that even a short gap is one."""
        self._min_gap_s = _MIN_LOST_S

    def skip(self, seconds: float) -> None:
        """This much more is missing before the next frame than its time says."""
        self._shift_s += seconds

    def place(self, time_s: float | None, length_s: float) -> float:
        """The seconds of silence before the next frame, whose time the container gives (None: it does not)."""
        gap_s = 0.0
        if time_s is not None:
            if time_s < self._last_s - _RESTART_S:  # concatenated streams
                self._shift_s = self._end_s - time_s
            self._last_s = time_s
            gap_s = time_s + self._shift_s - self._end_s
        if gap_s + self._silence_s > _MAX_SILENCE_S:  # not a gap but a damaged time
            self._shift_s -= gap_s
            gap_s = 0.0
        gap_s = gap_s if gap_s > self._min_gap_s else 0.0
        self._min_gap_s = _MIN_GAP_S
        self._silence_s += gap_s
        self._end_s += gap_s + length_s
        return gap_s


def header_duration_s(container: "av.container.InputContainer", name: str) -> float | None:
    """From the beginning of the container to the end of the track that is read; None if the header does not say.

    Raises `AudioError` if no track can be decoded.
    """
    track = best_track(container, name)
    if track.duration is not None and track.time_base is not None:
        late_s = float((track.start_time or 0) * track.time_base) - (container.start_time or 0) / av.time_base
        return float(track.duration * track.time_base) + (late_s if late_s > _MIN_GAP_S else 0.0)
    return None if container.duration is None else container.duration / av.time_base
