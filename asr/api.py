"""`asr.transcribe`, `asr.segments` and `asr.open`: a recording or a stream in a few lines of Python, in this process.

The same code as the command line and the server, and so the same words.
"""

import functools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import numpy as np

from asr.audio.streams import StreamDecoder
from asr.config import DEFAULT_MODEL, SAMPLE_RATE_HZ, SessionSettings
from asr.engine import Engine
from asr.errors import AudioError, SessionError
from asr.events import Event, Final, Word, text_of
from asr.transcripts.formats import Segment, Transcript, iter_segments
from asr.transcripts.recording import Source, finals_of, mono_floats, offline_settings
from asr.transcripts.recording import transcribe as transcribe_recording


def transcribe(
    source: Source,
    model: str | Engine = DEFAULT_MODEL,
    *,
    language: str | None = None,
    prompt: str = "",
    hotwords: Sequence[str] = (),
    beam_size: int = 1,
) -> Transcript:
    """The transcript of a file (a path, its bytes or a file opened with "rb"), or of mono samples ``(n,)`` at 16 kHz:
    floats from -1 to 1, or int16.

    `model`: a name from `asr models`, a folder, a hub id, or an `Engine`. The two most recent models that were given by
    name stay loaded. `prompt`: text that the decoder treats as spoken before. `hotwords`: names and words to expect.
    `beam_size`: hypotheses kept in parallel; 1 is greedy search.
    Warns (`UserWarning`) of what the command prints on standard error: a file that is cut, a model that probably does
    not know the language. Raises `asr.errors.AudioError`, `ModelError`, `ConfigError`.
    """
    notices: list[str] = []
    transcript = transcribe_recording(
        source,
        _engine_of(model),
        language=language,
        prompt=prompt,
        hotwords=hotwords,
        settings=offline_settings(beam_size=beam_size),
        on_notice=notices.append,
    )
    for notice in notices:
        warnings.warn(notice, stacklevel=2)
    return transcript


def segments(
    source: Source,
    model: str | Engine = DEFAULT_MODEL,
    *,
    language: str | None = None,
    prompt: str = "",
    hotwords: Sequence[str] = (),
    beam_size: int = 1,
) -> Iterator[Segment]:
    """The segments of `transcribe(...)`, each as soon as it is recognised, for recordings that are long.

    Takes and raises the same; the errors of the model and the options at the call, those of the audio while it is read.
    """
    engine = _engine_of(model)
    session = engine.open(
        offline_settings(beam_size=beam_size), language=language, prompt=prompt, hotwords=hotwords, partials=False
    )
    return iter_segments(finals_of(source, engine, session))


def open(
    model: str | Engine = DEFAULT_MODEL,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    language: str | None = None,
    prompt: str = "",
    hotwords: Sequence[str] = (),
    partials: bool = True,
    settings: SessionSettings | None = None,
) -> "LiveStream":
    """A stream of speech: feed it audio, and it gives words as they are said.

    `model`, `language`, `prompt` and `hotwords` as for `transcribe`. `sample_rate_hz`: of the audio that will be fed.
    `partials` False: no `Partial` events, only words that stay. `settings`: those of the server, `[session]`.
    Raises `ModelError`, `ConfigError`, and `AudioError` for a rate that no recording has.
    """
    return LiveStream(
        _engine_of(model),
        sample_rate_hz,
        settings=settings,
        language=language,
        prompt=prompt,
        hotwords=hotwords,
        partials=partials,
    )


class LiveStream:
    """One open stream; `asr.open` makes it. Not for two threads at once; the model's work is done in the caller's.

    In an event loop call it off the loop: ``events = await asyncio.to_thread(stream.feed, block)``.
    """

    def __init__(
        self,
        engine: Engine,
        sample_rate_hz: int,
        *,
        settings: SessionSettings | None,
        language: str | None,
        prompt: str,
        hotwords: Sequence[str],
        partials: bool,
    ) -> None:
        self._engine = engine
        self._decoder = StreamDecoder("linear32", sample_rate_hz, 1)
        self._session = engine.open(settings, language=language, prompt=prompt, hotwords=hotwords, partials=partials)
        self._finals: list[Event] = []

    def __enter__(self) -> "LiveStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: a stream holds only memory. Words that were not asked for by `finish` are dropped."""

    @property
    def text(self) -> str:
        """All words so far that stay."""
        return text_of(self._finals)

    def feed(self, samples: np.ndarray | bytes) -> list[Event]:
        """The events that this much more audio brings.

        `samples`: mono floats or int16 ``(n,)``, any length; or bytes of mono PCM16, little-endian, whole samples.
        Raises `AudioError` for another shape or type, and `SessionError` after `finish`.
        """
        if self._session.ended:
            raise SessionError("found audio after finish(), wanted it before; open another stream")
        for piece in self._decoder.pieces(_floats(samples).tobytes()):
            self._session.receive_audio(piece)
        return self._stepped()

    def finalize(self) -> list[Event]:
        """Makes all words so far final, as when the speaker's turn is known to have ended."""
        self._session.receive_finalize()
        return self._stepped()

    def finish(self) -> list[Event]:
        """The last events; the last one is `Ended`. Nothing the second time."""
        if self._session.ended:
            return []
        for piece in self._decoder.last_pieces():
            self._session.receive_audio(piece)
        self._session.receive_end()
        return self._stepped()

    def words(self, blocks: Iterable[np.ndarray | bytes] | np.ndarray | bytes) -> Iterator[Word]:
        """Feeds blocks until they end, then finishes: the words, each once and as soon as it stays.

        One array, or bytes, is one block.
        """
        for block in [blocks] if isinstance(blocks, np.ndarray | bytes) else blocks:
            yield from _words(self.feed(block))
        yield from _words(self.finish())

    def _stepped(self) -> list[Event]:
        while self._session.ready:
            self._engine.step([self._session])
        events = self._session.take_events()
        self._finals += (event for event in events if isinstance(event, Final))
        return events


def _words(events: Iterable[Event]) -> Iterator[Word]:
    for event in events:
        if isinstance(event, Final):
            yield from event.words


def _floats(samples: np.ndarray | bytes) -> np.ndarray:
    if isinstance(samples, bytes | bytearray | memoryview):
        if len(samples) % 2:
            raise AudioError(f"found {len(samples)} bytes, wanted whole samples of two bytes (PCM16)")
        samples = np.frombuffer(samples, "<i2")
    if not isinstance(samples, np.ndarray):
        raise AudioError(f"found {type(samples).__name__}, wanted mono samples (n,), or bytes of PCM16")
    return mono_floats(samples)


def _engine_of(model: str | Engine) -> Engine:
    return model if isinstance(model, Engine) else _engine(model)


@functools.lru_cache(maxsize=2)
def _engine(model: str) -> Engine:
    return Engine.load(model)
