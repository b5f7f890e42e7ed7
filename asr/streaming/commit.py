"""When is a word final? Everything that decides it is in this file, and this file does nothing else.

One decoded window goes in, one decision comes out. No function here touches audio, calls a model, emits an event or
changes its arguments. `asr.streaming.session` carries the decisions out; `asr.streaming.schedule` says when an
utterance ends and when a window is due.

The question
------------
While an utterance is spoken, its audio is decoded again and again, in a *window* that grows at its end. The *prefix* is
the committed words whose audio is still in the window; the model receives them and continues them. The words that it
writes after them are the *hypothesis*. The last accepted hypothesis is the *tail*, which the user sees as a partial. To
*commit* a word is to move it from the tail to the prefix, with the promise that it never changes again.

Why hypotheses change: Whisper attends to the whole window, so audio that arrives later can change any word, most of all
the last ones, which the window's end may cut off. Whisper also fails in two ways of its own: it ends its text early, or
it writes nothing more after a complete sentence. A CTC model with limited context, in contrast, knows which of its
words can still change. Hence two policies of one contract (`CommitPolicy`). A recogniser names its own with `Finality`.

Rules of `AgreementPolicy`, for models whose words can all change (Whisper)
--------------------------------------------------------------------------
* **Agreement.** Commit a word when two successive hypotheses agree on it and on every word before it (local agreement:
  Liu et al. 2020; Macháček et al. 2023, "Turning Whisper into Real-Time Transcription System").
* **Holdback.** Two hypotheses often make the same mistake about the newest words. A word must also end at least
  `holdback_ms` before the window's end; `unsure_holdback_ms` if its confidence is below `sure`.
* **Held words.** What two hypotheses disagree on is often as good as a coin toss ("Neild", "Neald"), and the model
  can toss it again with each window. So a word of the last hypothesis that ended `hold_s` before the window's end
  changes only if the model finds another clearly more probable (`DecodeSettings.hold_nats`). The last window holds
  nothing.
* **Long windows.** In a window longer than `long_window_s` old words are held and both holdbacks are shorter
  (`long_holdback_ms`, `long_unsure_holdback_ms`): hypotheses agree sooner, words rest and become final sooner. A short
  window mostly is the whole utterance, and its last hypothesis, which knows the end of the sentence, is worth waiting
  for: there the same costs half a point of WER.
* **Collapsed hypothesis.** Now and then Whisper ends its text in the middle of speech, and writes all of it an update
  later. So a hypothesis that ends more than `collapse_s` before the tail is doubted: the tail stays as it is. (One
  without words ends where the committed words end.) After `MAX_DOUBTS` doubted hypotheses in a row the next one is
  accepted; after `MAX_EMPTY_DOUBTS` one without words is.
* **Stalled decoder.** Whisper tends to stop at the end of a sentence. If the prefix ends with that sentence, it writes
  nothing, however long the speech goes on. After more than `stall_s` of such speech the window restarts behind the
  prefix.
* **Restart place.** The model's end time of the last word is unreliable: it may include the speech that was left out.
  So the window restarts where speech is least probable, 0.16 to 1.22 s after the *start* of the last committed word.
* **Gap.** Whisper also jumps over speech in the middle of a window, above all where the language changes. Where more
  than `gap_s` of speech has no word (`asr.streaming.unread`), words behind it are not committed. If the next hypothesis
  has the same gap with words behind it, or if none follows, the words before it are committed, and a new window begins
  in the gap, where the language is detected again. A gap at the window's start is decoded alone. Each gap is decoded
  once, and its words must be sure.
* **Shortening.** Beyond `window_soft_s` the window drops its oldest committed words (`_dropped_words`). At least
  `overlap_s` of committed speech stays, and the decoder continues it: an inexact cut then neither loses nor repeats a
  word.

Rule of `SettledPolicy`, for models that know which words can change (CTC)
--------------------------------------------------------------------------
* **Settled.** Commit exactly the words that the model reports as settled (`Hypothesis.settled`). The window begins
  behind the samples that it reports as released, so it stays short without rules of its own.

Rules of both
-------------
* **Language.** A hypothesis that ends where another language begins (`Hypothesis.read_s`) cuts the window there.
* **Longest window.** A window cannot exceed `window_max_s` (`window_end`). It is cut at a pause near its end and all of
  its words are committed: no later window sees their audio.
* **Last window.** At the end of an utterance, or on a finalize request, all words are committed.
* **Flush.** After a pause of `speech_final_ms` all words are committed and the window goes on if speech does. A policy
  that cannot continue words which it did not settle (`CommitPolicy.resumes`) begins a new window. A decoder that
  writes nothing behind a flush stalls already after `FLUSHED_STALL_S`, and restarts in the pause.
* **Silence and noise.** A window of a new utterance without speech, or without a frame that is surely speech, is not
  decoded (`is_worth_decoding`): silence and noise make models invent words. After a finalize request the rest of an
  utterance can be silence.
* **Committed times.** No word begins before the end of the last committed word (`in_stream_time`).
* **Written words.** A piece is a word as it is written: what stands between two spaces, or a character of a script
  without spaces. Words are committed whole, and no final continues the last word of the final before it: a word that
  would is written apart, without the marks before it (`beginning_a_word`). The model may change its mind about the end
  of a committed word, and a window or an utterance may begin in the middle of one.
* **Known times.** Word times of old committed words are not computed again (`words_with_known_times`).

The decisions
-------------
The first row that applies decides:

| `AgreementPolicy`                                                              | decision                    |
|--------------------------------------------------------------------------------|-----------------------------|
| the window was cut at its maximum length, and has a gap                        | `Cut` or `Shrink` to it     |
| the window was cut at its maximum length                                       | `Cut` at the window's end   |
| prefix, no tail, no new word, more than `stall_s` of speech since last decoded | `Restart` after the prefix  |
| a gap, in the last window or as in the hypothesis before                       | `Cut` or `Shrink` to it     |
| last window of the utterance                                                   | `Finish`                    |
| ends more than `collapse_s` before the tail, and few doubts in a row so far    | `Wait`                      |
| otherwise                                                                      | `Commit` what is agreed on, |
|                                                                                | at most up to a gap         |

| `SettledPolicy`                                                                | decision                    |
|--------------------------------------------------------------------------------|-----------------------------|
| the window was cut at its maximum length                                       | `Cut` at the window's end   |
| last window of the utterance                                                   | `Finish`                    |
| otherwise                                                                      | `Commit` what is settled    |

What each decision does to the state of the utterance (`asr.streaming.utterance.Utterance`):

| decision             | committed | prefix               | tail      | doubts | window_start    | schedule entry |
|----------------------|-----------|----------------------|-----------|--------|-----------------|----------------|
| `Cut(at)`            | all words | empty, new utterance | empty     | 0      | `at`            | decoded again  |
| `Cut(at, n)`         | n words   | empty, new utterance | empty     | 0      | `at`            | decoded again  |
| `Shrink(to)`         | nothing   | empty, new utterance | empty     | 0      | same            | decoded again  |
| `Restart(at)`        | nothing   | empty, new utterance | empty     | 0      | `at`            | decoded again  |
| `Finish()`           | all words | no utterance         |           |        |                 | done           |
| `Wait()`             | nothing   | same                 | same      | + 1    | same            | done           |
| `Commit(n, dropped)` | n words   | + n, - `dropped`     | the rest  | 0      | at first kept   | done           |
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from asr.config import SAMPLE_RATE_HZ, StreamSettings, VadSettings
from asr.models.base import Finality, Piece
from asr.streaming.buffers import SpeechCurve
from asr.streaming.unread import Gap, first_gap
from asr.streaming.utterance import Utterance
from asr.streaming.vad import FRAME_SAMPLES
from asr.word_boundaries import is_word_boundary

MAX_DOUBTS = 3
"""After this many doubted hypotheses in a row, accept the next one: the model really took the words back."""
MAX_EMPTY_DOUBTS = 1
"""The same for a hypothesis without any word. It empties the tail, so that a stalled decoder is noticed soon."""
RESTART_AFTER_SAMPLES = 5 * FRAME_SAMPLES
"""A restarted window begins at least 0.16 s after the start of the last committed word: no word is shorter."""
RESTART_RANGE_SAMPLES = 33 * FRAME_SAMPLES
"""The range behind that in which the quietest place is searched: 1.06 s, since few words are longer."""
FLUSHED_STALL_S = 0.15
"""The same as `stall_s` behind words that were committed in a pause."""
SENTENCE_PAUSE_S = 0.25
"""In the last fifth of a window, cut at a pause of at least this length even if an earlier pause is longer."""
KNOWN_TIMES_S = 2.0
"""Committed words that end in the last 2 s before the prefix's end are aligned again: they lead the alignment to the
words that follow."""
_SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")
_PUNCTUATION = ".,;:!?…\"'“”‘’()[]-–—¿¡。、，！？：；"

_CONTINUING = '.,;:!?…"”)]-–—。、，！？：；'
"""Left out where the rest of a word is written apart, as in ``,950``. An apostrophe stays, as in ``'s``."""


