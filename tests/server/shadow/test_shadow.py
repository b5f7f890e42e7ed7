"""The second hearing: the other release's live text, whole pairs or none, and never a word outside of memory."""

import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.aliases import SHADOW
from asr.config import SAMPLE_RATE_HZ
from server.shadow.comparison import compare
from server.shadow.recording import Said
from server.workers.messages import Audio, Call, End, Finalize, StreamOptions
from tests.server.fakes import WORD_S
from tests.server.running import pcm
from tests.server.shadow.rig import (
    FOLLOWED,
    OPTIONS,
    LetterEngine,
    OtherEngine,
    Rig,
    live_text,
    second_hearing,
    speak,
    word,
)

HALF_HOUR_LATE = 1800.0


def calls_of(samples: np.ndarray, seed: int, finalizes: int = 3) -> list[Call]:
    """The samples cut anywhere, with requests for finals anywhere between them."""
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(1, len(samples)), 40))
    calls: list[Call] = [Audio(part) for part in np.split(samples, cuts)]
    for _ in range(finalizes):
        calls.insert(rng.randrange(1, len(calls)), Finalize())
    return [*calls, End()]


SHORT, LONG = 4.0, 15.0
"""Streams of less and of more than a block."""


@pytest.mark.parametrize("seed", range(5))
def test_the_shadow_hears_its_releases_live_text(seed: int) -> None:
    """However the audio was cut, wherever finals were asked for, and however long its turn was awaited."""
    samples = np.zeros(round(47.3 * SAMPLE_RATE_HZ), np.float32)
    calls = calls_of(samples, seed)
    heard = second_hearing(OtherEngine(), OPTIONS, calls, load=[0.9, 0.7] * seed)
    assert heard == live_text(OtherEngine(), OPTIONS, calls)
    assert "Zqother" in heard


def test_a_pair_has_the_numbers_of_both_texts(tmp_path: Path) -> None:
    """30 s are 60 words, of which every third is another one."""

    async def run() -> None:
        async with Rig(tmp_path) as rig:
            [stream] = await rig.open()
            text = await speak(stream, pcm(11.0), None, pcm(19.0))
            await rig.heard()
            [pair] = await rig.pairs()
            assert (pair.words, pair.challenger_words, pair.distance) == (60, 60, 20) == (len(text.split()), 60, 20)
            assert (pair.name, pair.champion, pair.challenger, pair.language) == ("scripted-1", 1, 2, "en")
            assert (pair.stream_id, pair.client, pair.audio_s) == (FOLLOWED.stream_id, FOLLOWED.client, 30.0)
            assert pair.draw_probability == 1.0
            assert pair.is_drawn
            assert rig.metric("asr_shadow_bytes") == 0.0
            labels = {"model": "scripted-1", "release": "scripted-1/1", "challenger": "scripted-1/2"}
            assert rig.metric("asr_shadow_distance_total", **labels) == 20
            assert rig.metric("asr_shadow_words_total", **labels) == 60

    asyncio.run(run())


def test_a_stream_without_words_is_a_pair_without_difference(tmp_path: Path) -> None:
    """Less than one word of audio: nothing to say for either."""

    async def run() -> None:
        async with Rig(tmp_path) as rig:
            [stream] = await rig.open()
            await speak(stream, pcm(0.3))
            await rig.heard()
            [pair] = await rig.pairs()
            assert (pair.words, pair.challenger_words, pair.distance, pair.draw_probability) == (0, 0, 0, 0.0)
            assert not pair.is_drawn

    asyncio.run(run())


def test_the_channels_of_a_stream_are_one_pair(tmp_path: Path) -> None:
    """Two channels of 6 s and of 9 s: 12 and 18 words. They are one client's stream."""

    async def run() -> None:
        async with Rig(tmp_path) as rig:
            one, other = await rig.open(channels=2)
            await speak(one, pcm(6.0))
            await speak(other, pcm(9.0))
            await rig.heard()
            [pair] = await rig.pairs()
            assert (pair.words, pair.distance, pair.audio_s) == (30, 10, 9.0)

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_while_live_lanes_are_busy_the_shadow_waits_and_then_hears_everything(tmp_path: Path, seconds: float) -> None:
    """Not one step is made before, whatever has piled up, and all that waits is counted: its memory and its age. No
    session is open for it."""

    async def run() -> None:
        engine = OtherEngine()
        async with Rig(tmp_path, challenger=engine) as rig:
            rig.load = 0.7
            streams = [(await rig.open())[0] for _ in range(3)]
            for stream in streams:
                await speak(stream, pcm(seconds))
            await asyncio.sleep(0.2)
            assert not any(engine.batches)  # the watch sends empty ones
            assert not engine.opened
            assert rig.metric("asr_shadow_lag_seconds") >= 0.2
            assert rig.metric("asr_shadow_bytes") > 3 * seconds * SAMPLE_RATE_HZ * 4
            rig.load = 0.5
            await rig.heard()
            third = int(seconds / WORD_S) // 3
            assert [pair.distance for pair in await rig.pairs()] == [third, third, third]
            assert rig.metric("asr_shadow_lag_seconds") == rig.metric("asr_shadow_bytes") == 0.0

    asyncio.run(run())


