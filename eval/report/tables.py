"""Everything that a report shows, as one dataclass: written to `report.json` and given to the page templates."""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.metrics.resampling import Interval
from eval.metrics.summary import StreamedLoss, Summary
from eval.report.capacity_plan import Level, Plan, Wanted
from eval.report.parts import PartComparison
from eval.report.slices import ChangedConfusion, Confusion, Slice
from eval.report.systems import Comparison
from eval.report.verdict import Verdict
from eval.runs.folder import UnsupportedLanguage
from eval.runs.signature import Signature


@dataclass(frozen=True, slots=True)
class SystemHead:
    """A system without its results; ``colour`` is its colour in every picture."""

    name: str
    model: str
    run: str
    mode: str
    colour: str


@dataclass(frozen=True, slots=True)
class EditCounts:
    """Summed edits of a system on the common recordings, in words or in characters."""

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int


@dataclass(frozen=True, slots=True)
class SystemFigures(SystemHead):
    """A system on the recordings that all systems have.

    Attributes:
        utterances: Number of recordings.
        unit: The scoring unit: words, characters or both.
        repeats: How often everything was run. Costs and delays with computing are of all repeats.
        figures: Every metric with its interval, by key.
        measured: How many values each percentile ranks, by key; None for a metric that is none.
        peak_memory_bytes: The largest resident memory; None where not measured.
        counts: Summed edits; None where some are of words and some of characters.
    """

    utterances: int
    unit: str
    repeats: int
    figures: Mapping[str, Interval]
    measured: Mapping[str, int | None]
    peak_memory_bytes: int | None
    counts: EditCounts | None


@dataclass(frozen=True, slots=True)
class Common:
    """The recordings that all systems have.

    Attributes:
        utterances: Number of recordings.
        minutes: Their length.
        note: What the intervals resample, in words.
        has_too_few_speakers: True where there is no interval for that reason.
    """

    utterances: int
    minutes: float
    note: str
    has_too_few_speakers: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric as a reader needs it, see `eval.metrics.catalogue.Metric`."""

    key: str
    title: str
    unit: str
    what: str
    digits: int


@dataclass(frozen=True, slots=True)
class FigureCell:
    """One system's value ``found`` in the first table; ``best``: better than all others of its mode, beyond chance.

    ``count`` is the number of values that a percentile ranks; None for another metric.
    """

    found: Interval
    best: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class FigureRow(Definition):
    """One metric in the first table, with a cell for each system."""

    cells: tuple[FigureCell, ...]


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """The metrics of one subject in the first table."""

    name: str
    rows: tuple[FigureRow, ...]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """Row against column, in points of WER.

    Attributes:
        value: WER of the row minus WER of the column.
        interval: Its 95 % interval, in words.
        p: The p-value adjusted for all pairs, in words.
        check: The second test, in words.
        smallest: The smallest difference that this data could show.
        utterances: Number of common recordings.
        mark: "better" or "worse" for the row where the difference is beyond chance, else "".
    """

    value: float
    interval: str
    p: str
    check: str
    smallest: float | None
    utterances: int
    mark: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One system against every other; None on the diagonal and where there is nothing to compare."""

    name: str
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The comparison of all systems of one mode with each other."""

    names: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True)
class DatasetCell:
    """One system's WER ``found`` on one data set; ``why`` is shown where there is none."""

    found: Interval | None
    why: str


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One data set with a cell for each system; ``has_too_few_speakers`` is why there are no intervals."""

    name: str
    utterances: int
    words: int | None
    cells: tuple[DatasetCell, ...]
    has_too_few_speakers: bool


@dataclass(frozen=True, slots=True)
class DatasetTable:
    """WER on all recordings of each data set that each system ran."""

    rows: tuple[DatasetRow, ...]


@dataclass(frozen=True, slots=True)
class SystemConfusions:
    """The commonest confusions of one system."""

    system: SystemHead
    rows: tuple[Confusion, ...]


@dataclass(frozen=True, slots=True)
class ChangedSide:
    """Confusions that ``worse`` has more often than ``better``."""

    worse: str
    better: str
    rows: tuple[ChangedConfusion, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What differs between the first two systems of a mode, recording by recording.

    Attributes:
        mode: The mode of both.
        left: Name of the first system.
        right: Name of the second system.
        utterances: Number of common recordings.
        left_better: Recordings in which left has fewer errors.
        right_better: Recordings in which right has fewer errors.
        same: Recordings in which both have as many errors.
        sides: The confusions of each that the other has less often.
    """

    mode: str
    left: str
    right: str
    utterances: int
    left_better: int
    right_better: int
    same: int
    sides: tuple[ChangedSide, ...]