# -- what goes in, what comes out --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decoded:
    """One window after decoding: its new words and its place in the stream, in samples.

    ``pieces`` are the words after the prefix, in stream time. The window ended at ``window_end``, which is before
    ``requested_end`` if it was cut at the maximum length. ``is_last``: nothing of this utterance follows.
    ``committed_end_s`` is the end of the last committed word of the stream. ``settled``: see `Hypothesis.settled`.
    """

    pieces: tuple[Piece, ...]
    window_end: int
    requested_end: int
    is_last: bool = False
    committed_end_s: float = 0.0
    settled: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether the window is shorter than requested."""
        return self.window_end < self.requested_end

    @property
    def end_s(self) -> float:
        """The end of its last word; without words, of the last committed word."""
        return self.pieces[-1].end_s if self.pieces else self.committed_end_s


@dataclass(frozen=True, slots=True)
class Commit:
    """The first ``count`` new words are final, the others are the new tail.

    Then the first ``dropped`` words of the prefix leave the window, which begins at the first word that remains.
    """

    count: int
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Doubt the hypothesis: keep the tail and decide at the next update."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Decode again in a window that begins at the sample ``at``, without prefix."""

    at: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The first ``words`` words are final (None: all). The utterance continues in a new window that begins at ``at``.

    ``gap_until``: the new window begins in a gap that ends at this sample; 0: it does not. See `asr.streaming.unread`.
    """

    at: int
    words: int | None = None
    gap_until: int = 0


@dataclass(frozen=True, slots=True)
class Shrink:
    """Decode the beginning of the window alone, up to the sample ``to``: it is a gap. The words after it come next."""

    to: int


@dataclass(frozen=True, slots=True)
class Finish:
    """All words are final and the utterance is over."""


Decision = Commit | Wait | Restart | Cut | Shrink | Finish


class CommitPolicy(Protocol):
    """The contract: what to do with a window's hypothesis. Pure: the arguments stay as they are.

    ``resumes``: whether an utterance can go on behind words that were all committed in a pause.
    """

    resumes: bool

    def decide(self, utterance: Utterance, decoded: Decoded, curve: SpeechCurve, settings: StreamSettings) -> Decision:
        """The decision about one decoded window.

        `utterance` is the state before this window, `curve` the speech probabilities of the stream so far.
        """
        ...


# -- the two policies --------------------------------------------------------------------------------------------------


class AgreementPolicy:
    """`CommitPolicy` for models whose words can all change: compares each hypothesis with the one before."""

    resumes = True

    def decide(self, utterance: Utterance, decoded: Decoded, curve: SpeechCurve, settings: StreamSettings) -> Decision:
        """See the first table of decisions in the module's docstring."""
        gap = _gap(utterance, decoded.pieces, decoded.window_end, curve, settings.gap_s)
        if decoded.is_cut:
            return _read_gap(gap, utterance) if gap else Cut(decoded.window_end)
        if _is_stalled(utterance, decoded, curve, settings.stall_s):
            return Restart(_restart_place(utterance, curve))
        if gap and (decoded.is_last or _is_old(gap, utterance, decoded, curve, settings.gap_s)):
            return _read_gap(gap, utterance)
        if decoded.is_last:
            return Finish()
        if _is_doubted(utterance, decoded, settings.collapse_s):
            return Wait()
        count = min(_agreed(utterance.tail, decoded.pieces), _old_enough(decoded, utterance.window_start, settings))
        count = min(count, gap.words) if gap else count
        return Commit(count, _dropped(utterance, decoded, count, settings))


