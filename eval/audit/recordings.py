"""Decodes and measures each recording once, and finds suspicious ones."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from asr.audio.files import Header, header
from asr.errors import AudioError
from asr.normalisation.normalise import base_language, normalise
from eval.audit.acoustics import Acoustics, Vad, measure
from eval.audit.findings import Example, Finding, example, grouped, of_examples, of_groups
from eval.audit.fingerprints import fingerprint, near_copies
from eval.data.dataset import read
from eval.data.types import Problem, Utterance, unreadable

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
"""A file suffix -> the containers it may hold."""

CLIPPED_SHARE = 0.001
NARROW_HZ = 4_500.0
"""8 kHz speech ends at 4 kHz, and with the skirt of a resampler at 4406 Hz; a codec's noise may lie there too. Of 180
recordings of wide band all but one reach 4531 Hz."""
NOISY_DB = 10.0
QUIET_LUFS = -40.0
NO_SPEECH_S, MUCH_SPEECH_SHARE = 0.1, 0.3
RELIABLE_S = 1.0
"""Voice activity is unreliable on shorter recordings: it missed 225 of 1800 spoken digits of half a second."""
SILENT_DBFS = -60.0
"""A recording whose peak is lower is silent, however short it is."""
PACE_DEVIATIONS = 4.0
"""Outliers are further than this from the median, in robust deviations (1.4826 times the median absolute deviation)."""
CUT_PACE_DEVIATIONS = 2.5
"""The same for a recording that begins or ends in the middle of speech, with a label that is too long: truncated."""
SAME_LENGTH_SHARE = 0.9
"""Copies that overlap by this share of the longer one must have one text; a part of a recording has a part of it."""
MIN_PACES = 10
"""Recordings of a language needed to search for outliers."""
DURATION_S, DURATION_SHARE = 0.25, 0.05
"""Allowed error of a manifest's duration: the larger of the two."""


@dataclass(frozen=True, slots=True)
class MeasuredRecording:
    """One utterance, decoded and measured. ``header`` is that of its first clip's file.

    ``fingerprint``: see `eval.audit.fingerprints`; empty where none was taken.
    """

    utterance: Utterance
    header: Header
    acoustics: Acoustics
    fingerprint: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint32), repr=False, compare=False)

    @property
    def pace(self) -> float | None:
        """Characters of the label, without spaces, per second of speech; None without text or speech."""
        characters = len("".join(self.utterance.text.split()))
        return characters / self.acoustics.speech_s if characters and self.acoustics.speech_s >= NO_SPEECH_S else None


Recordings = Sequence[MeasuredRecording]


def measure_recordings(utterances: Iterable[Utterance], vad: Vad) -> Iterator[MeasuredRecording | Problem]:
    """Measures each utterance, one recording in memory at a time; what cannot be decoded becomes a problem."""
    for utterance in utterances:
        try:
            samples = read(utterance).samples
            about = header(utterance.clips[0].audio)
            yield MeasuredRecording(utterance, about, measure(samples, vad), fingerprint(samples))
        except AudioError as error:
            yield unreadable(utterance, error)


def recording_findings(recordings: Recordings) -> list[Finding]:
    """All findings of this module."""
    finders: tuple[Callable[[Recordings], list[Finding]], ...] = (
        contradictory_texts,
        repeated_recordings,
        similar_recordings,
        without_speech,
        without_label,
        pace_outliers,
        wrong_durations,
        wrong_suffixes,
        clipped,
        narrow_band,
        noisy,
        quiet,
        cut_off,
    )
    return [finding for finder in finders for finding in finder(recordings)]


def contradictory_texts(recordings: Recordings) -> list[Finding]:
    """The same samples with different labels: at least one label is wrong."""
    written = ((r.acoustics.sound_sha256, r.utterance.text or "(empty)", r.utterance) for r in recordings)
    groups = grouped(written, "listen, and keep one label")
    what = "recordings with several texts"
    return of_groups("labels", "same audio, different texts", what, groups, grave=True)


def repeated_recordings(recordings: Recordings) -> list[Finding]:
    """The same samples with the same label several times in a set: they count double."""
    same: dict[tuple[str, str, str], list[Utterance]] = defaultdict(list)
    for r in recordings:
        same[r.utterance.dataset, r.acoustics.sound_sha256, r.utterance.text].append(r.utterance)
    repeated = [utterances for utterances in same.values() if len(utterances) > 1]
    examples = tuple(example(u[0], "also " + ", ".join(other.id for other in u[1:4])) for u in repeated)
    return of_examples(AREA, "same recording twice", "recordings that a set contains twice", examples, "keep one")


