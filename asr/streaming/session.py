"""One stream of speech: audio in, events out. No I/O, no model, no clock but the count of samples.

    session = engine.open()
    session.receive_audio(samples)      # as it comes, any number of samples
    while session.ready:
        engine.step([session])          # the only thing that takes time
    events = session.take_events()
    session.receive_end()               # then step and take until session.ended

Voice activity writes the session's agenda (`receive_probabilities`, `asr.streaming.schedule`), steps work it off
(`next_window`, `receive_hypothesis`). Because the agenda depends on samples alone, the same audio gives the same text
however it was cut into chunks, and however late the steps come.
"""

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.errors import AudioError, InternalError, SessionError
from asr.events import Ended, Event, Final, Partial
from asr.models.base import Hypothesis, Piece, Window
from asr.streaming.buffers import AudioBuffer, SpeechCurve
from asr.streaming.commit import agreed
from asr.streaming.schedule import Agenda, Decode, Kind, Open
from asr.streaming.utterance import Utterance, cut_place, known_words, placed, words_of
from asr.streaming.vad import FRAME_SAMPLES, VadState

LISTEN_FRAMES = 4
"""Voice activity waits for so many frames (0.13 s): a step for each message of 0.1 s would cost more than it tells."""
_LEAST_WORD, _LONGEST_WORD = 5 * FRAME_SAMPLES, 33 * FRAME_SAMPLES
"""No word is shorter (0.16 s), or longer by more than this (1.06 s), where a window begins anew behind it."""
_SENTENCE_PAUSE_S = 0.25
"""A pause from which on a window is rather cut there than at a longer one far before its end."""
_MOST_DOUBTS = 3
"""A text that ends early so many times in a row is believed at the next; that nothing follows what is final, sooner."""