class SettledPolicy:
    """`CommitPolicy` for models that report which words can no longer change: believes them."""

    resumes = False

    def decide(self, utterance: Utterance, decoded: Decoded, curve: SpeechCurve, settings: StreamSettings) -> Decision:
        """See the second table of decisions in the module's docstring."""
        if decoded.is_cut:
            return Cut(decoded.window_end)
        if decoded.is_last:
            return Finish()
        return Commit(decoded.settled)


POLICIES: Mapping[Finality, CommitPolicy] = {
    Finality.AGREEMENT: AgreementPolicy(),
    Finality.SETTLED: SettledPolicy(),
}


# -- agreement and holdback --------------------------------------------------------------------------------------------


def _agreed(previous: Sequence[Piece], current: Sequence[Piece]) -> int:
    """How many leading words two successive hypotheses agree on.

    Case and outer punctuation may differ: they often change with the words that follow. The later hypothesis is better
    informed, so its spelling is the one that is committed.
    """
    return _leading(_bare(a.text) == _bare(b.text) for a, b in zip(previous, current, strict=False))


def _old_enough(decoded: Decoded, window_start: int, settings: StreamSettings) -> int:
    """How many leading words end so far before the window's end that audio to come will hardly change them."""
    end_s = decoded.window_end / SAMPLE_RATE_HZ
    holdbacks_ms = settings.holdback_ms, settings.unsure_holdback_ms
    if is_long(window_start, decoded.window_end, settings):
        holdbacks_ms = settings.long_holdback_ms, settings.long_unsure_holdback_ms
    sure_s, unsure_s = (end_s - ms / 1000 for ms in holdbacks_ms)
    return _leading(
        piece.end_s <= (sure_s if piece.confidence >= settings.sure else unsure_s) for piece in decoded.pieces
    )


