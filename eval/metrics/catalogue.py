"""The catalogue of metrics: each defined once, by what is summed or ranked, its name, its unit, which way is better.

`eval.metrics.estimates` turns a metric and scored traces into numbers. The printed table, `asr bench`, the report, the
gate, the sweep and MLflow all read this catalogue. To add a metric, add it to one of the groups below; to show it in
the first table of a report, name it in `eval.report.build.GROUPS` as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.metrics.endpoints import Endpoints
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.turns import Answer, Turn
from eval.metrics.word_errors import Counts

Sums = Callable[[ScoredTrace], Sequence[tuple[float, float]]]
"""Numerator and denominator of a trace, or of each of its segments; empty where the metric does not apply."""
Values = Callable[[ScoredTrace], Sequence[float | None]]
"""The values of a trace that are ranked, such as the delay of each word; None where one is unknown."""

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: either a ratio of sums or a percentile of values.

    Attributes:
        key: Its name in `report.json`, in MLflow and in code.
        title: Its name for readers.
        unit: The unit of the number that is shown.
        what: The definition, as the report prints it.
        sums: For a ratio: what is added up above and below the line.
        values: For a percentile: what is ranked.
        percentile: Which percentile of the values, 0 to 100.
        scale: Factor from the computed number to ``unit``, such as 100 for per cent.
        digits: Decimals that are shown.
        better: "lower", "higher", or "" for neither.
        by_unit: True where words are counted, or characters, by the language: there is no figure over both.
        is_share: True for a share of a whole, which is never above 100 %.
        with_machine: True where the machine's speed is in it, so that it differs between two runs of the same code.
    """

    key: str
    title: str
    unit: str
    what: str
    sums: Sums | None = None
    values: Values | None = None
    percentile: float = 50
    scale: float = 1.0
    digits: int = 2
    better: str = "lower"
    by_unit: bool = False
    with_machine: bool = False
    is_share: bool = False


def _measured(above: Callable[[ScoredTrace], float | None], below: Callable[[ScoredTrace], float | None]) -> Sums:
    """Sums over the traces where both were measured; the others count in neither sum."""

    def sums(scored: ScoredTrace) -> Sequence[tuple[float, float]]:
        pair = above(scored), below(scored)
        return [] if pair[0] is None or pair[1] is None else [(pair[0], pair[1])]

    return sums


def _mean(value: Callable[[ScoredTrace], float | None]) -> Sums:
    """The mean over streamed traces that have a value."""
    return _measured(lambda scored: value(scored) if scored.is_streamed else None, lambda _: 1.0)


def _streamed(sums: Callable[[ScoredTrace], tuple[float, float]]) -> Sums:
    """Sums over streamed traces only."""
    return lambda scored: [sums(scored)] if scored.is_streamed else []


def _streamed_all(sums: Sums) -> Sums:
    """Several sums of each streamed trace."""
    return lambda scored: sums(scored) if scored.is_streamed else []


def _premature(ends: Endpoints) -> Sequence[tuple[float, float]]:
    return [] if ends.premature is None else [(ends.premature, ends.premature + len(ends.delays_s))]


def _percentiles(key: str, title: str, what: str, values: Values, *, wall: bool = True) -> tuple[Metric, ...]:
    """One metric for each of `PERCENTILES`, over streamed traces only; ``wall``: computing is in it."""

    def streamed(scored: ScoredTrace) -> Sequence[float | None]:
        return values(scored) if scored.is_streamed else []

    return tuple(
        Metric(f"{key}_p{p}", f"{title}, p{p}", "s", what, values=streamed, percentile=p, with_machine=wall)
        for p in PERCENTILES
    )


def _turn(answer: Callable[[Turn], Answer | None]) -> Values:
    """The delay of one answer of each turn; None where it came before the end of speech, or never."""

    def values(scored: ScoredTrace) -> Sequence[float | None]:
        found = None if scored.turn is None else answer(scored.turn)
        return [] if found is None else [found.delay_s]

    return values


def _turn_errors(counts: Callable[[ScoredTrace], Counts | None]) -> Sums:
    """The errors of the text of one answer of each turn, and the length of its reference."""

    def sums(scored: ScoredTrace) -> Sequence[tuple[float, float]]:
        found = counts(scored)
        return [] if found is None else [(found.errors, found.reference_length)]

    return sums


def _delays(moment: str, clock: str = "wall") -> Values:
    return lambda scored: [word.delay_s(moment, clock) for word in scored.word_times]


def _share_wrong(
    key: str, title: str, what: str, pair: Callable[[ScoredTrace], tuple[int, int]], *, by_unit: bool = False
) -> Metric:
    """Errors per occurrence, in per cent; a trace without either counts in neither sum."""
    return Metric(key, title, "%", what, lambda s: [pair(s)] if any(pair(s)) else [], scale=100, by_unit=by_unit)