@dataclass(frozen=True, slots=True)
class DataRow:
    """One data set as it was used.

    Attributes:
        name: Its name.
        utterances: Number of recordings that any system ran.
        minutes: Their length.
        median_s: Median length of a recording.
        longest_s: Length of the longest.
        speakers: Number of known speakers.
        silent: Recordings with an empty reference.
        languages: Language codes.
        attributes: Names of the attributes that slices are made of.
    """

    name: str
    utterances: int
    minutes: float
    median_s: float
    longest_s: float
    speakers: int
    silent: int
    languages: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedStream:
    """A stream that broke, and why."""

    utterance: str
    mode: str
    model: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSignature(Signature):
    """The signature of one run, by the run's name."""

    run: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report holds. Its fields are the keys of `report.json`.

    Attributes:
        runs: Names of the runs.
        verdict: What the figures say, in sentences.
        common: The recordings that all systems have.
        timed: True where a system was streamed, so that there are delays.
        end_source: Where the ends of words come from, from which delays are counted.
        coverage: How many words have a known end, as a sentence.
        systems: Every system on the common recordings, with all metrics.
        table: The first table, by subject.
        measures: The definition of every metric that has a value.
        comparisons: Each two systems of one mode.
        matrices: The comparisons of each mode as a matrix.
        all_systems: Every system, also one without a recording in common.
        datasets: WER by data set.
        dataset_figures: Every metric by model, data set and mode, without intervals: the table on the terminal.
        streamed: What each model loses by streaming, by data set.
        slices: WER on parts of the common recordings.
        set_comparisons: Each two systems of one mode on each data set, corrected for sets and pairs.
        slice_comparisons: Each two systems of the mode nearest to real use on each slice, corrected for all of them.
        levels: The measured capacity.
        plans: What each model needs for the wanted number of streams.
        wanted: What the plans are made for.
        confusions: The commonest confusions of each system.
        changed: What differs between the first two systems; None where there are no two.
        data: The data sets.
        compared_texts: Each language, and by which rules its texts are compared.
        scored_by: The normaliser of this report; that of a run's signature may be older.
        left_out: Recordings and lines that could not be used.
        not_taken: Recordings in languages that a model does not take.
        failed: Streams that broke.
        signature: What the first run was made with.
        signatures: What each run was made with.
        resamples: Number of half-samples behind a comparison.
        seed: Their seed.
    """

    runs: tuple[str, ...]
    verdict: Verdict
    common: Common
    timed: bool
    end_source: str
    coverage: str
    systems: tuple[SystemFigures, ...]
    table: tuple[FigureGroup, ...]
    measures: tuple[Definition, ...]
    comparisons: tuple[Comparison, ...]
    matrices: tuple[tuple[str, Matrix], ...]
    all_systems: tuple[SystemHead, ...]
    datasets: DatasetTable
    dataset_figures: tuple[Summary, ...]
    streamed: tuple[StreamedLoss, ...]
    slices: tuple[Slice, ...]
    set_comparisons: tuple[PartComparison, ...]
    slice_comparisons: tuple[PartComparison, ...]
    levels: tuple[Level, ...]
    plans: tuple[Plan, ...]
    wanted: Wanted
    confusions: tuple[SystemConfusions, ...]
    changed: Changed | None
    data: tuple[DataRow, ...]
    compared_texts: tuple[tuple[str, str], ...]
    scored_by: str
    left_out: tuple[str, ...]
    not_taken: tuple[UnsupportedLanguage, ...]
    failed: tuple[FailedStream, ...]
    signature: Signature
    signatures: tuple[RunSignature, ...]
    resamples: int
    seed: int