def _leading(conditions: Iterable[bool]) -> int:
    """How many conditions hold before the first that does not."""
    return sum(1 for _ in itertools.takewhile(bool, conditions))


def _bare(text: str) -> str:
    return text.strip().strip(_PUNCTUATION).casefold()


def is_long(window_start: int, window_end: int, settings: StreamSettings) -> bool:
    """Whether the rule of long windows applies to a window from and to these samples."""
    return window_end - window_start > settings.long_window_s * SAMPLE_RATE_HZ


def held_words(tail: Sequence[Piece], window_end: int, settings: StreamSettings) -> Sequence[Piece]:
    """The leading words of a tail that are old enough to be held in a long window that ends at this sample."""
    latest_s = window_end / SAMPLE_RATE_HZ - settings.hold_s
    return tail[: _leading(piece.end_s <= latest_s for piece in tail)]


# -- hypotheses that are not to be trusted -----------------------------------------------------------------------------


def _is_doubted(utterance: Utterance, decoded: Decoded, collapse_s: float) -> bool:
    """Whether a hypothesis is collapsed, and not too many in a row were so before it."""
    if utterance.doubts >= (MAX_DOUBTS if decoded.pieces else MAX_EMPTY_DOUBTS):
        return False
    return is_collapsed(utterance.tail, decoded, collapse_s)


