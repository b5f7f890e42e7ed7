"""Another release behind a model's name while streams sit on the old one."""

import asyncio
import json
import urllib.request
from collections.abc import Coroutine
from typing import Any

import pytest

from asr.aliases import CHAMPION
from asr.config import SessionSettings
from asr.errors import ModelError
from server.config import load_settings
from server.http.service import Service
from server.streams.scheduler import Scheduler
from server.wires.base import StreamRequest
from server.workers.messages import StreamOptions
from tests.server.fakes import ScriptedEngine, words
from tests.server.roster.speaking import releases, speak
from tests.server.running import CLOSE, Running, eventually, running, transcript, until_closed, wav


def engine_of(number: int) -> ScriptedEngine:
    """Unreal: all releases give the same words."""
    engine = ScriptedEngine()
    engine.release, engine.weights_sha256 = f"scripted-1/{number}", str(number) * 64
    return engine


def on_loop(server: Running, work: Coroutine[Any, Any, Any]) -> Any:
    """Runs it on the server's event loop."""
    loop = server.service.roster.schedulers[0]._replicas[0]._tasks.copy().pop().get_loop()
    return asyncio.run_coroutine_threadsafe(work, loop).result(30)


async def loaded(service: Service, engine: ScriptedEngine) -> Scheduler:
    scheduler = service.scheduler_of([engine])
    service.roster.add(scheduler)
    scheduler.start()
    return scheduler


async def put_live(service: Service, engine: ScriptedEngine) -> Scheduler:
    scheduler = await loaded(service, engine)
    service.roster.assign("scripted-1", CHAMPION, scheduler)
    return scheduler


@pytest.fixture
def numbered() -> Any:
    with running(engine_of(1)) as server:
        yield server


def test_a_stream_keeps_its_release_and_a_new_one_gets_the_new(numbered: Running) -> None:
    """The old stream's finals before and after the assignment name one release, and no word is lost or repeated."""
    old = numbered.service.schedulers["scripted-1"]
    with numbered.listen() as first:
        before = speak(first)
        new = on_loop(numbered, put_live(numbered.service, engine_of(2)))
        with numbered.listen() as second:
            assert releases(speak(second)) == {"scripted-1/2"}
            assert (old.seats, new.seats) == (1, 1)
            after = speak(first)
            first.send(CLOSE)
            rest, code = until_closed(first)
    assert releases(before + after + rest) == {"scripted-1/1"}
    assert (transcript(before + after + rest), code) == (words(8), 1000)
    eventually(lambda: old in numbered.service.roster.unused)


def test_an_uploaded_recording_names_its_release(numbered: Running) -> None:
    """In the answer's metadata, in the list of models, and nowhere the release before."""
    on_loop(numbered, put_live(numbered.service, engine_of(2)))
    request = urllib.request.Request(f"{numbered.url}/v1/listen", wav(2.0), {"Content-Type": "audio/wav"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["metadata"]["release"] == "scripted-1/2"
    assert json.loads(numbered.get("/v1/models"))["data"][0]["release"] == "scripted-1/2"


def test_metrics_count_by_release_and_forget_one_that_has_left(numbered: Running) -> None:
    """Two releases of one name side by side, each with its own figures; after the old one's end no series is left."""
    old = numbered.service.schedulers["scripted-1"]
    with numbered.listen() as socket:
        speak(socket)
        on_loop(numbered, put_live(numbered.service, engine_of(2)))
        with numbered.listen() as other:
            speak(other)
            for release in ("scripted-1/1", "scripted-1/2"):
                labels = {"model": "scripted-1", "release": release}
                assert numbered.metric("asr_seats", **labels) == 1
                assert numbered.metric("asr_step_seconds_count", **labels) > 0
                assert numbered.metric("asr_lanes_ready", **labels) == 1
    assert numbered.metric("asr_swaps_total", model="scripted-1", alias="champion") == 2
    eventually(lambda: old in numbered.service.roster.unused)
    on_loop(numbered, numbered.service.roster.dismiss(old))
    text = numbered.get("/metrics")
    assert ("scripted-1/1" in text, "scripted-1/2" in text) == (False, True)


def test_a_model_without_a_ledger_names_no_release(scripted: Running) -> None:
    """As before: clients see no new field."""
    with scripted.listen() as socket:
        speak(socket)
        socket.send(CLOSE)
        messages, _ = until_closed(socket)
    assert "release" not in json.dumps(messages)
    assert "release" not in scripted.get("/v1/models")


def test_all_channels_of_a_stream_sit_on_one_release() -> None:
    """Also if another release becomes the champion between the opening of the first and of the second channel."""
    first, second = engine_of(1), engine_of(2)
    service = Service(load_settings(max_load=99.0), [first])

    async def work() -> None:
        await service.start()
        scheduler = await loaded(service, second)
        opened = service.schedulers["scripted-1"].open

        async def open_and_swap(*given: Any, **options: Any) -> Any:
            session = await opened(*given, **options)
            service.roster.assign("scripted-1", CHAMPION, scheduler)
            return session

        service.schedulers["scripted-1"].open = open_and_swap  # type: ignore[method-assign]
        stream = await service.open_stream(StreamRequest("linear16", 16_000, channels=2, multichannel=True))
        assert service.schedulers["scripted-1"] is scheduler
        assert (scheduler.seats, stream.engine) == (0, first)
        stream.close()
        await service.stop()

    asyncio.run(work())


def test_a_scheduler_is_not_empty_while_a_stream_is_being_opened() -> None:
    """Else it might be stopped between the choice of the seat and the open session."""
    engine = engine_of(1)
    service = Service(load_settings(), [engine])

    async def work() -> None:
        await service.start()
        scheduler = service.schedulers["scripted-1"]
        assert scheduler.is_empty
        opening = asyncio.create_task(scheduler.open(SessionSettings(), StreamOptions()))
        await asyncio.sleep(0)
        assert not scheduler.is_empty
        scheduler.close(await opening)
        assert scheduler.is_empty
        await service.stop()

    asyncio.run(work())


def test_workers_of_one_name_with_different_weights_are_refused() -> None:
    """Files that changed while the workers were loaded: a stream that moves to another worker would get other words."""
    other = ScriptedEngine()
    other.weights_sha256 = "6" * 64
    with pytest.raises(ModelError, match=r"model scripted-1: found workers with different weights \(5{12}, 6{12}\)"):
        Service(load_settings(), [ScriptedEngine(), other])