def similar_recordings(recordings: Recordings) -> list[Finding]:
    """The same sound in files that differ: another encoding, gain or cut. Equal samples are found by their hash.

    Grave where a copy is in another set, or has another text.
    """
    findings: dict[bool, list[Example]] = {True: [], False: []}
    for pair in near_copies([r.fingerprint for r in recordings]):
        a, b = recordings[pair.left], recordings[pair.right]
        if a.acoustics.sound_sha256 == b.acoustics.sound_sha256:
            continue
        texts = (normalise(r.utterance.text, a.utterance.language) for r in (a, b))
        contradict = len(set(texts)) > 1 and pair.overlap_s >= SAME_LENGTH_SHARE * max(_lengths_s(a, b))
        note = f"{pair.overlap_s:.1f} s of it also in {b.utterance.dataset}/{b.utterance.id}"
        note += f", with another text: {b.utterance.text[:60]}" if contradict else ""
        findings[contradict or a.utterance.dataset != b.utterance.dataset].append(example(a.utterance, note))
    what = "recordings that are copies of others in another encoding, gain or cut"
    worse, rule = f"{what}, in another set or with another text", "keep one"
    return [
        *of_examples(AREA, "similar recordings", worse, tuple(findings[True]), rule, grave=True),
        *of_examples(AREA, "similar recordings", what, tuple(findings[False]), rule),
    ]


def _lengths_s(*recordings: MeasuredRecording) -> list[float]:
    return [r.acoustics.duration_s for r in recordings]


def without_speech(recordings: Recordings) -> list[Finding]:
    """Labelled recordings that are silent or in which voice activity detection finds no speech."""

    def is_silent(acoustics: Acoustics) -> bool:
        no_speech = acoustics.duration_s >= RELIABLE_S and acoustics.speech_s < NO_SPEECH_S
        return no_speech or acoustics.peak_dbfs is None or acoustics.peak_dbfs < SILENT_DBFS

    odd = [r for r in recordings if r.utterance.text.strip() and is_silent(r.acoustics)]
    examples = tuple(example(r.utterance, f"{r.acoustics.speech_s:.2f} s of speech found") for r in odd)
    what = "labelled recordings without speech"
    return of_examples(AREA, "text without speech", what, examples, "listen", grave=True)


def without_label(recordings: Recordings) -> list[Finding]:
    """Speech with an empty label: every recognised word counts as an insertion."""
    odd = [r for r in recordings if not r.utterance.text.strip() and r.acoustics.speech_share > MUCH_SPEECH_SHARE]
    examples = tuple(example(r.utterance, f"{r.acoustics.speech_s:.1f} s of speech found") for r in odd)
    what = "recordings of speech without a text"
    return of_examples(AREA, "speech without text", what, examples, "label", grave=True)


def pace_outliers(recordings: Recordings) -> list[Finding]:
    """Labels too long or too short for their speech: cut recordings, missing words, the wrong label."""
    by_language: dict[str, list[MeasuredRecording]] = defaultdict(list)
    for r in recordings:
        if r.pace is not None and r.acoustics.duration_s >= RELIABLE_S:
            by_language[base_language(r.utterance.language)].append(r)
    examples = tuple(one for same in by_language.values() for one in _outliers(same))
    what = "labels that are too long or too short for their speech"
    return of_examples(AREA, "characters per second", what, examples, "listen: does the label match, word for word?")


def _outliers(recordings: Recordings) -> list[Example]:
    """The outliers among recordings of one language, the furthest first."""
    paces = [r.pace or 0.0 for r in recordings]
    middle = median(paces)
    spread = 1.4826 * median(abs(pace - middle) for pace in paces)
    if len(paces) < MIN_PACES or not spread:
        return []
    odd = [(abs(pace - middle) / spread, pace, r) for pace, r in zip(paces, recordings, strict=True)]
    odd = sorted((one for one in odd if one[0] > _limit(one[2], one[1] > middle)), key=lambda one: -one[0])
    return [example(r.utterance, f"{pace:.1f} characters/s, usual {middle:.1f}") for _, pace, r in odd]


def _limit(recording: MeasuredRecording, is_long: bool) -> float:
    """How far the pace may be from the median, in robust deviations."""
    is_cut = recording.acoustics.cut_start or recording.acoustics.cut_end
    return CUT_PACE_DEVIATIONS if is_cut and is_long else PACE_DEVIATIONS