def is_collapsed(tail: Sequence[Piece], decoded: Decoded, collapse_s: float) -> bool:
    """Whether a hypothesis ends long before the words of an earlier one."""
    return bool(tail) and tail[-1].end_s - decoded.end_s > collapse_s


def _is_stalled(utterance: Utterance, decoded: Decoded, curve: SpeechCurve, stall_s: float) -> bool:
    """Whether the decoder writes nothing after the committed words although speech went on.

    With a tail there is no stall: a hypothesis without words then takes the tail back, see `_is_collapsed`.
    """
    if decoded.pieces or utterance.tail or not utterance.prefix:
        return False
    if utterance.flushed_at >= 0:
        return curve.speech_s(utterance.flushed_at, decoded.window_end) > FLUSHED_STALL_S
    return curve.speech_s(utterance.decoded_until, decoded.window_end) > stall_s


def _restart_place(utterance: Utterance, curve: SpeechCurve) -> int:
    """The sample at which a stalled window restarts: the quietest place soon after the last committed word began."""
    if utterance.flushed_at >= 0:
        return max(utterance.flushed_at, utterance.window_start + FRAME_SAMPLES)
    first = round(utterance.prefix[-1].start_s * SAMPLE_RATE_HZ) + RESTART_AFTER_SAMPLES
    last = min(first + RESTART_RANGE_SAMPLES, utterance.decoded_until)
    place = curve.quietest(first, last) if last > first else first
    return max(place, utterance.window_start + FRAME_SAMPLES)  # the window always moves: no endless restart


# -- speech that a hypothesis leaves out -------------------------------------------------------------------------------


def _gap(utterance: Utterance, pieces: Sequence[Piece], end: int, curve: SpeechCurve, gap_s: float) -> Gap | None:
    """The first gap behind the committed words of a window that ends at the sample `end`; its words are new ones."""
    prefix = utterance.prefix[-1:]
    pauses = [(a / SAMPLE_RATE_HZ, b / SAMPLE_RATE_HZ) for a, b in curve.pauses(utterance.window_start, end)]
    after_s = utterance.gap_until / SAMPLE_RATE_HZ
    span = utterance.window_start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ
    gap = first_gap(prefix + tuple(pieces), span, pauses, gap_s, after_s=after_s, committed=len(prefix))
    return replace(gap, words=gap.words - len(prefix)) if gap else None


def _is_old(gap: Gap, utterance: Utterance, decoded: Decoded, curve: SpeechCurve, gap_s: float) -> bool:
    """Whether the hypothesis before had the same words before the same gap.

    What is left out at the window's end is mostly written an update later; else it is a stall, or the last window.
    """
    if _sample(gap.until_s) >= decoded.window_end:
        return False
    before = _gap(utterance, utterance.tail, utterance.decoded_until, curve, gap_s)
    return before is not None and before.words == gap.words <= _agreed(utterance.tail, decoded.pieces)


def _read_gap(gap: Gap, utterance: Utterance) -> Decision:
    at, until = _sample(gap.at_s), _sample(gap.until_s)
    return Cut(at, gap.words, until) if at > utterance.window_start else Shrink(until)


def _sample(at_s: float) -> int:
    return round(at_s * SAMPLE_RATE_HZ)


# -- where a window begins and ends ------------------------------------------------------------------------------------


