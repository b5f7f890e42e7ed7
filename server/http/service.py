"""The state that all routes share: settings, the roster of schedulers, admission, metrics, readiness."""

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from asr.aliases import CHAMPION
from asr.audio.streams import StreamDecoder
from asr.config import SAMPLE_RATE_HZ, with_endpoint
from asr.errors import AsrError, AudioError, ConfigError, ModelError
from asr.events import Event, text_of
from asr.languages import closest_code, knows, language_code
from asr.self_test import SAMPLE, fault_of
from asr.transcripts.recording import offline_settings, translating
from server.access.context import current
from server.access.keyring import Keyring
from server.access.quotas import Quotas
from server.access.usage import UsageFile
from server.access.watch import state, watch
from server.audio_blocks import audio_blocks
from server.client.protocol import CHUNK_S
from server.config import ServerSettings
from server.freed_memory import keep_giving_back
from server.http.fetch import Fetcher, FetchError
from server.metrics import Metrics
from server.observer import Observer
from server.roster.roster import Roster
from server.streams.admission import RETRY_AFTER_S, Admission, Unavailable
from server.streams.channels import AnyStream, ChannelStreams
from server.streams.owners import Owners
from server.streams.replica import Patience, StepError
from server.streams.resumption import KeptStreams
from server.streams.scheduler import Scheduler
from server.streams.stream import Stream
from server.streams.witness import Witness
from server.wires.base import Cause, StreamRequest
from server.workers.contract import StreamEngine, StreamSession
from server.workers.messages import StreamOptions

if TYPE_CHECKING:  # they need a ledger, which few servers have
    from asr.ledger.ledger import Ledger
    from asr.ledger.values import Release
    from server.roster.follow import Follower

