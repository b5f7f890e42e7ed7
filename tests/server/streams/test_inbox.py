"""The bounded queue between a connection's reader and its worker."""

import asyncio

import pytest

from server.streams.inbox import Inbox


def test_items_come_out_in_order_and_the_queue_is_bounded() -> None:
    """A producer that awaits room waits until the consumer has taken an item."""

    async def fill() -> None:
        inbox: Inbox[str] = Inbox(100)
        inbox.put("a", 90)
        await inbox.room()
        inbox.put("b", 90)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.room(), 0.01)
        assert inbox.take() == "a"
        await inbox.room()
        assert (inbox.take(), inbox.take()) == ("b", None)

    asyncio.run(fill())


def test_items_without_a_size_fill_the_inbox_too() -> None:
    """A flood of empty messages is stopped like a flood of audio."""

    async def flood() -> None:
        inbox: Inbox[int] = Inbox(1000)
        for count in range(1000):
            await asyncio.wait_for(inbox.room(), 0.01)
            inbox.put(count)

    with pytest.raises(TimeoutError):
        asyncio.run(flood())