def test_a_long_stream_is_heard_while_it_is_spoken(tmp_path: Path) -> None:
    """Its audio does not pile up: blocks are freed once they are recognised."""

    async def run() -> None:
        async with Rig(tmp_path, max_bytes=25 * SAMPLE_RATE_HZ * 4) as rig:
            [stream] = await rig.open()
            for _ in range(10):
                await stream.receive_audio(pcm(10.0))
                while stream.ready:
                    await stream.step()
                    stream.take_events()
                while rig.metric("asr_shadow_bytes") > 11 * SAMPLE_RATE_HZ * 4:
                    await asyncio.sleep(0.01)
            await speak(stream)
            await rig.heard()
            assert rig.dropped("memory") == 0

    asyncio.run(run())


def test_short_streams_that_wait_take_no_more_than_the_bound(tmp_path: Path) -> None:
    """Each is less than a block, and all together are more than there is room for."""

    async def run() -> None:
        async with Rig(tmp_path, max_bytes=20 * SAMPLE_RATE_HZ * 4) as rig:
            rig.load = 1.0
            for _ in range(8):
                [stream] = await rig.open()
                await speak(stream, pcm(SHORT))
            assert rig.dropped("memory") == 4
            rig.load = 0.0
            await rig.heard()
            assert [pair.audio_s for pair in await rig.pairs()] == [SHORT] * 4

    asyncio.run(run())


def test_a_stream_for_which_there_is_no_memory_is_dropped_whole(tmp_path: Path) -> None:
    """The one that does not fit goes; another one that does is a pair. Nothing of it stays in memory."""

    async def run() -> None:
        async with Rig(tmp_path, max_bytes=20 * SAMPLE_RATE_HZ * 4) as rig:
            rig.load = 1.0
            [long] = await rig.open()
            await speak(long, pcm(15.0), pcm(15.0))
            assert rig.metric("asr_shadow_bytes") == 0.0
            [short] = await rig.open()
            await speak(short, pcm(15.0))
            rig.load = 0.0
            await rig.heard()
            assert rig.dropped("memory") == 1
            assert [pair.audio_s for pair in await rig.pairs()] == [15.0]

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_a_stream_that_is_too_far_behind_is_dropped_whole(tmp_path: Path, seconds: float) -> None:
    async def run() -> None:
        async with Rig(tmp_path, max_lag_s=0.1) as rig:
            rig.load = 1.0
            [stream] = await rig.open()
            await speak(stream, pcm(seconds))
            await rig.heard()
            assert rig.dropped("late") == 1
            assert rig.metric("asr_shadow_bytes") == 0.0
            assert await rig.pairs() == []

    asyncio.run(run())


def test_a_shadow_that_is_taken_away_in_the_middle_leaves_no_pair(tmp_path: Path) -> None:
    """By the alias, or by a scheduler that stops: the steps that wait there end."""

    async def run() -> None:
        engine = OtherEngine()
        async with Rig(tmp_path, challenger=engine) as rig:
            rig.load = 1.0
            [stream] = await rig.open()
            await speak(stream, pcm(30.0))
            rig.is_shadow = False
            await rig.heard()
            rig.is_shadow, rig.load = True, 0.0
            engine.gate.clear()
            [other] = await rig.open()
            await speak(other, pcm(30.0))
            await rig.challenger.stop()
            await rig.heard()
            assert rig.dropped("withdrawn") == 2
            assert await rig.pairs() == []

    asyncio.run(run())