TRIAL_STREAMS = 2
"""Streams per replica in the measurement at start: one alone costs too much, four in step too little
(docs/log/serving.md#admission-of-streams)."""
CLOSING_S = 1.0
"""The part of `drain_timeout_s` that is kept for closing connections and ending workers."""
OPENING_S = 8.0
"""A handshake is refused after so long: most clients give up after 10 s, and never learn when to come back."""
CHUNK_SAMPLES = round(CHUNK_S * SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class Opening:
    """A requested stream, checked as far as possible without the model's worker."""

    service: "Service"
    request: StreamRequest
    model: str
    decoders: Sequence[StreamDecoder]
    """One, or with `multichannel` one for each channel."""

    async def open(self, *, patient: bool = False) -> AnyStream:
        """Opens the stream; close it in the end. Raises `Unavailable`, and `ConfigError` for an unknown language.

        With `patient` it waits while no worker is ready: the client is connected, and what it sends is kept. Otherwise
        it answers before a client gives up its handshake.
        """
        try:
            async with asyncio.timeout(None if patient else OPENING_S):
                return await self._opened(patient)
        except TimeoutError:
            raise Unavailable(f"no worker opens a stream now; try again in {RETRY_AFTER_S} seconds") from None

    async def _opened(self, patient: bool) -> AnyStream:
        # One for all channels, whatever is assigned meanwhile:
        scheduler = self.service.roster.seat(self.model, current().client)
        witnesses = self._witnesses(scheduler)
        streams: list[Stream] = []
        try:
            with scheduler.held():
                if patient:
                    await scheduler.wait_until_up()
                for decoder, seeing in zip(self.decoders, witnesses, strict=True):
                    streams.append(await self._open(decoder, scheduler, seeing))
        except BaseException as error:
            for stream in streams:
                stream.close()
            for witness in (one for seeing in witnesses[len(streams) :] for one in seeing):
                witness.close("")
            self._note(scheduler, error)
            raise
        return ChannelStreams(streams) if self.request.multichannel else streams[0]

    def _witnesses(self, scheduler: Scheduler) -> list[list[Witness]]:
        """Who follows the stream, channel by channel."""
        if not (observer := self.service.observer):
            return [[] for _ in self.decoders]
        open_on = functools.partial(self._session, live=False)
        request = self.request
        return observer.follow(
            self.model, scheduler, len(self.decoders), open_on, request.language, codec=request.encoding
        )

    def _note(self, scheduler: Scheduler, error: BaseException) -> None:
        """A release that cannot open a stream has failed it."""
        if (observer := self.service.observer) and isinstance(error, Unavailable | StepError):
            cause = Cause.OVERLOADED if isinstance(error, Unavailable) else Cause.INTERNAL
            observer.refuse(self.model, scheduler, cause)

    async def _session(self, scheduler: Scheduler, *, live: bool = True) -> StreamSession:
        """A session of this request, as the scheduler's release would serve it."""
        settings, request = self.service.settings.session, self.request
        if request.endpoint_ms is not None:
            settings = replace(settings, vad=with_endpoint(settings.vad, request.endpoint_ms))
        language = request.language or chosen_language(request.languages, scheduler.engine.languages)
        observer = self.service.observer
        is_measured = live and observer is not None and observer.measures(self.model, scheduler)
        options = StreamOptions(language, request.prompt, request.hotwords, request.partials, is_measured)
        return await scheduler.open(settings, options, live=live)

    async def _open(self, decoder: StreamDecoder, scheduler: Scheduler, witnesses: Sequence[Witness]) -> Stream:
        service, request = self.service, self.request
        service.admission.check_load(scheduler)
        current().serves(scheduler.engine)
        session = await self._session(scheduler)
        return Stream(
            session,
            decoder,
            request,
            scheduler=scheduler,
            limits=service.settings,
            metrics=service.metrics,
            quotas=service.quotas,
            witnesses=witnesses,
        )


class Service:
    """One server. Models have configured names: a client can never name a path or a hub id."""

    def __init__(
        self,
        settings: ServerSettings,
        engines: Sequence[StreamEngine],
        keyring: Keyring | None = None,
        follow: "Callable[[Service], Follower] | None" = None,
    ) -> None:
        """`follow` makes the follower of a ledger, whose models need no engines here."""
        self.settings = settings
        self.metrics = Metrics()
        self.keyring = keyring or Keyring.of(settings)
        self.quotas = Quotas(self.keyring)
        self._watching: list[asyncio.Task[None]] = []
        self._usage = UsageFile(file.with_suffix(".usage.json"), self.quotas) if (file := self.keyring.file) else None
        self._fetcher = Fetcher(settings.max_upload_bytes)
        self.admission = Admission(settings.max_streams, settings.max_load, self.metrics, self.quotas)
        owners = Owners(settings.advertise, self.keyring.shared_secret()) if settings.advertise else Owners()
        self.kept_streams = KeptStreams(settings, self.metrics, owners)
        self.roster = Roster(self.metrics)
        for name in dict.fromkeys(engine.name for engine in engines):
            scheduler = self.scheduler_of([engine for engine in engines if engine.name == name])
            self.roster.add(scheduler)
            self.roster.assign(name, CHAMPION, scheduler)
        self.observer: Observer | None = None
        self.follower = follow(self) if follow else None
        self.followed = self.follower.names if self.follower else ()
        first = settings.models[0].removesuffix(f"@{CHAMPION}")
        self.default_model = first if first in self.followed else engines[0].name
        self._not_ready = "the built-in sample has not been recognised yet"

    def observe(self, ledger: "Ledger") -> None:
        """Notes the streams of the releases in the ledger from now on; to be called before `start`."""
        self.observer = Observer(ledger, self.settings, self.roster, self.metrics)

    def fail_load(self, release: "Release") -> None:
        """Counts a release of the ledger that could not be loaded, and notes it there."""
        self.metrics.failed_loads.labels(release.name).inc()
        if self.observer:
            self.observer.fail_load(release.name, release.number)

    @property
    def schedulers(self) -> Mapping[str, Scheduler]:
        """The champion of each model: what serves a new stream."""
        return self.roster.champions

    def scheduler_of(self, engines: Sequence[StreamEngine]) -> Scheduler:
        """The scheduler of one release's workers, to be started. Raises `ModelError` if their weights differ."""
        patience = Patience(self.settings.step_timeout_s, self.settings.start_timeout_s)
        return Scheduler(engines, self.settings.max_batch, self.metrics, patience=patience)

    async def start(self) -> None:
        """Starts the schedulers, lets every model recognise the built-in sample, and measures what a stream costs."""
        if self.keyring.file:
            files = [self.keyring.file]
            self._watching.append(asyncio.create_task(watch(files, state(files), self.keyring.reload)))
            self.keyring.reload()  # it may have changed while the models were loaded
        self._watching.append(asyncio.create_task(keep_giving_back()))
        if self._usage:
            self._usage.read()
            self._watching.append(asyncio.create_task(self._usage.keep()))
        if self.observer:
            self.observer.start()
        for scheduler in self.roster.schedulers:
            scheduler.start()
        tested = self.roster.schedulers
        reasons = [reason for scheduler in tested if (reason := await self.fault(scheduler))]
        self._not_ready = "; ".join(reasons)
        if not reasons:
            for scheduler in tested:
                await self.calibrate(scheduler)
        if self.follower:
            await self.follower.start()

    async def stop(self) -> None:
        """Stops the schedulers; steps that wait are cancelled."""
        self._not_ready = "the server is shutting down"
        for task in self._watching:
            task.cancel()
        if self._usage:
            self._usage.write()
        if self.follower:
            await self.follower.stop()
        if self.observer:
            await self.observer.stop()
        await asyncio.gather(*(scheduler.stop() for scheduler in self.roster.schedulers))
        self._fetcher.stop()
        if self.follower:  # others are ended by those who started them
            loaded = [s for s in self.roster.schedulers if s.engine.name in self.followed]
            await asyncio.gather(*(self.roster.dismiss(scheduler) for scheduler in loaded))

    async def drain(self) -> None:
        """Ends all streams after their last results, and admits no others."""
        self._not_ready = "the server is shutting down"
        await self.admission.drain(max(self.settings.drain_timeout_s - CLOSING_S, self.settings.drain_timeout_s / 2))
        if self.observer:  # before the workers are killed, which would look like a shadow that fails
            await self.observer.stop()

    def abandon(self) -> None:
        """Kills the workers, so that nothing waits for them any more: the server ends now."""
        if self.follower:
            self.follower.abandon()
        for scheduler in self.roster.schedulers:
            scheduler.abandon()

    @property
    def not_ready(self) -> str:
        """The reason why the server is not ready, "" if it is."""
        troubles = [s.trouble for s in self.schedulers.values()] + [self.follower.trouble if self.follower else ""]
        return self._not_ready or "; ".join(filter(None, troubles))

    def model(self, name: str | None) -> str:
        """The served model that a client means, the default one for None.

        Raises `ModelError` for an unknown name, and `Unavailable` for one that has no release to serve.
        """
        wanted = name or self.default_model
        if wanted in self.schedulers:
            return wanted
        if wanted not in self.followed and self.is_alias(wanted):
            wanted = self.default_model
        if wanted in self.schedulers:
            return wanted
        if wanted in self.followed:
            raise Unavailable(f"no release of model {wanted} can be served; try again later")
        known = ", ".join(self.schedulers)
        raise ModelError(f"unknown model {wanted[:100]!r}; this server has {known}")

    def scheduler(self, model: str | None) -> Scheduler:
        """The champion of a model: what is known of it before a seat is taken. Raises `ModelError`."""
        return self.schedulers[self.model(model)]

    def seat(self, model: str | None) -> Scheduler:
        """Where a stream of this model sits from now on; see `Roster.seat`. Raises `ModelError`."""
        return self.roster.seat(self.model(model))

    def is_alias(self, name: str) -> bool:
        """Whether it is another service's name for a model, which stands for the default one."""
        return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in self.settings.model_aliases)

    def choose(self, model: str | None, languages: Sequence[str]) -> tuple[str, str | None]:
        """The served model's name, and the language to open a stream with, None to detect it.

        Raises `ModelError`, and `ConfigError` for languages of which the model knows none.
        """
        engine = self.scheduler(model).engine
        language = chosen_language(languages, engine.languages)
        if language and not knows(engine.languages, language):
            listed = ", ".join(engine.languages[:12])
            raise ConfigError(f"model {engine.name} does not know language {language[:100]!r}; it knows {listed}")
        return engine.name, language

    def opening(self, request: StreamRequest) -> Opening:
        """The checked request, to be opened. Raises `ModelError`, `AudioError`."""
        model = self.model(request.model)
        channels = range(request.channels) if request.multichannel else (None,)
        decoders = [
            StreamDecoder(request.encoding, request.sample_rate_hz, request.channels, channel=channel)
            for channel in channels
        ]
        return Opening(self, request, model, decoders)

    async def open_stream(self, request: StreamRequest) -> AnyStream:
        """A stream for a connection that holds a place. Raises as `opening` and `Opening.open`."""
        return await self.opening(request).open(patient=True)

    async def open_in_place(self, request: StreamRequest) -> AnyStream:
        """A stream that holds a place until it is closed, for connections that hold none. Raises as `open_stream`."""
        with ExitStack() as held:
            held.enter_context(self.admission.place(_ended_by_connection))
            stream = await self.open_stream(request)
            assert isinstance(stream, Stream)  # no such wire asks for channels
            stream.on_close = held.pop_all().close
        return stream

    @asynccontextmanager
    async def recognition(
        self,
        blocks: AsyncGenerator[np.ndarray, None],
        scheduler: Scheduler,
        *,
        languages: Sequence[str] = (),
        prompt: str = "",
        hotwords: tuple[str, ...] = (),
        endpoint_ms: int | None = None,
        translate: bool = False,
    ) -> AsyncIterator["Recognition"]:
        """A whole recording, in blocks ``(n,)`` of 16 kHz mono float32, to be recognised among live streams.

        `endpoint_ms`: silence that ends an utterance. Raises `ConfigError` for a language that the model does not know,
        and for a translation if it makes none.
        """
        settings = offline_settings(self.settings.session)
        if endpoint_ms is not None:
            settings = replace(settings, vad=replace(settings.vad, endpoint_ms=endpoint_ms))
        if translate:
            settings = translating(settings)
        language = chosen_language(languages, scheduler.engine.languages)
        current().serves(scheduler.engine)
        session = await scheduler.open(settings, StreamOptions(language, prompt, hotwords, partials=False), live=False)
        try:
            yield Recognition(blocks, session, scheduler, self)
        finally:
            scheduler.close(session)
            await blocks.aclose()  # before its file is closed

    async def fetch(self, url: str, file: BinaryIO) -> None:
        """Writes the recording at a public address into the file. Raises `FetchError`, `UploadTooBig`."""
        if not self.settings.fetch_urls:
            raise FetchError(
                "found the address of a recording, wanted its bytes as the body: this server fetches none (fetch_urls)"
            )
        await self._fetcher.fetch(url, file)

    async def calibrate(self, scheduler: Scheduler, rounds: int = 2) -> None:
        """Measures what a stream costs there, in the last of so many rounds."""
        scheduler.calibrate(await self._cost(scheduler, rounds))

    async def _cost(self, scheduler: Scheduler, rounds: int) -> float:
        """Seconds of a replica's work for one second of audio in a live stream, measured on the built-in sample.

        Measured with as many streams in step as usually share a batch. A round before the last one only warms up.
        """
        with SAMPLE.open("rb") as file:
            samples = np.concatenate([block async for block in audio_blocks(file)])
        count = TRIAL_STREAMS * len(scheduler.loads)
        for _ in range(rounds):
            began_s = time.perf_counter()
            await asyncio.gather(*(self._stream_sample(samples, scheduler) for _ in range(count)))
        return (time.perf_counter() - began_s) / TRIAL_STREAMS / (len(samples) / SAMPLE_RATE_HZ)

    async def _stream_sample(self, samples: np.ndarray, scheduler: Scheduler) -> None:
        """The sample as a live stream, as fast as possible."""
        session = await scheduler.open(self.settings.session, StreamOptions(language=_english(scheduler)))
        for start in range(0, len(samples), CHUNK_SAMPLES):
            session.receive_audio(samples[start : start + CHUNK_SAMPLES])
            while session.ready:
                await scheduler.step(session)
        scheduler.close(session)

    async def fault(self, scheduler: Scheduler) -> str:
        """Why this release must not serve, by the built-in sample; "" if it may."""
        name = scheduler.ref
        languages = [code] if (code := _english(scheduler)) else []
        try:
            with SAMPLE.open("rb") as file:
                async with self.recognition(audio_blocks(file), scheduler, languages=languages) as recognition:
                    text = text_of([event async for events in recognition.events() for event in events])
        except AsrError as error:
            return f"model {name} failed on the built-in sample: {error}"
        return fault_of(text, name, bool(languages))