WER = Metric(
    "wer",
    "WER",
    "%",
    "Substitutions, deletions and insertions of a minimal alignment per reference word (character where no spaces are "
    "written), both texts normalised (Radford et al. 2022). Words in recordings without speech are insertions.",
    sums=lambda scored: [(counts.errors, counts.reference_length) for counts in scored.segment_counts],
    scale=100,
    by_unit=True,
)
WER_RAW = Metric(
    "wer_raw",
    "WER as written",
    "%",
    "WER of the texts as written: case and punctuation count.",
    sums=lambda scored: [(scored.raw_counts.errors, scored.raw_counts.reference_length)],
    scale=100,
    by_unit=True,
)
MADE_UP = Metric(
    "made_up",
    "made up",
    "words per minute of non-speech",
    "Words recognised where nothing is said (hallucinations), per minute of recordings with an empty reference.",
    sums=lambda s: [(s.counts.insertions, s.trace.duration_s / 60)] if s.is_silent else [],
    by_unit=True,
)
ACCURACY = (
    WER,
    WER_RAW,
    Metric(
        "cer",
        "CER",
        "%",
        "WER in characters of the normalised texts, without spaces.",
        sums=lambda scored: [(scored.character_counts.errors, scored.character_counts.reference_length)],
        scale=100,
    ),
    MADE_UP,
    Metric(
        "made_up_share",
        "non-speech with words",
        "% of recordings",
        "Recordings without speech for which words were recognised.",
        sums=lambda s: [(float(s.counts.insertions > 0), 1.0)] if s.is_silent else [],
        scale=100,
        is_share=True,
        digits=0,
    ),
    Metric(
        "perfect",
        "perfect recordings",
        "% of recordings",
        "Recordings with speech whose normalised text has no error.",
        sums=lambda s: [] if s.is_silent else [(float(not s.counts.errors), 1.0)],
        scale=100,
        is_share=True,
        digits=1,
        better="higher",
    ),
    _share_wrong(
        "number_wer",
        "numbers wrong",
        "Wrong, missing and inserted digits and other units of numbers, per unit of a number in the reference.",
        lambda s: s.number_errors,
    ),
    _share_wrong(
        "name_wer",
        "proper nouns wrong",
        "Words with a capital inside a sentence of the label that are wrong or missing. Not where labels have one "
        "case, and not in German.",
        lambda s: s.name_errors,
    ),
    _share_wrong(
        "keyword_wer",
        "keywords wrong",
        "Keywords that are missed, and those recognised without being said, per keyword in the reference.",
        lambda s: s.keyword_errors,
    ),
    _share_wrong(
        "made_up_in_speech",
        "made up in speech",
        "Words in runs of three and more insertions in recordings with speech, per reference word.",
        lambda s: s.made_up_in_speech,
        by_unit=True,
    ),
    Metric(
        "loops",
        "recordings with a loop",
        "% of recordings",
        "Recordings whose transcript repeats a phrase three times in a row, a word four times, that the reference does "
        "not repeat.",
        sums=lambda s: [(float(s.has_loop), 1.0)],
        scale=100,
        is_share=True,
        digits=1,
    ),
    _share_wrong(
        "punctuation",
        "punctuation wrong",
        "Missing, inserted and wrong marks behind words, of the places where either text has one (Meister et al. "
        "2023). Only recordings whose label has punctuation.",
        lambda s: s.written_errors.punctuation,
    ),
    _share_wrong(
        "case",
        "capitals wrong",
        "Words recognised with another case than in the label, of the words that both have. Only labels in mixed case.",
        lambda s: s.written_errors.case,
    ),
)