@pytest.mark.parametrize("language", [None, "fr"])
def test_a_release_that_fails_on_a_stream_is_counted_and_the_client_notices_nothing(
    tmp_path: Path, language: str | None
) -> None:
    """By a step that fails, or by a language that it does not know."""

    class Broken(OtherEngine):
        def step(self, sessions: Any) -> bool:
            raise RuntimeError("broken weights")

    async def run() -> None:
        engine = Broken() if language is None else OtherEngine()
        champion = LetterEngine()
        champion.languages = ("en", "fr")  # type: ignore[assignment]
        async with Rig(tmp_path, champion=champion, challenger=engine) as rig:
            [stream] = await rig.open(options=StreamOptions(language, partials=True))
            assert len((await speak(stream, pcm(30.0))).split()) == 60
            await rig.heard()
            assert rig.dropped("failed") == 1
            assert await rig.pairs() == []
            [outcome] = rig.ledger.outcomes("scripted-1")
            assert (outcome.release, outcome.arm, outcome.cause) == (2, SHADOW, "internal")
            assert 0.0 < outcome.audio_s <= 30.0  # it fails while the stream goes on, or at its end

    asyncio.run(run())


def test_a_stream_whose_client_left_has_no_pair(tmp_path: Path) -> None:
    """It did not get its last words, which the shadow would have. A probe without audio is not even counted."""

    async def run() -> None:
        async with Rig(tmp_path) as rig:
            [stream] = await rig.open()
            await speak(stream, pcm(30.0), cause="gone", end=False)
            [probe] = await rig.open()
            probe.close()
            await rig.heard()
            assert rig.dropped("unfinished") == 1
            assert await rig.pairs() == []

    asyncio.run(run())


def test_a_server_that_stops_waits_for_no_hearing(tmp_path: Path) -> None:
    async def run() -> None:
        async with Rig(tmp_path) as rig:
            rig.load = 1.0
            for _ in range(3):
                [stream] = await rig.open()
                await speak(stream, pcm(30.0))
            await rig.shadow.stop()
            await rig.heard()
            assert rig.dropped("stopped") == 3

    asyncio.run(run())


def test_no_word_leaves_the_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The ledger's files, the log and the metrics have no word of either text, also where streams are dropped."""

    async def run() -> str:
        async with Rig(tmp_path, max_bytes=40 * SAMPLE_RATE_HZ * 4) as rig:
            for seconds in (10.0, 30.0, 60.0):
                [stream] = await rig.open()
                await speak(stream, pcm(seconds))
            [poisoned] = await rig.open()
            await poisoned.receive_audio(pcm(3.0))
            poisoned.close("gone")
            await rig.heard()
            assert len(await rig.pairs()) == 2
            return rig.metrics.render().decode()

    with caplog.at_level(0):
        written = asyncio.run(run()) + caplog.text
    written += "".join(file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file())
    assert "scripted-1" in written
    assert not [one for one in ("zqother", "Zqother", *map(word, range(120))) if one in written]


SPOKEN = [Said(" Twenty-five", "en"), Said(" metres.", "en")]


@pytest.mark.parametrize(
    ("champion", "challenger", "language", "wanted"),
    [
        (SPOKEN, [Said(" 25 meters", "en")], None, ("en", 3, 3, 0)),
        (SPOKEN, [], None, ("en", 3, 0, 3)),
        ([], SPOKEN, None, ("en", 0, 3, 3)),
        ([], [], None, ("", 0, 0, 0)),
        ([Said("今日は", "ja")], [Said("今日わ", "ja")], None, ("ja", 3, 3, 1)),
        ([Said(" a", "en"), Said(" b", "de"), Said(" c", "de")], [Said(" a b c", "en")], None, ("de", 3, 3, 0)),
        ([Said(" colour", "fr")], [Said(" color", "fr")], "en-GB", ("en-GB", 1, 1, 0)),
    ],
)
def test_texts_are_compared_as_the_evaluation_scores_them(
    champion: list[Said], challenger: list[Said], language: str | None, wanted: tuple[Any, ...]
) -> None:
    """Numbers, spellings and characters by the same normaliser; the language that was asked for, else the usual one."""
    found = compare([champion], [challenger], language)
    assert (found.language, found.words, found.challenger_words, found.distance) == wanted


def test_the_distance_is_a_metric() -> None:
    """Two texts that differ in d words differ by at most d errors against whatever was said."""
    rng = random.Random(3)
    words = ["one", "two", "health", "care", "healthcare", "25"]
    texts = [" ".join(rng.choices(words, k=rng.randrange(9))) for _ in range(60)]

    def distance(one: str, other: str) -> int:
        return compare([[Said(one, "en")]], [[Said(other, "en")]], "en").distance

    for old, new, said in zip(texts[::3], texts[1::3], texts[2::3], strict=True):
        assert abs(distance(new, said) - distance(old, said)) <= distance(new, old)
