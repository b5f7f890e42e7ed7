"""One stream of speech: audio in, events out. No I/O, no model, and no clock but the count of samples.

Two rules of order:

* **The owner** calls `receive_audio` and `receive_finalize` in any order, then `receive_end` once. After each of them
  it steps the engine while `ready` and calls `take_events`; after `receive_end` it does so until `ended`.
* **The engine** calls, in each step, `next_frames` -> `receive_probabilities`, then `next_window` ->
  `receive_hypothesis`. Until it is answered, a `next_` call returns the same again: a failed step can be repeated.

        session = engine.open()
        session.receive_audio(samples)      # any number of samples
        while session.ready:
            engine.step([session])          # the only call that takes time
        events = session.take_events()
        session.receive_end()               # then step and take events until session.ended

A session that is not in a step can be pickled: any process with the same model continues it to the same events.

Three parts hold the rules, and the session only carries them out. `asr.streaming.vad` says where speech is.
`asr.streaming.schedule` turns that into entries: what to decode and emit, in the order of audio time. It depends on
samples alone, so the same audio gives the same text however it was cut into chunks and however late the steps come.
`asr.streaming.commit` decides which words of a hypothesis are final; its last table is the state table of an utterance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.errors import AudioError, InternalError, SessionError
from asr.events import Ended, Event, Final, Partial
from asr.models.base import Hypothesis, Piece, Window
from asr.streaming.buffers import AudioBuffer, SpeechCurve
from asr.streaming.commit import (
    Commit,
    CommitPolicy,
    Cut,
    Decoded,
    Finish,
    Restart,
    Shrink,
    Wait,
    beginning_a_word,
    held_words,
    in_stream_time,
    is_collapsed,
    is_long,
    is_worth_decoding,
    window_end,
    words_with_known_times,
)
from asr.streaming.schedule import Decode, Kind, Open, Schedule
from asr.streaming.unread import without_doubtful
from asr.streaming.utterance import Utterance, words_of
from asr.streaming.vad import FRAME_SAMPLES, VadState, levels_db
from asr.vitals.recorder import Recorder

EARLY = (Kind.SHOW, Kind.AHEAD)
SHOWN_SETTLE_S = 1.0
"""`DecodeSettings.settle_s` of a window that only shows words early: it encodes 1.8 s of audio instead of 5.4.
1.5 and 0.7 show words as soon and keep them as long (docs/log/decoding.md#one-early-window-between-two-updates)."""
FIRST_SHOW_SHARE = 0.6
"""The first words of an utterance are shown after this share of the interval: nothing on screen is worse than old text.
"""
STEP_FRAMES = 4
"""Run voice activity on at least this many frames (0.13 s): a step for each 0.1 s message costs more than it gains."""
TURN_STEP_FRAMES = 2
"""The same while the engine has time to spare and the client may finalize: a pause must be seen at once, so that its
window is decoded before the request comes (docs/log/decoding.md#a-turns-text-ready-when-it-is-asked-for)."""


@dataclass(frozen=True, slots=True)
class _Request:
    """The window that waits for its hypothesis: why it is decoded, and the sample at which it ends."""

    entry: Decode
    window_end: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """The hypothesis of a window that was decoded ahead. Only `Session._decide` makes another of the same end wrong."""

    window_end: int
    hypothesis: Hypothesis


class Session:
    """One stream. `Engine.open` makes it. Only its owner and, during a step, the engine may use it."""

    def __init__(
        self,
        settings: SessionSettings,
        policy: CommitPolicy,
        *,
        language: str | None = None,
        prompt: tuple[int, ...] = (),
        hotwords: tuple[str, ...] = (),
        partials: bool = True,
        vitals: bool = False,
    ) -> None:
        self.settings = settings
        self.vad_state = VadState()
        self._policy = policy
        self._language, self._partials = language, partials
        self._spoken_s: dict[str, float] = {}
        """Of final words, by their language."""
        self._context, self._hotwords = prompt, hotwords
        self._recorder = Recorder(hotwords) if vitals else None
        self._audio = AudioBuffer()
        self._curve = SpeechCurve()
        self._schedule = Schedule(settings)
        self._events: list[Event] = []
        self._utterance: Utterance | None = None
        self._request: _Request | None = None
        self._answer: _Answer | None = None
        self._show_samples = 0
        self._committed_end_s = 0.0
        self._committed_text = ""  # of the last committed word
        self._ending = self._end_planned = self._ended = False

    # -- the owner's side ----------------------------------------------------------------------------------------

    @property
    def received_s(self) -> float:
        """Seconds of audio received."""
        return self._audio.end / SAMPLE_RATE_HZ

    @property
    def decoded_s(self) -> float:
        """Seconds of audio up to which nothing is left to decode."""
        return min(self._schedule.done_until, self._audio.end) / SAMPLE_RATE_HZ

    @property
    def voiced_until_s(self) -> float:
        """The end of the last voiced frame before `decoded_s`; 0 if there is none."""
        return min(self._schedule.voiced_until, self._audio.end) / SAMPLE_RATE_HZ

    @property
    def lag_s(self) -> float:
        """Seconds of audio received and not yet decoded."""
        return self.received_s - self.decoded_s

    @property
    def held_s(self) -> float:
        """Seconds of audio held in memory."""
        return (self._audio.end - self._audio.start) / SAMPLE_RATE_HZ

    @property
    def has_memory(self) -> bool:
        """Whether it holds the model's memory of a window, megabytes that a pickle would contain."""
        return self._utterance is not None and self._utterance.memory is not None

    @property
    def ready(self) -> bool:
        """Whether a step has work: an entry is due, or `ready_at_samples` have been received."""
        if self._schedule or (self._ending and not self._ended) or self._early():
            return True
        return self._audio.end >= self.ready_at_samples

    @property
    def ready_at_samples(self) -> int:
        """`ready` becomes true when this many samples have been received, even if nothing else happens."""
        frames = 1 if self._schedule.is_urgent else STEP_FRAMES
        if self._show_samples and self._schedule.awaits_finalize:
            frames = min(frames, TURN_STEP_FRAMES)
        return self._schedule.received + frames * FRAME_SAMPLES

    @property
    def ended(self) -> bool:
        """Whether `Ended` was emitted."""
        return self._ended

    def receive_audio(self, samples: np.ndarray) -> None:
        """Takes mono float32 samples ``(n,)`` at 16 kHz.

        Raises `AudioError` for anything else and `SessionError` after `receive_end`. Then no sample was taken.
        """
        check_audio(samples, self._ending)
        self._audio.append(samples)

    def receive_finalize(self) -> None:
        """Commit all words so far. A `Final` with ``from_finalize`` follows, even if it has no words.

        Raises `SessionError` after `receive_end`.
        """
        check_finalize(self._ending)
        self._schedule.finalize(self._audio.end)

    def receive_end(self) -> None:
        """No more audio will come. Step until `ended`. A second call changes nothing."""
        self._ending = True

    def take_events(self) -> list[Event]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def show_every(self, seconds: float) -> None:
        """Show words early: decode also when nothing is due, once this much speech is new; 0 (at first): never.

        The first words of an utterance come after `FIRST_SHOW_SHARE` of it.

        It changes what partials come and when, and how soon a final comes, never the text of a final: those follow
        audio time alone. So the owner may change it at any time, to spend what the engine has to spare.
        """
        self._show_samples = round(seconds * SAMPLE_RATE_HZ)

    # -- the engine's side: voice activity writes the schedule -----------------------------------------------------

    @property
    def pending_frames(self) -> int:
        """Frames without a speech probability. At the end of the stream the last one is filled with zeros."""
        missing = self._audio.end - self._schedule.received
        return -(-missing // FRAME_SAMPLES) if self._ending else missing // FRAME_SAMPLES

    def next_frames(self, limit: int) -> np.ndarray:
        """Samples of the next frames, at most `limit` of them: ``(n * 512,)``."""
        wanted = min(limit, self.pending_frames) * FRAME_SAMPLES
        start = self._schedule.received
        samples = self._audio.slice(start, min(start + wanted, self._audio.end))
        return np.pad(samples, (0, wanted - len(samples)))

    def receive_probabilities(self, probabilities: np.ndarray) -> None:
        """Takes the speech probabilities of the frames from `next_frames`: ``(n,)``."""
        frames = self.next_frames(len(probabilities))
        if self._recorder:
            self._recorder.receive(frames, probabilities)
        for probability, level_db in zip(probabilities.tolist(), levels_db(frames).tolist(), strict=True):
            self._curve.append(probability)
            self._schedule.receive(probability, level_db)

    # -- the engine's side: decoding works the schedule off --------------------------------------------------------

    def next_window(self) -> Window | None:
        """Do what is due up to the next window that needs the model, and return it; None if nothing is left to do.

        Called again before `receive_hypothesis`, it returns the same window.
        """
        self._request = None
        if self._ending and not self._end_planned and not self.pending_frames:
            self._schedule.end(self._audio.end)
            self._end_planned = True
        while (entry := self._schedule.head) is not None:
            if isinstance(entry, Decode):
                window = self._window(entry)
                if window is not None:
                    if self._answered():
                        continue
                    return window
                self._finish(entry)
            elif isinstance(entry, Open):
                if self._recorder:
                    self._recorder.open(entry.start)
                if self._utterance is None or not entry.resumes:
                    self._utterance, self._answer = Utterance(entry.start), None
            else:
                self._emit(entry.event)
            self._schedule.pop()
        self._forget_audio()
        return self._early_window()

    @property
    def is_early(self) -> bool:
        """Whether the window that `next_window` returned only shows words early: nobody waits for it."""
        return self._request is not None and self._request.entry.kind is Kind.SHOW

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Takes the answer to `next_window`. Raises `InternalError` if there is no question open."""
        request, utterance = self._request, self._utterance
        if request is None or utterance is None:
            raise InternalError("found a hypothesis without a window; wanted next_window to be called first")
        self._request = None
        if request.entry.kind in EARLY:
            self._receive_early(hypothesis, request, utterance)
        else:
            self._decide(hypothesis, request, utterance)

    def _decide(self, hypothesis: Hypothesis, request: _Request, utterance: Utterance) -> None:
        """What is final? Carry out the policy's decision."""
        self._answer = None
        decoded = self._decoded(hypothesis, request, utterance)
        decision = self._policy.decide(utterance, decoded, self._curve, self.settings.stream)
        self._record(utterance, decoded, decision, hypothesis)
        utterance.language, utterance.memory, utterance.shortened = hypothesis.language, hypothesis.memory, False
        match decision:
            case Cut(at, words, gap_until):
                utterance.tail = decoded.pieces[:words]
                self._commit(utterance, len(utterance.tail))
                rest = max(request.window_end, utterance.rest_until)
                self._utterance = Utterance(at, utterance.language, rest_until=rest, gap_until=gap_until)
            case Shrink(to):
                start, rest = utterance.window_start, request.window_end
                self._utterance = Utterance(start, rest_until=rest, gap_until=to, alone_until=to)
            case Restart(at):
                self._utterance = Utterance(at, utterance.language)
            case Wait():
                utterance.doubts += 1
                self._schedule.pop()
            case Finish():
                utterance.tail, utterance.decoded_until, utterance.doubts = decoded.pieces, decoded.window_end, 0
                self._finish(request.entry)
                self._schedule.pop()
                self._forget_audio()
            case Commit():
                self._update(utterance, decoded, decision, hypothesis.released)
                self._schedule.pop()
                self._forget_audio()

    # -- what the model is asked -----------------------------------------------------------------------------------

    def _window(self, entry: Decode) -> Window | None:
        """The window of an entry; None if it would bring nothing new or nobody wants its words yet."""
        utterance = self._utterance
        if utterance is None or utterance.decoded_until == entry.until:
            return None
        end = self._window_end(utterance, entry.until)
        if entry.kind is not Kind.FINAL and not self._partials and end == entry.until:
            return None
        if not is_worth_decoding(utterance, end, self._curve, self.settings.vad):
            return None
        self._request = _Request(entry, end)
        return self._window_of(utterance, end, entry.kind)

    def _window_end(self, utterance: Utterance, until: int) -> int:
        """Where the window ends that is to be decoded up to the sample `until`."""
        end = window_end(utterance.window_start, until, self._curve, self.settings.stream)
        limits = (utterance.rest_until, utterance.alone_until)
        return min([end, *(limit for limit in limits if limit > utterance.window_start)])

    def _early(self) -> Decode | None:
        """What may be decoded early, if the owner wants that."""
        utterance = self._utterance
        if utterance is None or not self._show_samples:
            return None
        done_until = max(utterance.window_start, utterance.decoded_until, utterance.early_until)
        is_first = not utterance.shown and not utterance.prefix
        interval = round(FIRST_SHOW_SHARE * self._show_samples) if is_first else self._show_samples
        return self._schedule.early(done_until, interval)

    def _early_window(self) -> Window | None:
        """The window of `_early`; None if nobody would see it, if it is silent, or if it would have to be cut."""
        entry, utterance = self._early(), self._utterance
        if entry is None or utterance is None:
            return None
        is_wanted = self._partials or entry.kind is Kind.AHEAD
        is_whole = self._window_end(utterance, entry.until) == entry.until
        vad = self.settings.vad
        if not (is_wanted and is_whole and is_worth_decoding(utterance, entry.until, self._curve, vad)):
            utterance.early_until = entry.until
            return None
        self._request = _Request(entry, entry.until)
        return self._window_of(utterance, entry.until, entry.kind)

    def _answered(self) -> bool:
        """Whether the last window of the utterance is due and was decoded ahead; then its hypothesis is taken."""
        request, answer, utterance = self._request, self._answer, self._utterance
        if request is None or answer is None or utterance is None or request.entry.kind is not Kind.FINAL:
            return False
        if answer.window_end != request.window_end:
            return False
        self._request = None
        self._decide(answer.hypothesis, request, utterance)
        return True

    def _receive_early(self, hypothesis: Hypothesis, request: _Request, utterance: Utterance) -> None:
        """Show an early hypothesis. Nothing else of the utterance changes."""
        utterance.early_until = request.window_end
        if request.entry.kind is Kind.AHEAD:
            self._answer = _Answer(request.window_end, hypothesis)
        decoded = self._decoded(hypothesis, request, utterance)
        if is_collapsed(utterance.draft or utterance.tail, decoded, self.settings.stream.collapse_s):
            return
        utterance.draft = decoded.pieces
        self._show(utterance, utterance.draft, request.window_end, utterance.language or hypothesis.language)

    def _window_of(self, utterance: Utterance, end: int, kind: Kind) -> Window:
        """The window up to the sample `end`.

        One that only shows words has less detail, and begins with the words on screen. The last one of an utterance
        holds no word: nothing is gained by keeping a text that no later one is compared with.
        """
        is_shown, is_last = kind is Kind.SHOW, kind in (Kind.FINAL, Kind.AHEAD)
        start, tail = utterance.window_start, utterance.draft if is_shown else utterance.tail
        stream = self.settings.stream
        held = held_words(tail, end, stream) if is_long(start, end, stream) and not is_last else ()
        known = words_with_known_times(utterance.prefix)
        known_until_s = known[-1].end_s - start / SAMPLE_RATE_HZ if known else 0.0
        prefix_end_s = utterance.prefix[-1].end_s - start / SAMPLE_RATE_HZ if utterance.prefix else 0.0
        return Window(
            samples=self._audio.slice(start, end),
            speech_s=self._curve.speech_s(start, end),
            pauses=self._pauses(start, end),
            language=utterance.language if utterance.prefix and not utterance.shortened else self._language,
            context=self._context,
            prefix=_tokens(utterance.prefix),
            draft=_tokens(tail),
            held=len(_tokens(held)),
            hotwords=self._hotwords,
            known_tokens=sum(len(piece.tokens) for piece in known),
            known_until_s=max(0.0, known_until_s),
            prefix_end_s=max(0.0, prefix_end_s),
            may_change_language=self._language is None,
            usual_language=max(self._spoken_s, key=self._spoken_s.__getitem__, default=None),
            wants_accent=self._recorder is not None and not is_shown,
            memory=utterance.memory,
            settings=replace(self.settings.decode, settle_s=SHOWN_SETTLE_S) if is_shown else self.settings.decode,
        )

    def _pauses(self, start: int, end: int) -> tuple[tuple[float, float], ...]:
        """The silences of a window, in seconds from its start."""
        pauses = self._curve.pauses(start, end)
        return tuple(((a - start) / SAMPLE_RATE_HZ, (b - start) / SAMPLE_RATE_HZ) for a, b in pauses)

    # -- carrying out decisions ------------------------------------------------------------------------------------

    def _decoded(self, hypothesis: Hypothesis, request: _Request, utterance: Utterance) -> Decoded:
        """A hypothesis as the policy sees it."""
        start_s = utterance.window_start / SAMPLE_RATE_HZ
        pieces = in_stream_time(hypothesis.pieces, start_s, self._committed_end_s)
        pieces = without_doubtful(pieces, utterance.gap_until / SAMPLE_RATE_HZ)
        pieces = beginning_a_word(pieces, self._committed_text)
        read_s = hypothesis.read_s
        return Decoded(
            pieces=pieces,
            window_end=request.window_end if read_s is None else round((start_s + read_s) * SAMPLE_RATE_HZ),
            requested_end=request.entry.until,
            is_last=request.entry.kind is Kind.FINAL,
            committed_end_s=self._committed_end_s,
            settled=max(0, hypothesis.settled - (len(hypothesis.pieces) - len(pieces))),
        )

    def _record(self, utterance: Utterance, decoded: Decoded, decision: object, hypothesis: Hypothesis) -> None:
        if self._recorder is None:
            return
        if isinstance(decision, Restart | Shrink):
            self._recorder.restart()
        elif isinstance(decision, Wait):
            self._recorder.doubt()
        else:
            self._recorder.decode(utterance.tail, decoded.pieces, hypothesis.looped, hypothesis.accent)

    def _update(self, utterance: Utterance, decoded: Decoded, commit: Commit, released: int) -> None:
        """Accept a hypothesis: commit its first words, show the others, move the window's start."""
        self._release(utterance, released)
        utterance.tail, utterance.decoded_until, utterance.doubts = decoded.pieces, decoded.window_end, 0
        utterance.rest_until = 0
        if commit.count and self._show_samples:  # a `Final` alone would leave the words behind it as they were
            self._show(utterance, utterance.tail, decoded.window_end, utterance.language)
        self._commit(utterance, commit.count)
        self._show(utterance, utterance.tail, decoded.window_end, utterance.language, again=commit.count > 0)
        if commit.dropped:
            self._shorten(utterance, commit.dropped)

    def _release(self, utterance: Utterance, samples: int) -> None:
        """Move the window's start behind samples that the model no longer needs. It remembers their words itself."""
        utterance.window_start += samples
        if samples:
            utterance.prefix = ()

    def _show(
        self, utterance: Utterance, tail: tuple[Piece, ...], end: int, language: str | None, again: bool = False
    ) -> None:
        """Emit words as a partial if the text changed, or `again` because a `Final` replaced the last partial."""
        text = "".join(piece.text for piece in tail)
        if self._partials and (text != utterance.shown or (again and text)):
            start_s = tail[0].start_s if tail else self._committed_end_s
            self._emit(Partial(words_of(tail), start_s, end / SAMPLE_RATE_HZ, language or ""))
        utterance.shown = text

    def _shorten(self, utterance: Utterance, dropped: int) -> None:
        """Drop the first words of the prefix; the window begins at the first word that remains."""
        kept_start = round(utterance.prefix[dropped].start_s * SAMPLE_RATE_HZ)
        utterance.window_start = max(utterance.window_start, kept_start)
        utterance.prefix = utterance.prefix[dropped:]
        utterance.memory, utterance.shortened = None, True

    def _finish(self, entry: Decode) -> None:
        """An entry of kind FINAL commits the whole tail and closes or holds the utterance; others do nothing."""
        if entry.kind is not Kind.FINAL:
            return
        utterance = self._utterance or Utterance(entry.until, self._language)
        if utterance.tail or not entry.only_words:
            self._commit(utterance, len(utterance.tail), entry)
        if entry.is_flush and self._policy.resumes:
            utterance.flushed_at, utterance.shown = entry.until, ""
        else:
            self._utterance = None

    def _commit(self, utterance: Utterance, count: int, entry: Decode | None = None) -> None:
        """Move the first words of the tail to the prefix and emit them as a `Final`; with an entry even if none."""
        words, utterance.tail = utterance.tail[:count], utterance.tail[count:]
        utterance.draft = utterance.tail
        if not words and entry is None:
            return
        ends, finalizes = (entry.ends_utterance, entry.from_finalize) if entry else (False, False)
        start_s = words[0].start_s if words else self._committed_end_s
        end_s = words[-1].end_s if words else self._committed_end_s
        self._committed_end_s = end_s
        self._committed_text = words[-1].text if words else self._committed_text
        if words and utterance.language:
            self._spoken_s[utterance.language] = self._spoken_s.get(utterance.language, 0.0) + end_s - start_s
        utterance.prefix += words
        utterance.flushed_at = -1 if words else utterance.flushed_at
        self._emit(Final(words_of(words), start_s, end_s, utterance.language or "", ends, finalizes))
        if self._recorder:
            self._recorder.commit(words)
            if entry and ends:
                self._emit(self._recorder.finish(entry.until, utterance.language or "", finalizes))

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        self._ended = isinstance(event, Ended)

    def _forget_audio(self) -> None:
        """Drop the audio that no window can contain any more."""
        needed = self._schedule.earliest_start
        if self._utterance:
            needed = min(needed, self._utterance.window_start)
        self._audio.forget(needed)
        if self._recorder:
            self._recorder.forget(needed)
        self._curve.forget(needed)


def _tokens(pieces: Sequence[Piece]) -> tuple[int, ...]:
    return tuple(token for piece in pieces for token in piece.tokens)


def check_audio(samples: np.ndarray, ending: bool) -> None:
    """Raises what `Session.receive_audio` raises. `ending`: whether the end of the stream was received."""
    if ending:
        raise SessionError("audio arrived after the end of the stream; open a new session for it")
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype != np.float32:
        raise AudioError(f"found {_form(samples)}; wanted a one-dimensional float32 array, mono at 16 kHz")
    if not np.isfinite(samples).all():
        raise AudioError("found NaN or infinite samples; wanted finite numbers, between -1 and 1 for full scale")


def check_finalize(ending: bool) -> None:
    """Raises what `Session.receive_finalize` raises. `ending`: whether the end of the stream was received."""
    if ending:
        raise SessionError("finalize arrived after the end of the stream; it commits everything anyway")


def _form(samples: object) -> str:
    if isinstance(samples, np.ndarray):
        return f"an array of {samples.dtype} with shape {samples.shape}"
    return type(samples).__name__
