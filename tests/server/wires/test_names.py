"""Names and phrases in any script, on every wire that takes expected words."""

import json

import pytest

from asr.errors import CallerError
from server.wires.base import Open
from server.wires.deepgram_flux import parse_flux
from server.wires.deepgram_prerecorded import parse_prerecorded
from server.wires.deepgram_query import parse_query
from server.wires.jambonz import JambonzWire
from server.wires.names import is_name
from server.wires.openai_transcriptions import parse_form

NAMES = [
    "Đà Nẵng",
    "Da\u0323\u0300 Na\u0306\u0303ng",  # the same with combining marks
    "北京市",
    "東京\u3000タワー",
    "می\u200cخواهم",
    "क्\u200dष",
    "👩\u200d👧🏽",
    "🏴\U000e0067\U000e0062\U000e007f",
    "10\u00a0000",
    "soft\u00adware",
    "שלום\u200f",
    "\U0001fae9",  # of Unicode 16
    "ẵ" * 100,
]
NO_NAMES = ["a\nb", "a\x00", "\x1b[31m", "a\u2028b", "a\u2029", "a\x85", "a\x7f", "ẵ" * 101]
QUERIES = [parse_query, parse_flux, parse_prerecorded]


@pytest.mark.parametrize("name", NAMES)
def test_a_phrase_of_any_script_arrives_as_it_was_sent(name: str) -> None:
    """With its joiners, marks and spaces: they are a part of how it is written."""
    assert is_name(name)
    for parse in QUERIES:
        assert parse([("keyterm", name)] * 100).hotwords == (name,) * 100
    assert parse_form([("keywords[]", name)]).hotwords == (name,)
    start = {"type": "start", "sampleRateHz": 8000, "options": {"hints": [name]}}
    (opened,) = JambonzWire().receive(json.dumps(start))
    assert isinstance(opened, Open)
    assert opened.request.hotwords == (name,)


@pytest.mark.parametrize("name", NO_NAMES)
def test_control_characters_and_longer_texts_are_refused(name: str) -> None:
    """In a sentence that does not repeat them raw."""
    for parse in QUERIES:
        with pytest.raises(CallerError, match="keyterm: found") as refused:
            parse([("keyterm", name)])
        assert str(refused.value).isprintable()