STABLE = _percentiles(
    "stable",
    "shown for good",
    "From a word's end until the word is shown and never changes again. Case and punctuation do not count as a change.",
    _delays("stable"),
)
STABLE_P50, _, STABLE_P95, STABLE_P99 = STABLE
SETTLED = _percentiles(
    "settled",
    "settled",
    "From a word's end until neither it nor any word before it changes again: the text up to it can be copied.",
    _delays("settled"),
)
SETTLED_P50, _, SETTLED_P95, _ = SETTLED
COMMITTED = _percentiles(
    "committed",
    "final",
    "From a word's end until the word is final and cannot change.",
    _delays("committed"),
)
COMMITTED_P50, _, COMMITTED_P95, _ = COMMITTED
SHOWN = _percentiles(
    "shown",
    "first shown",
    "From a word's end until the word is first shown at its place. Negative: guessed before its end.",
    _delays("shown"),
)
FIRST = _percentiles(
    "first",
    "first words, from the onset",
    "From the onset of the first word (of the reference alignment, else of the recording's energy, else as the system "
    "reports it) until any word is shown.",
    lambda scored: [scored.first_shown_s],
)
FIRST_WORD = _percentiles(
    "first_word",
    "first words, from the first word's end",
    "From the end of the first word until any word is shown.",
    lambda scored: [scored.first_word_shown_s],
)
FIRST_WORD_P50, _, FIRST_WORD_P95, _ = FIRST_WORD
STABLE_AUDIO = _percentiles(
    "stable_audio",
    "shown for good, computing left out",
    "The delay until shown for good, on the clock of the audio received.",
    _delays("stable", "audio"),
    wall=False,
)
STABLE_AUDIO_P95 = STABLE_AUDIO[2]
FINALISATION = _percentiles(
    "finalisation",
    "last final after the client's end of stream",
    "From the moment the client ends the stream until the last final with words; 0 when all were final before. Not "
    "TTFS, which counts from the end of speech and leaves out what was final before.",
    lambda scored: [scored.finalisation_s],
)
FINALISATION_P50, _, FINALISATION_P95, _ = FINALISATION
COVERAGE = Metric(
    "coverage",
    "words with a delay",
    "%",
    "Words of the transcript whose end is known. With a reference alignment: those that stand for a word of it, "
    "rightly or not.",
    sums=_streamed(lambda s: (sum(word.end_s is not None for word in s.word_times), len(s.word_times))),
    scale=100,
    is_share=True,
    digits=1,
    better="",
)
REFERENCE_COVERAGE = Metric(
    "reference_coverage",
    "reference words with a delay",
    "%",
    "Words of the reference that were recognised, rightly or not: the others never appear, so they have no delay.",
    sums=_streamed(lambda s: (s.counts.hits + s.counts.substitutions, s.counts.reference_length)),
    scale=100,
    is_share=True,
    digits=1,
    better="higher",
    by_unit=True,
)
DELAY = (
    *FIRST,
    *FIRST_WORD,
    *SHOWN,
    *STABLE,
    *SETTLED,
    *_percentiles(
        "stable_exact",
        "shown for good as written",
        "From a word's end until the word is shown and never changes again. Case and punctuation count as a change.",
        lambda scored: [word.delay_s("stable") for word in scored.exact_word_times],
    ),
    *STABLE_AUDIO,
    *COMMITTED,
    *FINALISATION,
    *_percentiles(
        "endpoint",
        "end of speech detected",
        "From the end of the last word until the end of speech is reported, where the stream went on. With a reference "
        "alignment: of the last reference word, whether it was recognised or not.",
        lambda scored: scored.endpoints.delays_s,
    ),
    Metric(
        "premature_ends",
        "ends reported within a word",
        "% of reported ends",
        "Ends of speech that were reported while a word of the aligned reference was being spoken.",
        sums=_streamed_all(lambda s: _premature(s.endpoints)),
        scale=100,
        is_share=True,
        digits=1,
    ),
    *_percentiles(
        "lag",
        "lag",
        "At each update of the text: audio spoken by then that the update does not cover yet.",
        lambda scored: [lag for lag, _ in scored.lags_s],
    ),
    *_percentiles(
        "lag_audio",
        "lag, computing left out",
        "The lag on the clock of the audio received.",
        lambda scored: [lag for _, lag in scored.lags_s],
        wall=False,
    ),
    Metric(
        "laal",
        "LAAL, computation-aware",
        "s",
        "Length-adaptive average lagging of final words (Papi et al. 2022), mean over recordings. For "
        "recordings of one sentence; long ones have StreamLAAL.",
        sums=_mean(lambda scored: scored.laal_s()),
        with_machine=True,
    ),
    Metric(
        "laal_audio",
        "LAAL",
        "s",
        "LAAL on the clock of the audio received: the cost of waiting alone.",
        sums=_mean(lambda scored: scored.laal_s("audio")),
    ),
    Metric(
        "stream_laal",
        "StreamLAAL, computation-aware",
        "s",
        "LAAL of each reference segment from its own start, the words cut to segments by a minimal alignment (Papi et "
        "al. 2024), mean over segments.",
        sums=_streamed_all(lambda scored: [(lagging_s, 1.0) for lagging_s in scored.stream_laal_s()]),
        with_machine=True,
    ),
    Metric(
        "stream_laal_audio",
        "StreamLAAL",
        "s",
        "StreamLAAL on the clock of the audio received.",
        sums=_streamed_all(lambda scored: [(lagging_s, 1.0) for lagging_s in scored.stream_laal_s("audio")]),
    ),
    COVERAGE,
    REFERENCE_COVERAGE,
)
FIRST_MESSAGE = _percentiles(
    "first_message",
    "turn: first message",
    "From the end of speech (by the recording's energy) until the first message that shows text, final or not. "
    "Recordings of one utterance; where they end with the speech, the client ends the stream there.",
    _turn(lambda turn: turn.first_message),
)
FIRST_FINAL = _percentiles(
    "first_final",
    "turn: first final",
    "From the end of speech until the first final with words.",
    _turn(lambda turn: turn.first_final),
)
TTFS = _percentiles(
    "ttfs",
    "turn: last final (TTFS)",
    "From the end of speech until the last final with words: time to final segment, as Pipecat's benchmark defines it. "
    "A final that came before the end of speech is not counted.",
    _turn(lambda turn: turn.last_final),
)
SPEECH_FINAL = _percentiles(
    "speech_final",
    "turn: end of turn reported",
    "From the end of speech until the first final that ends an utterance (speech_final).",
    _turn(lambda turn: turn.speech_final),
)
WER_FIRST_MESSAGE = Metric(
    "wer_first_message",
    "turn: WER of the first message",
    "%",
    "WER of the text that a client has at the first message after the end of speech.",
    sums=_turn_errors(lambda scored: scored.first_message_counts),
    scale=100,
    by_unit=True,
)
WER_FIRST_FINAL = Metric(
    "wer_first_final",
    "turn: WER of the first final",
    "%",
    "WER of the text that a client has at the first final after the end of speech.",
    sums=_turn_errors(lambda scored: scored.first_final_counts),
    scale=100,
    by_unit=True,
)
CUT_TURNS = Metric(
    "cut_turns",
    "turns cut in two",
    "% of turns",
    "Turns that the system ended before the speaker did: an end of utterance before the end of speech, or words after "
    "one.",
    sums=lambda scored: [] if scored.turn is None else [(float(scored.turn.cut), 1.0)],
    scale=100,
    is_share=True,
    digits=1,
)
TURNS = (*TTFS, *FIRST_FINAL, WER_FIRST_FINAL, *FIRST_MESSAGE, WER_FIRST_MESSAGE, *SPEECH_FINAL, CUT_TURNS)

