"""What `scripts/page.py kills` takes for lost: sound that no stream got, and words dropped where two streams meet."""

import json
from typing import Any

import pytest

from scripts.page import Losses, Spoken, Wire, compare, words_of


class Socket:
    """A WebSocket of a browser, as far as the script listens to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.take: Any = None

    def on(self, event: str, listener: Any) -> None:
        self.take = listener

    def final(self, *words: Spoken, received_s: float = 0.0) -> None:
        found = [{"punctuated_word": text, "start": start_s, "end": end_s} for text, start_s, end_s in words]
        self.take(
            json.dumps({"received_bytes": round(received_s * 32_000), "settled_s": found[-1]["end"] if found else 0})
        )
        self.take(json.dumps({"is_final": True, "channel": {"alternatives": [{"words": found}]}}))


class Browser:
    """A page of a browser, which opens WebSockets."""

    def on(self, event: str, listener: Any) -> None:
        self.opened = listener

    def open(self, query: str) -> Socket:
        socket = Socket(f"ws://127.0.0.1/v1/listen?sample_rate=16000&{query}")
        self.opened(socket)
        return socket


ONE, TWO, THREE = ("one", 0.0, 1.0), ("two", 1.0, 2.0), ("three", 2.0, 3.0)


@pytest.fixture
def browser() -> Browser:
    return Browser()


@pytest.fixture
def wire(browser: Browser) -> Wire:
    return Wire(browser)


def test_a_word_that_a_stream_says_again_may_be_dropped(browser: Browser, wire: Wire) -> None:
    """The second stream begins before the end of what is known, and says one word again."""
    browser.open("offset=0").final(ONE, TWO, received_s=2.0)
    browser.open("offset=1.0").final(("two", 1.02, 2.0), THREE, received_s=3.0)
    assert wire.dropped([ONE, TWO, THREE]) == []


def test_a_dropped_word_that_nobody_knew_is_lost(browser: Browser, wire: Wire) -> None:
    """Two words of the second stream are not on the page, and only one of them was known."""
    browser.open("offset=0").final(ONE, TWO, received_s=2.0)
    browser.open("offset=1.0").final(("two", 1.02, 2.0), THREE, received_s=3.0)
    assert wire.dropped([ONE, TWO]) == [["two", "three"]]


def test_a_seam_without_overlap_drops_nothing(browser: Browser, wire: Wire) -> None:
    """A word that is missing after a clean cut is lost, and one that was put on the page is not."""
    browser.open("offset=0").final(ONE, TWO, received_s=2.0)
    browser.open("offset=2.0").final(THREE, received_s=3.0)
    assert wire.dropped([ONE, TWO, THREE]) == []
    assert wire.dropped([ONE, TWO]) == [["three"]]


def test_a_resumed_connection_is_the_same_stream(browser: Browser, wire: Wire) -> None:
    """Its words have no seam before them."""
    browser.open("offset=0").final(ONE, received_s=1.0)
    browser.open("offset=0&resume=abc").final(TWO, received_s=2.0)
    assert len(wire.streams) == 1
    assert wire.dropped([ONE, TWO]) == []


def test_sound_between_two_streams_and_at_the_end_is_unheard(browser: Browser, wire: Wire) -> None:
    """The second stream begins a second after what was final; the tape goes on two seconds after it."""
    browser.open("offset=0").final(ONE, TWO, received_s=2.0)
    browser.open("offset=3.0").final(("four", 3.0, 4.0), received_s=1.0)
    assert wire.unheard_s(4.0) == pytest.approx(1.0, abs=0.11)
    assert wire.unheard_s(6.0) == pytest.approx(3.0, abs=0.11)


def test_a_run_of_missing_words_is_lost_and_a_single_one_is_not() -> None:
    """Two recognitions of the same sound differ in a word at times."""
    wanted = words_of("one two three four five six seven eight")
    for found, is_lost in (("one two four five six seven eight", False), ("one five six seven eight nine", True)):
        losses = Losses()
        compare(losses, wanted, words_of(found))
        assert losses.is_lost == is_lost
    assert losses.extra == 1


@pytest.mark.parametrize("kind", ["hidden", "taken", "notices", "unheard_s", "dropped"])
def test_each_kind_of_loss_counts(kind: str) -> None:
    assert not Losses().is_lost
    assert Losses(**{kind: 1.0 if kind == "unheard_s" else ["x"]}).is_lost
