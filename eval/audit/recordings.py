"""Recordings as they were heard: an utterance, what its file says of itself, and what it sounds like. And suspects."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from asr.audio.files import Header, header
from asr.errors import AudioError
from eval.audit.acoustics import Acoustics, Vad, measure
from eval.audit.findings import Example, Finding, example, grouped, of_examples, of_groups
from eval.data.dataset import read
from eval.data.types import Problem, Utterance, unreadable
from eval.normalise import base_language

AREA = "audio"

CONTAINERS: Mapping[str, tuple[str, ...]] = {
    ".wav": ("wav", "wavex", "rf64", "w64"),
    ".flac": ("flac",),
    ".mp3": ("mp3",),
    ".ogg": ("ogg",),
    ".opus": ("ogg",),
    ".m4a": ("mov,mp4,m4a,3gp,3g2,mj2",),
    ".mp4": ("mov,mp4,m4a,3gp,3g2,mj2",),
    ".webm": ("matroska,webm",),
    ".aac": ("aac",),
}
"""A suffix and the containers that belong in it."""

CLIPPED_SHARE = 0.001
NARROW_HZ = 4_400.0
"""8 kHz end at 4; a codec's noise may lie somewhat above."""
NOISY_DB = 10.0
QUIET_LUFS = -40.0
NO_SPEECH_S, MUCH_SPEECH_SHARE = 0.1, 0.3
JUDGED_S = 1.0
"""Shorter recordings give voice activity too little to go by: it missed 225 of 1800 spoken digits of half a second."""
SILENT_DBFS = -60.0
"""A recording whose peak lies below holds nothing, however short it is."""
PACE_DEVIATIONS = 4.0
"""From the median, in deviations as robust as it (1.4826 times the median absolute one), at least `MIN_PACES` known."""
MIN_PACES = 10
DURATION_S, DURATION_SHARE = 0.25, 0.05
"""A manifest's duration may differ by as much (either suffices)."""


@dataclass(frozen=True, slots=True)
class MeasuredRecording:
    """One utterance, decoded and measured; ``header`` is of its first clip's file."""

    utterance: Utterance
    header: Header
    acoustics: Acoustics

    @property
    def pace(self) -> float | None:
        """Characters of the label, spaces left out, per second of speech; None without text or speech."""
        characters = len("".join(self.utterance.text.split()))
        return characters / self.acoustics.speech_s if characters and self.acoustics.speech_s >= NO_SPEECH_S else None


def hear(utterances: Iterable[Utterance], vad: Vad) -> Iterator[MeasuredRecording | Problem]:
    """One recording in memory at a time; what cannot be decoded is a problem."""
    for utterance in utterances:
        try:
            yield MeasuredRecording(utterance, header(utterance.clips[0].audio), measure(read(utterance).samples, vad))
        except AudioError as error:
            yield unreadable(utterance, error)


