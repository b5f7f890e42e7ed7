"""`asr eval score`: transcripts that another system wrote become a run, for reports beside runs of ours."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.errors import ConfigError
from asr.events import Ended, Final, Word
from asr.normalisation.normalise import is_by_character
from eval.data.hypotheses import Piece, by_utterance, read_transcripts
from eval.data.types import Recording, Utterance
from eval.progress import progress
from eval.report.command import ReportOptions, compare
from eval.report.terminal import print_summary
from eval.runs.folder import open_folder
from eval.runs.replay import trace_of
from eval.runs.runner import TraceCollector, read_recordings
from eval.runs.setup import load_datasets, sign_run, utterances_of
from eval.runs.signature import Model
from eval.trace import OFFLINE, Entry, Trace, read_traces

EMPTY, LEAVE_OUT = "empty", "leave-out"
MISSING = ("", EMPTY, LEAVE_OUT)


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What the command line asked for; ``missing`` is one of `MISSING`."""

    transcripts: tuple[Path, ...]
    data: tuple[Path, ...]
    out: Path
    name: str
    limit: int | None
    missing: str


def score(options: ScoreOptions, report_options: ReportOptions) -> None:
    """Writes the run's folder and its report.

    Raises `ConfigError` for files that cannot be read, and for recordings without a transcript unless `missing` says
    what they mean: leaving them out quietly would let a system win by not answering.
    """
    if options.missing not in MISSING:
        raise ConfigError(f"found --missing {options.missing!r}, wanted {EMPTY} or {LEAVE_OUT}")
    datasets = load_datasets(options.data, limit=options.limit)
    utterances = utterances_of(datasets)
    pieces, unknown = _pieces(options.transcripts, utterances)
    lacking = [u for u in utterances if (u.dataset, u.id) not in pieces]
    if lacking and not options.missing:
        raise ConfigError(
            f"found no transcript of {len(lacking)} of {len(utterances)} recordings (the first: {lacking[0].id}); "
            f"say --missing {EMPTY} where nothing was recognised, or --missing {LEAVE_OUT}"
        )
    model = Model(options.name or options.transcripts[0].stem, _sha256(options.transcripts))
    signature = sign_run(datasets, model, None, {"limit": options.limit, "missing": options.missing})
    folder = open_folder(options.out, signature, ())
    done = list(read_traces(folder.traces)) if folder.traces.exists() else []
    with progress(f"score {model.name}", sum(u.duration_s for u in utterances)) as bar:
        collector = TraceCollector(bar, folder.traces, done)
        due = [u for u in utterances if collector.lacks(u, OFFLINE, model.name)]
        taken = due if options.missing != LEAVE_OUT else [u for u in due if u not in set(lacking)]
        for recording in read_recordings(taken, collector):
            utterance = recording.utterance
            collector.add(_trace(recording, pieces.get((utterance.dataset, utterance.id), ()), model))
        for name in unknown:
            bar.say(f"left out: the transcript of {name}, which is no recording of the data")
        folder.left_out += [str(problem) for problem in collector.problems]
        folder.left_out += [f"{u.dataset}/{u.id}: no transcript" for u in lacking if options.missing == LEAVE_OUT]
        folder.left_out += [f"{name}: a transcript of no recording" for name in unknown]
        folder.write()
    collector.check()
    print_summary(collector.traces, signature)
    compare([options.out], options.out, report_options)


def _pieces(
    paths: Sequence[Path], utterances: Sequence[Utterance]
) -> tuple[dict[tuple[str, str], tuple[Piece, ...]], list[str]]:
    pieces: dict[tuple[str, str], tuple[Piece, ...]] = {}
    unknown: list[str] = []
    for path in paths:
        found, others = by_utterance(read_transcripts(path, utterances), utterances)
        twice = next((key for key in found if key in pieces), None)
        if twice is not None:
            raise ConfigError(f"found two transcripts of {'/'.join(twice)}, wanted one")
        pieces |= found
        unknown += others
    if not pieces:
        raise ConfigError(f"no transcript in {', '.join(map(str, paths))} is of a recording in the data")
    return pieces, unknown


def _trace(recording: Recording, pieces: Sequence[Piece], model: Model) -> Trace:
    words = tuple(_words(recording, pieces))
    final = Final(words, 0.0, recording.duration_s, recording.utterance.language, ends_utterance=True)
    entries = [Entry(event, recording.duration_s, 0.0) for event in (final, Ended(recording.duration_s))]
    return replace(trace_of(recording, OFFLINE, model.name, entries, 0.0), weights_sha256=model.weights_sha256)


def _words(recording: Recording, pieces: Sequence[Piece]) -> list[Word]:
    """The words with a space before each; a piece of several words shares its time between them."""
    language = recording.utterance.language
    words: list[Word] = []
    for piece in pieces:
        texts = [piece.text] if is_by_character(language) else piece.text.split()
        start_s = piece.start_s or 0.0
        each_s = ((recording.duration_s if piece.end_s is None else piece.end_s) - start_s) / max(1, len(texts))
        for i, text in enumerate(texts):
            space = "" if is_by_character(language) else " "
            words.append(Word(space + text, start_s + i * each_s, start_s + (i + 1) * each_s, 1.0))
    return words


def _sha256(paths: Sequence[Path]) -> str:
    """Hash of the transcripts in the files, in the place of the hash of a model's weights."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.glob("*.txt")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()