STABILITY = (
    Metric(
        "changed",
        "taken back, by place",
        "% of shown words",
        "Shown words at whose place another word, or none, stood later: a word put in front changes all behind it.",
        sums=_streamed(lambda scored: (scored.stability.changed, scored.stability.shown)),
        scale=100,
        digits=1,
        by_unit=True,
    ),
    Metric(
        "flicker",
        "flicker, by place",
        "changes per s",
        "Shown words at whose place another word, or none, stood later, per second of audio.",
        sums=_streamed(lambda scored: (scored.stability.changed, scored.trace.duration_s)),
        by_unit=True,
    ),
    Metric(
        "changed_aligned",
        "taken back, by alignment",
        "% of shown words",
        "Shown words that changed or vanished later, by a minimal alignment of each display with the one before: a "
        "word put in front moves those behind it and changes none.",
        sums=_streamed(lambda scored: (scored.stability.changed_aligned, scored.stability.shown_aligned)),
        scale=100,
        digits=1,
        by_unit=True,
    ),
    Metric(
        "flicker_aligned",
        "flicker, by alignment",
        "changes per s",
        "Shown words that changed or vanished later, by alignment, per second of audio.",
        sums=_streamed(lambda scored: (scored.stability.changed_aligned, scored.trace.duration_s)),
        by_unit=True,
    ),
    Metric(
        "unstable",
        "unstable words",
        "per final word",
        "Changed words per word of the final transcript (Shangguan et al. 2020: unstable partial word ratio).",
        sums=_streamed(lambda scored: (scored.stability.changed, scored.stability.final)),
        by_unit=True,
    ),
)

CPU = Metric(
    "cpu",
    "CPU",
    "CPU-s per audio-s",
    "CPU time of the recognising process, all threads, per second of audio.",
    sums=_measured(lambda scored: scored.trace.cpu_s, lambda scored: scored.trace.duration_s),
    digits=3,
    with_machine=True,
)
RTFX = Metric(
    "rtfx",
    "RTFx",
    "times real time",
    "Seconds of audio per second of work, in process.",
    sums=_measured(lambda s: None if s.trace.busy_s is None else s.trace.duration_s, lambda s: s.trace.busy_s),
    digits=1,
    better="higher",
    with_machine=True,
)

METRICS: tuple[Metric, ...] = (*ACCURACY, *DELAY, *TURNS, *STABILITY, CPU, RTFX)
BY_KEY = {metric.key: metric for metric in METRICS}