def sound_findings(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """All that is suspicious in what was heard."""
    finders: tuple[Callable[[Sequence[MeasuredRecording]], list[Finding]], ...] = (
        one_sound_several_texts,
        sound_twice,
        without_speech,
        without_label,
        pace_outliers,
        other_durations,
        other_containers,
        clipped,
        narrow_band,
        noisy,
        quiet,
        cut_off,
    )
    return [finding for finder in finders for finding in finder(heard)]


def one_sound_several_texts(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """The same samples with different labels: at least one of them is wrong."""
    written = ((h.acoustics.sound_sha256, h.utterance.text or "(empty)", h.utterance) for h in heard)
    groups = grouped(written, "listen, and keep one label")
    what = "recordings with several texts"
    return of_groups("labels", "same audio, different texts", what, groups, grave=True)


def sound_twice(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """The same samples with the same label more than once in a set: they weigh double."""
    found: dict[tuple[str, str, str], list[Utterance]] = defaultdict(list)
    for h in heard:
        found[h.utterance.dataset, h.acoustics.sound_sha256, h.utterance.text].append(h.utterance)
    twice = [places for places in found.values() if len(places) > 1]
    told = tuple(example(places[0], "also " + ", ".join(u.id for u in places[1:4])) for places in twice)
    return of_examples(AREA, "same recording twice", "recordings that are in a set more than once", told, "keep one")


def without_speech(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Labels of recordings in which voice activity finds none."""

    def silent(heard: Acoustics) -> bool:
        unheard = heard.duration_s >= JUDGED_S and heard.speech_s < NO_SPEECH_S
        return unheard or heard.peak_dbfs is None or heard.peak_dbfs < SILENT_DBFS

    odd = [h for h in heard if h.utterance.text.strip() and silent(h.acoustics)]
    found = tuple(example(h.utterance, f"{h.acoustics.speech_s:.2f} s of speech found") for h in odd)
    return of_examples(AREA, "text without speech", "labelled recordings without speech", found, "listen", grave=True)


def without_label(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Recordings of speech whose label is empty: every word of them counts as invented."""
    odd = [h for h in heard if not h.utterance.text.strip() and h.acoustics.speech_share > MUCH_SPEECH_SHARE]
    found = tuple(example(h.utterance, f"{h.acoustics.speech_s:.1f} s of speech found") for h in odd)
    return of_examples(AREA, "speech without text", "recordings of speech without a text", found, "label", grave=True)


def pace_outliers(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Labels too long or too short for their speech: cut recordings, missing words, the wrong label."""
    by_language: dict[str, list[MeasuredRecording]] = defaultdict(list)
    for h in heard:
        if h.pace is not None and h.acoustics.duration_s >= JUDGED_S:
            by_language[base_language(h.utterance.language)].append(h)
    found = tuple(told for same in by_language.values() for told in _outliers(same))
    what = "labels that are too long or too short for the speech beside them"
    return of_examples(AREA, "characters per second", what, found, "listen: is all of it said, and no more?")


def _outliers(heard: Sequence[MeasuredRecording]) -> list[Example]:
    paces = [h.pace or 0.0 for h in heard]
    middle = median(paces)
    spread = 1.4826 * median(abs(pace - middle) for pace in paces)
    if len(paces) < MIN_PACES or not spread:
        return []
    odd = [(abs(pace - middle) / spread, pace, h) for pace, h in zip(paces, heard, strict=True)]
    odd = sorted((one for one in odd if one[0] > PACE_DEVIATIONS), key=lambda one: -one[0])
    return [example(h.utterance, f"{pace:.1f} characters/s, usual {middle:.1f}") for _, pace, h in odd]


def other_durations(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Recordings that are shorter or longer than the manifest has it: cut, padded, or another file."""

    def differs(told_s: float, found_s: float) -> bool:
        return abs(told_s - found_s) > max(DURATION_S, DURATION_SHARE * told_s)

    odd = [h for h in heard if differs(h.utterance.duration_s, h.acoustics.duration_s)]
    found = tuple(
        example(h.utterance, f"manifest {h.utterance.duration_s:.2f} s, recording {h.acoustics.duration_s:.2f} s")
        for h in odd
    )
    return of_examples(
        AREA, "duration", "recordings that are not as long as the manifest has it", found, "compare the files"
    )


def other_containers(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Files that are not what their suffix says: read all the same here, and refused by stricter readers."""

    def told(h: MeasuredRecording) -> Example | None:
        suffix = h.utterance.clips[0].audio.suffix.lower()
        fits = h.header.container in CONTAINERS.get(suffix, (h.header.container,))
        return None if fits else example(h.utterance, f"named {suffix}, holds {h.header.container} ({h.header.codec})")

    found = tuple(one for one in map(told, heard) if one)
    return of_examples(AREA, "mislabelled files", "files that are not what their suffix says", found, "rename them")


def clipped(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """More than a thousandth of the samples at full scale."""
    odd = sorted(heard, key=lambda h: -h.acoustics.clipped_share)
    found = tuple(
        example(h.utterance, f"{100 * h.acoustics.clipped_share:.2f} % of samples at full scale")
        for h in odd
        if h.acoustics.clipped_share > CLIPPED_SHARE
    )
    return of_examples(AREA, "clipping", "clipped recordings", found)


def narrow_band(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Telephone speech in a file of a higher rate: a slice of its own, not a part of the rest."""
    narrow = [h for h in heard if (h.acoustics.bandwidth_hz or NARROW_HZ) < NARROW_HZ and not _is_told(h)]
    found = tuple(
        example(h.utterance, f"sound up to {h.acoustics.bandwidth_hz or 0:.0f} Hz in a {h.header.rate_hz} Hz file")
        for h in narrow
    )
    what = "recordings of telephone band in a file of a higher rate"
    return of_examples(
        AREA, "bandwidth", what, found, "tell it in the manifest (orig_sample_rate) and report it as a slice"
    )


def _is_told(heard: MeasuredRecording) -> bool:
    """True where the file, or the manifest, says that the recording is of 8 kHz."""
    told = dict(heard.utterance.attributes).get("orig_sample_rate", "")
    return heard.header.rate_hz <= 8000 or (told.isdecimal() and int(told) <= 8000)


def noisy(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Signal-to-noise below 10 dB by the estimate of `eval.audit.acoustics.snr_db`."""
    known = sorted((h.acoustics.snr_db, n, h) for n, h in enumerate(heard) if h.acoustics.snr_db is not None)
    found = tuple(example(h.utterance, f"{snr:.0f} dB") for snr, _, h in known if snr < NOISY_DB and h.utterance.text)
    return of_examples(AREA, "noise", "recordings with a signal-to-noise ratio below 10 dB", found)


def quiet(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Loudness below -40 LUFS."""
    known = sorted((h.acoustics.loudness_lufs, n, h) for n, h in enumerate(heard) if h.acoustics.loudness_lufs)
    found = tuple(example(h.utterance, f"{lufs:.0f} LUFS") for lufs, _, h in known if lufs < QUIET_LUFS)
    return of_examples(AREA, "loudness", "recordings quieter than -40 LUFS", found)


def cut_off(heard: Sequence[MeasuredRecording]) -> list[Finding]:
    """Speech in the very first or the very last frames: a word may be missing a part."""

    def told(h: MeasuredRecording) -> str:
        ends = (("beginning", h.acoustics.cut_start), ("end", h.acoustics.cut_end))
        return " and ".join(name for name, cut in ends if cut)

    found = tuple(example(h.utterance, f"at the {note}") for h in heard if (note := told(h)))
    what = "recordings that begin or end in the middle of speech"
    return of_examples(AREA, "cuts", what, found, "leave a tenth of a second before and behind the words")