def window_end(window_start: int, requested_end: int, curve: SpeechCurve, settings: StreamSettings) -> int:
    """The sample at which a window ends: `requested_end`, or a pause if the window would be longer than the maximum.

    A long pause mostly ends a sentence, and a long window knows more. So: the longest pause of the window's last fifth
    if it lasts `SENTENCE_PAUSE_S`; else the longest pause of its second half; else the quietest place of that half.
    """
    longest = round(settings.window_max_s * SAMPLE_RATE_HZ)
    end = window_start + longest
    if requested_end <= end:
        return requested_end
    late, half = end - longest // 5, end - longest // 2
    pause = curve.longest_pause
    return pause(late, end, SENTENCE_PAUSE_S) or pause(half, end, 0.0) or curve.quietest(half, end)


def is_worth_decoding(utterance: Utterance, end: int, curve: SpeechCurve, settings: VadSettings) -> bool:
    """Whether a window that ends at the sample `end` needs the model: unless the utterance is new and hardly speech."""
    if utterance.prefix or utterance.memory is not None:
        return True
    start = utterance.window_start
    is_long_enough = curve.speech_s(start, end) >= settings.min_speech_ms / 1000
    return is_long_enough and curve.likeliest(start, end) >= settings.sure_threshold


def _dropped(utterance: Utterance, decoded: Decoded, count: int, settings: StreamSettings) -> int:
    """How many leading words of the prefix leave the window after `count` new words were committed."""
    if decoded.window_end - utterance.window_start <= settings.window_soft_s * SAMPLE_RATE_HZ:
        return 0
    return _dropped_words(utterance.prefix + decoded.pieces[:count], settings.overlap_s)


def _dropped_words(prefix: Sequence[Piece], overlap_s: float) -> int:
    """The index of the committed word at which a shortened window begins; 0 if there is no good place.

    At least `overlap_s` before the last word's end: at the last end of a sentence, else at the longest gap between
    words in the later half.
    """
    latest_s = prefix[-1].end_s - overlap_s if prefix else 0.0
    places = [i for i in range(1, len(prefix)) if prefix[i].start_s <= latest_s]
    if not places:
        return 0
    sentences = [i for i in places if prefix[i - 1].text.rstrip().endswith(_SENTENCE_ENDS)]
    if sentences:
        return sentences[-1]
    return max(places[len(places) // 2 :], key=lambda i: prefix[i].start_s - prefix[i - 1].end_s)


# -- whole words -------------------------------------------------------------------------------------------------------


def beginning_a_word(pieces: tuple[Piece, ...], before: str) -> tuple[Piece, ...]:
    """The pieces behind the committed text `before`, so that they begin with a new word.

    Leading pieces of punctuation alone are dropped: what they belong to is final without them.
    """
    first = next((i for i, piece in enumerate(pieces) if not _is_punctuation(piece.text)), len(pieces))
    pieces = pieces[first:]
    if not pieces or is_word_boundary(before, pieces[0].text):
        return pieces
    return (replace(pieces[0], text=" " + pieces[0].text.lstrip(_CONTINUING)), *pieces[1:])


def _is_punctuation(text: str) -> bool:
    return bool(text.strip()) and not text.strip().strip(_PUNCTUATION)


# -- times of words ----------------------------------------------------------------------------------------------------


def in_stream_time(pieces: Iterable[Piece], window_start_s: float, committed_end_s: float) -> tuple[Piece, ...]:
    """Times from the window's start -> stream times. No piece begins before the last committed word ends."""
    moved = []
    for piece in pieces:
        start_s = max(window_start_s + piece.start_s, committed_end_s)
        moved.append(replace(piece, start_s=start_s, end_s=max(window_start_s + piece.end_s, start_s)))
    return tuple(moved)


def words_with_known_times(prefix: Sequence[Piece]) -> Sequence[Piece]:
    """The leading committed words whose times the model need not compute again."""
    count = len(prefix)
    while count and prefix[count - 1].end_s > prefix[-1].end_s - KNOWN_TIMES_S:
        count -= 1
    return prefix[:count]