def _ended_by_connection() -> None:
    """Ends a stream at shutdown: its connection is present as well, and ends it."""


class Recognition:
    """One recording at the model."""

    def __init__(
        self, blocks: AsyncIterator[np.ndarray], session: StreamSession, scheduler: Scheduler, service: Service
    ) -> None:
        self._blocks, self._session, self._scheduler, self._service = blocks, session, scheduler, service

    @property
    def engine(self) -> StreamEngine:
        """The model: its name, weights and architecture."""
        return self._scheduler.engine

    @property
    def received_s(self) -> float:
        """Seconds of audio read so far: its length when `events` has ended."""
        return self._session.received_s

    async def events(self) -> AsyncIterator[list[Event]]:
        """The session's events as they come, once. The first list shows that the audio can be decoded.

        Raises `AudioError`, `StepError`, `Unavailable`, `QuotaError`, `KeyRemovedError`.
        """
        async for block in self._blocks:
            self._session.receive_audio(block)
            self._count(len(block) / SAMPLE_RATE_HZ)
            async for events in self._steps():
                yield events
        if not self.received_s:
            raise AudioError("found a file without any audio, wanted a recording")
        self._session.receive_end()
        async for events in self._steps():
            yield events

    def _count(self, seconds: float) -> None:
        self._service.metrics.audio_s.inc(seconds)
        self._service.quotas.count_audio(seconds)

    async def _steps(self) -> AsyncIterator[list[Event]]:
        yield self._session.take_events()
        while self._session.ready:
            await self._scheduler.step(self._session)
            yield self._session.take_events()


def chosen_language(candidates: Sequence[str], known: Sequence[str]) -> str | None:
    """The language to open a session with: the only candidate among those the model knows; None, to detect, for more.

    `known` are the model's, empty if it does not say. Where it knows none of the candidates the first is returned, and
    the model refuses it. Raises `ConfigError` for a name that is no language.
    """
    if not all(map(language_code, candidates)):  # "multi": any
        return None
    possible = {closest_code(name): name for name in candidates if knows(known, name)}
    if len(possible) > 1 or not candidates:
        return None
    return next(iter(possible.values()), candidates[0])


def _english(scheduler: Scheduler) -> str | None:
    return "en" if "en" in scheduler.engine.languages else None