def wrong_durations(recordings: Recordings) -> list[Finding]:
    """Recordings shorter or longer than the manifest says: cut, padded, or another file."""

    def differs(listed_s: float, actual_s: float) -> bool:
        return abs(listed_s - actual_s) > max(DURATION_S, DURATION_SHARE * listed_s)

    odd = [r for r in recordings if differs(r.utterance.duration_s, r.acoustics.duration_s)]
    examples = tuple(
        example(r.utterance, f"manifest {r.utterance.duration_s:.2f} s, recording {r.acoustics.duration_s:.2f} s")
        for r in odd
    )
    what = "recordings with another duration than the manifest says"
    return of_examples(AREA, "duration", what, examples, "compare the files")


def wrong_suffixes(recordings: Recordings) -> list[Finding]:
    """Files with the suffix of another format: we read them by their content, stricter readers refuse them."""

    def wrong(r: MeasuredRecording) -> Example | None:
        suffix = r.utterance.clips[0].audio.suffix.lower()
        fits = r.header.container in CONTAINERS.get(suffix, (r.header.container,))
        return None if fits else example(r.utterance, f"named {suffix}, holds {r.header.container} ({r.header.codec})")

    examples = tuple(one for one in map(wrong, recordings) if one)
    return of_examples(AREA, "mislabelled files", "files that are not what their suffix says", examples, "rename them")


def clipped(recordings: Recordings) -> list[Finding]:
    """More than a thousandth of the samples at full scale."""
    odd = sorted(recordings, key=lambda r: -r.acoustics.clipped_share)
    examples = tuple(
        example(r.utterance, f"{100 * r.acoustics.clipped_share:.2f} % of samples at full scale")
        for r in odd
        if r.acoustics.clipped_share > CLIPPED_SHARE
    )
    return of_examples(AREA, "clipping", "clipped recordings", examples)


def narrow_band(recordings: Recordings) -> list[Finding]:
    """Telephone speech in a file of a higher sample rate, unless the manifest says so: it should be a slice."""
    narrow = [r for r in recordings if (r.acoustics.bandwidth_hz or NARROW_HZ) < NARROW_HZ and not _is_declared(r)]
    examples = tuple(
        example(r.utterance, f"sound up to {r.acoustics.bandwidth_hz or 0:.0f} Hz in a {r.header.rate_hz} Hz file")
        for r in narrow
    )
    what = "telephone-band recordings in a file of a higher sample rate"
    rule = "add orig_sample_rate to the manifest and report them as a slice"
    return of_examples(AREA, "bandwidth", what, examples, rule)


def _is_declared(recording: MeasuredRecording) -> bool:
    """True if the file's header or the manifest says that the recording was made at 8 kHz."""
    original_hz = dict(recording.utterance.attributes).get("orig_sample_rate", "")
    return recording.header.rate_hz <= 8000 or (original_hz.isdecimal() and int(original_hz) <= 8000)


def noisy(recordings: Recordings) -> list[Finding]:
    """Signal-to-noise ratio below 10 dB, by the estimate of `eval.audit.acoustics.snr_db`."""
    ratios = sorted((r.acoustics.snr_db, n, r) for n, r in enumerate(recordings) if r.acoustics.snr_db is not None)
    odd = [(snr_db, r) for snr_db, _, r in ratios if snr_db < NOISY_DB and r.utterance.text]
    examples = tuple(example(r.utterance, f"{snr_db:.0f} dB") for snr_db, r in odd)
    return of_examples(AREA, "noise", "recordings with a signal-to-noise ratio below 10 dB", examples)


def quiet(recordings: Recordings) -> list[Finding]:
    """Finds recordings with a loudness below -40 LUFS."""
    loudness = sorted((r.acoustics.loudness_lufs, n, r) for n, r in enumerate(recordings) if r.acoustics.loudness_lufs)
    examples = tuple(example(r.utterance, f"{lufs:.0f} LUFS") for lufs, _, r in loudness if lufs < QUIET_LUFS)
    return of_examples(AREA, "loudness", "recordings quieter than -40 LUFS", examples)


def cut_off(recordings: Recordings) -> list[Finding]:
    """Speech in the very first or very last frames: part of a word may be missing."""

    def where(r: MeasuredRecording) -> str:
        ends = (("beginning", r.acoustics.cut_start), ("end", r.acoustics.cut_end))
        return " and ".join(name for name, cut in ends if cut)

    examples = tuple(example(r.utterance, f"at the {ends}") for r in recordings if (ends := where(r)))
    what = "recordings that begin or end in the middle of speech"
    return of_examples(AREA, "cuts", what, examples, "leave 0.1 s of silence before and after the words")
