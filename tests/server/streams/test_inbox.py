"""The bounded queue between a connection's reader and its worker, and its file on disk."""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.streams.inbox import Inbox
from server.streams.spool import Spool
from server.wires.base import Audio, End, Finalize


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def has_room(inbox: Inbox) -> bool:
    try:
        await asyncio.wait_for(inbox.room(), 0.01)
    except TimeoutError:
        return False
    return True


@in_a_loop
async def test_commands_come_out_in_order_from_memory_and_disk() -> None:
    """Also when audio in memory follows audio on disk."""
    inbox = Inbox(100, 1000)
    commands = [Audio(b"a" * 90), Audio(b"b" * 50), Finalize(), Audio(b"c" * 50), Audio(b"d" * 9), End()]
    for command in commands:
        inbox.put(command)
    assert [inbox.take() for _ in range(2)] == commands[:2]
    inbox.put(Audio(b"e"))
    assert [inbox.take() for _ in range(6)] == [*commands[2:], Audio(b"e"), None]
    inbox.close()


@in_a_loop
async def test_the_reader_waits_only_when_the_disk_is_full() -> None:
    """Then it waits until the consumer has taken something."""
    inbox = Inbox(100, 500)
    put = 0
    while await has_room(inbox):
        inbox.put(Audio(bytes(90)))
        put += 1
    assert put >= 5
    while not await has_room(inbox):
        assert isinstance(inbox.take(), Audio)
    inbox.close()


@in_a_loop
async def test_a_flood_of_messages_without_audio_is_stopped() -> None:
    """They stay in memory, so they count there."""
    inbox = Inbox(1000, 10_000)
    for _ in range(100):
        if not await has_room(inbox):
            return
        inbox.put(Finalize())
    pytest.fail("a hundred messages without a size fit into 1000 bytes")


def test_a_disk_that_takes_nothing_slows_the_sender_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost: what was not written stays in memory."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        monkeypatch.setattr("os.pwrite", full)
        inbox = Inbox(100, 1000)
        inbox.put(Audio(b"a" * 90))
        assert await has_room(inbox)
        inbox.put(Audio(b"b" * 90))
        assert not await has_room(inbox)
        assert [inbox.take(), inbox.take()] == [Audio(b"a" * 90), Audio(b"b" * 90)]
        inbox.close()

    asyncio.run(run())


@in_a_loop
async def test_what_waits_on_disk_can_be_dropped() -> None:
    """With all that came after it; later commands are queued as ever."""
    inbox = Inbox(100, 1000)
    for command in (Audio(b"a" * 90), Audio(b"b" * 50), Finalize()):
        inbox.put(command)
    inbox.drop_spooled()
    inbox.put(End())
    assert [inbox.take() for _ in range(3)] == [Audio(b"a" * 90), End(), None]
    inbox.close()


def test_the_spool_is_a_ring_that_never_exceeds_its_capacity() -> None:
    """Random puts and takes, many times around the ring, give the same byte strings in the same order."""
    chance = random.Random(7)
    spool, expected, numbers = Spool(1000), deque[bytes](), itertools.count()
    for _ in range(3000):
        data = bytes([next(numbers) % 256]) * chance.randrange(1, 400)
        if chance.random() < 0.6 and spool.fits(len(data)):
            spool.put(data)
            expected.append(data)
        elif expected:
            assert spool.take() == expected.popleft()
        assert sum(map(len, expected)) <= 1000
    spool.clear()