class Session:
    """One stream. Made by `Engine.open`; only its owner and, during a step, the engine touch it."""

    def __init__(
        self,
        settings: SessionSettings,
        *,
        language: str | None = None,
        prompt: tuple[int, ...] = (),
        hotwords: tuple[str, ...] = (),
        partials: bool = True,
    ) -> None:
        self.settings = settings
        self.vad_state = VadState()
        self._language, self._partials = language, partials
        self._context, self._hotwords = prompt, hotwords
        self._audio = AudioBuffer()
        self._agenda = Agenda(settings)
        self._events: list[Event] = []
        self._utterance: Utterance | None = None
        self._committed_end_s = 0.0
        self._curve = SpeechCurve()
        self._ending = self._end_planned = self._ended = False

    # -- the owner's side ----------------------------------------------------------------------------------------

    @property
    def received_s(self) -> float:
        """Seconds of audio received."""
        return self._audio.end / SAMPLE_RATE_HZ

    @property
    def decoded_s(self) -> float:
        """Seconds of audio with nothing due about them."""
        return min(self._agenda.due, self._audio.end) / SAMPLE_RATE_HZ

    @property
    def lag_s(self) -> float:
        """Seconds of audio received and not yet dealt with."""
        return self.received_s - self.decoded_s

    @property
    def held_s(self) -> float:
        """Seconds of audio held in memory."""
        return (self._audio.end - self._audio.start) / SAMPLE_RATE_HZ

    @property
    def ready(self) -> bool:
        """Whether a step is worth its while: something is due, or `LISTEN_FRAMES` are new."""
        if self._agenda or (self._ending and not self._ended):
            return True
        return self.pending_frames >= (1 if self._agenda.marked else LISTEN_FRAMES)

    @property
    def ended(self) -> bool:
        """Whether `Ended` has been said."""
        return self._ended

    def receive_audio(self, samples: np.ndarray) -> None:
        """Mono float32 samples ``(n,)`` at 16 kHz. Raises `AudioError` or `SessionError`; then nothing was taken."""
        check_audio(samples, self._ending)
        self._audio.append(samples)

    def receive_finalize(self) -> None:
        """Commit all that was heard so far: a `Final` with ``from_finalize`` follows even when it holds no words."""
        check_finalize(self._ending)
        self._agenda.mark(self._audio.end)

    def receive_end(self) -> None:
        """No more audio will come; step until `ended`. A second call changes nothing."""
        self._ending = True

    def take_events(self) -> list[Event]:
        """What was said since the last call."""
        events, self._events = self._events, []
        return events

    def thin_partials(self) -> int:
        """Under overload: forget the updates that are due, except the newest. Returns how many; no audio is lost."""
        return self._agenda.thin()

    # -- the engine's side: voice activity writes the agenda -------------------------------------------------------

    @property
    def pending_frames(self) -> int:
        """Frames that voice activity has not seen; at the end of the stream the last one is filled with zeros."""
        missing = self._audio.end - self._agenda.heard
        return -(-missing // FRAME_SAMPLES) if self._ending else missing // FRAME_SAMPLES

    def next_frames(self, limit: int) -> np.ndarray:
        """Samples of the next frames, at most `limit` of them: ``(n * 512,)``."""
        wanted = min(limit, self.pending_frames) * FRAME_SAMPLES
        heard = self._agenda.heard
        samples = self._audio.slice(heard, min(heard + wanted, self._audio.end))
        return np.pad(samples, (0, wanted - len(samples)))

    def receive_probabilities(self, probabilities: np.ndarray) -> None:
        """Speech probabilities of the frames from `next_frames`: ``(n,)``."""
        for probability in probabilities.tolist():
            self._curve.append(probability)
            self._agenda.hear(probability)

    # -- the engine's side: decoding works the agenda off ----------------------------------------------------------

    def next_window(self) -> Window | None:
        """Say what is due and return the next window that needs the model; None when nothing is left to do.

        Calling it again before `receive_hypothesis` returns the same window.
        """
        if self._ending and not self._end_planned and not self.pending_frames:
            self._agenda.end(self._audio.end)
            self._end_planned = True
        while (entry := self._agenda.head) is not None:
            if isinstance(entry, Decode):
                window = self._window(entry)
                if window is not None:
                    return window
                self._conclude(entry)
            elif isinstance(entry, Open):
                self._utterance = Utterance(entry.start)
            else:
                self._say(entry.event)
            self._agenda.pop()
        self._forget_audio()
        return None

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """The answer to `next_window`."""
        entry, utterance = self._agenda.head, self._utterance
        if not isinstance(entry, Decode) or utterance is None:
            raise InternalError("a hypothesis came for a session that asked for none")
        until = self._until(entry, utterance)
        start_s = utterance.window_start / SAMPLE_RATE_HZ
        utterance.language, utterance.memory, utterance.moved = hypothesis.language, hypothesis.memory, False
        pieces = placed(hypothesis.pieces, start_s, self._committed_end_s)
        if until < entry.until:  # longer than the model can see: all up to the cut is final
            utterance.tail = pieces
            self._commit(utterance, len(pieces))
            self._utterance = Utterance(until, utterance.language)
            return
        if hypothesis.settled is None and self._is_stalled(utterance, pieces, until):
            self._restart(utterance)
            return
        self._release(utterance, hypothesis.released)
        if entry.kind is Kind.FINAL:
            utterance.tail = pieces
        elif hypothesis.settled is None and self._collapses(utterance, pieces):
            utterance.doubts += 1
            self._agenda.pop()
            return
        else:
            self._update(utterance, pieces, entry, hypothesis.settled)
        utterance.tail_until, utterance.doubts = until, 0
        self._conclude(entry)
        self._agenda.pop()
        self._forget_audio()

    def _is_stalled(self, utterance: Utterance, pieces: tuple[Piece, ...], until: int) -> bool:
        """Whether the decoder has stopped for good: it writes nothing after the committed words, though speech went on.

        Whisper likes to end its text at the end of a sentence; with that sentence fixed in the prefix it would never
        write what follows. A tail may still be taken back, so a text that stands still with one is no such stop.
        """
        if pieces or utterance.tail or not utterance.prefix:
            return False
        return self._curve.speech_s(utterance.tail_until, until) > self.settings.stream.stall_s

    def _collapses(self, utterance: Utterance, pieces: tuple[Piece, ...]) -> bool:
        """Whether a hypothesis ends long before the one before it did.

        In the middle of speech Whisper now and then ends its text early, and has it whole again an update later.
        """
        if not utterance.tail or utterance.doubts == (_MOST_DOUBTS if pieces else 1):
            return False
        end_s = pieces[-1].end_s if pieces else self._committed_end_s
        return utterance.tail[-1].end_s - end_s > self.settings.stream.collapse_s

    def _restart(self, utterance: Utterance) -> None:
        """Let the window begin anew behind the last committed word, at the quietest place that is near.

        Where that word ends the model does not tell: what it wrote nothing about may count as its end.
        """
        first = round(utterance.prefix[-1].start_s * SAMPLE_RATE_HZ) + _LEAST_WORD
        last = min(first + _LONGEST_WORD, utterance.tail_until)
        begin = self._curve.quietest(first, last) if last > first else first
        self._utterance = Utterance(max(begin, utterance.window_start + FRAME_SAMPLES), utterance.language)

    def _window(self, entry: Decode) -> Window | None:
        """What the model must see for this entry; None when the answer is known or not wanted."""
        utterance = self._utterance
        if utterance is None or utterance.tail_until == entry.until:
            return None
        too_long = entry.until - utterance.window_start > self._max_samples
        if entry.kind is not Kind.FINAL and not self._partials and not too_long:
            return None
        until = self._until(entry, utterance)
        if self._is_new(utterance) and self._curve.speech_s(utterance.window_start, until) < self._min_speech_s:
            return None  # what follows a finalize may be silence, and silence makes the model invent
        known = known_words(utterance.prefix)
        known_until_s = known[-1].end_s - utterance.window_start / SAMPLE_RATE_HZ if known else 0.0
        return Window(
            samples=self._audio.slice(utterance.window_start, until),
            speech_s=self._curve.speech_s(utterance.window_start, until),
            pauses=self._pauses(utterance.window_start, until),
            language=utterance.language if utterance.prefix and not utterance.moved else self._language,
            context=self._context,
            prefix=tuple(token for piece in utterance.prefix for token in piece.tokens),
            draft=tuple(token for piece in utterance.tail for token in piece.tokens),
            hotwords=self._hotwords,
            known_tokens=sum(len(piece.tokens) for piece in known),
            known_until_s=max(0.0, known_until_s),
            memory=utterance.memory,
            settings=self.settings.decode,
        )

    @staticmethod
    def _is_new(utterance: Utterance) -> bool:
        """Whether nothing is known of it but its audio."""
        return not utterance.prefix and utterance.memory is None

    def _pauses(self, start: int, until: int) -> tuple[tuple[float, float], ...]:
        """The silences of a window, in seconds from its beginning."""
        pauses = self._curve.pauses(start, until)
        return tuple(((a - start) / SAMPLE_RATE_HZ, (b - start) / SAMPLE_RATE_HZ) for a, b in pauses)

    def _until(self, entry: Decode, utterance: Utterance) -> int:
        """Where the window ends: at the entry's sample, or within the longest the model can see.

        There at the longest pause of its last fifth, since a long pause is the end of a sentence mostly and a long
        window knows more; else at the longest of its second half; else where that is quietest.
        """
        end = utterance.window_start + self._max_samples
        if entry.until <= end:
            return entry.until
        late, half = end - self._max_samples // 5, end - self._max_samples // 2
        pause = self._curve.longest_pause
        return pause(late, end, _SENTENCE_PAUSE_S) or pause(half, end, 0.0) or self._curve.quietest(half, end)

    def _update(
        self, utterance: Utterance, pieces: tuple[Piece, ...], entry: Decode, settled: int | None = None
    ) -> None:
        count = self._agreed(utterance, pieces, entry) if settled is None else settled
        utterance.tail = pieces
        self._commit(utterance, count)
        self._show(utterance, entry.until, again=count > 0)
        self._shorten(utterance, entry.until)

    def _agreed(self, utterance: Utterance, pieces: tuple[Piece, ...], entry: Decode) -> int:
        stream, now_s = self.settings.stream, entry.until / SAMPLE_RATE_HZ
        sure_until_s, unsure_until_s = now_s - stream.holdback_ms / 1000, now_s - stream.unsure_holdback_ms / 1000
        untils = [sure_until_s if piece.confidence >= stream.sure else unsure_until_s for piece in pieces]
        return agreed(utterance.tail, pieces, untils)

    def _release(self, utterance: Utterance, released: int) -> None:
        """The window begins behind samples that the model needs no more; words before it need not be kept either."""
        utterance.window_start += released
        if released:
            utterance.prefix = ()

    def _show(self, utterance: Utterance, until: int, again: bool) -> None:
        """Say the tail if it changed; again after a `Final`, which takes its place on the reader's side."""
        shown = "".join(piece.text for piece in utterance.tail)
        if self._partials and (shown != utterance.shown or (again and shown)):
            start_s = utterance.tail[0].start_s if utterance.tail else self._committed_end_s
            self._say(Partial(words_of(utterance.tail), start_s, until / SAMPLE_RATE_HZ, utterance.language or ""))
        utterance.shown = shown

    def _conclude(self, entry: Decode) -> None:
        """What an entry of kind FINAL says at last."""
        if entry.kind is not Kind.FINAL:
            return
        utterance = self._utterance or Utterance(entry.until, self._language)
        self._commit(utterance, len(utterance.tail), entry)
        self._utterance = None

    def _commit(self, utterance: Utterance, count: int, entry: Decode | None = None) -> None:
        """The tail's first words become final; with an entry a `Final` is said even when there are none."""
        words, utterance.tail = utterance.tail[:count], utterance.tail[count:]
        if not words and entry is None:
            return
        ends, finalizes = (entry.ends_utterance, entry.from_finalize) if entry else (False, False)
        start_s = words[0].start_s if words else self._committed_end_s
        end_s = words[-1].end_s if words else max(self._committed_end_s, start_s)
        self._committed_end_s = end_s
        utterance.prefix += words
        self._say(Final(words_of(words), start_s, end_s, utterance.language or "", ends, finalizes))

    def _shorten(self, utterance: Utterance, until: int) -> None:
        """Let the window of a long utterance begin at a later committed word.

        That word and those after it stay in the window, given to the decoder as fixed: a cut that is a little off then
        neither loses a word nor says one twice.
        """
        if until - utterance.window_start <= self.settings.stream.window_soft_s * SAMPLE_RATE_HZ:
            return
        kept = cut_place(utterance.prefix, self.settings.stream.overlap_s)
        if kept:
            utterance.window_start = max(utterance.window_start, round(utterance.prefix[kept].start_s * SAMPLE_RATE_HZ))
            utterance.prefix = utterance.prefix[kept:]
            utterance.memory, utterance.moved = None, True

    def _say(self, event: Event) -> None:
        self._events.append(event)
        self._ended = isinstance(event, Ended)

    def _forget_audio(self) -> None:
        """Drop what no window can hold any more."""
        needed = self._agenda.oldest
        if self._utterance:
            needed = min(needed, self._utterance.window_start)
        self._audio.forget(needed)
        self._curve.forget(needed)

    @property
    def _min_speech_s(self) -> float:
        return self.settings.vad.min_speech_ms / 1000

    @property
    def _max_samples(self) -> int:
        return round(self.settings.stream.window_max_s * SAMPLE_RATE_HZ)


def check_audio(samples: np.ndarray, ending: bool) -> None:
    """Raises what `Session.receive_audio` does; `ending` once the stream's end was told."""
    if ending:
        raise SessionError("audio arrived after the end of the stream; open a new session for it")
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype != np.float32:
        raise AudioError(f"found {_form(samples)}; wanted a one-dimensional float32 array, mono at 16 kHz")
    if not np.isfinite(samples).all():
        raise AudioError("found NaN or infinite samples; wanted finite numbers, between -1 and 1 for full scale")


def check_finalize(ending: bool) -> None:
    """Raises what `Session.receive_finalize` does."""
    if ending:
        raise SessionError("finalize arrived after the end of the stream; it commits everything anyway")


def _form(samples: object) -> str:
    if isinstance(samples, np.ndarray):
        return f"an array of {samples.dtype} with shape {samples.shape}"
    return type(samples).__name__
