"""Numbers in queries: what is one, on all wires."""

import pytest

from asr.errors import CallerError
from server.wires.deepgram_flux import parse_flux
from server.wires.deepgram_prerecorded import parse_prerecorded
from server.wires.deepgram_query import parse_query
from server.wires.numbers import decimal_number, whole_number

NO_NUMBERS = [
    "",
    "00",
    "016000",
    "+5",
    "-1",
    " 5",
    "5 ",
    "5\n",
    "1_0",
    "٣",
    "５",
    "0x5",
    "1e3",
    "nan",
    "inf",
    "5.",
    ".5",
    "--5",
    "9" * 5_000,
    "0" * 5_000,
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_only_plain_digits_are_a_number(text: str) -> None:
    """No sign, space, leading zero, exponent or digit of another script; 5,000 digits cost no time."""
    assert whole_number(text, 0, 10**9) is None
    assert decimal_number(text, 0, 10**9) is None


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("48000", 48_000), ("0.75", 0.75), ("3", 3.0)])
def test_numbers_are_read(text: str, number: float) -> None:
    """With a point only where one makes sense."""
    assert decimal_number(text, 0, 50_000) == number
    assert whole_number(text, 0, 50_000) == (number if number == int(number) else None)
    assert whole_number(text, 50_000, 60_000) is None


NUMBERS = [
    *((parse_query, name) for name in ("endpointing", "utterance_end_ms", "sample_rate", "channels")),
    *((parse_query, name) for name in ("resumable", "sequence", "offset")),
    *((parse_prerecorded, name) for name in ("utt_split", "sample_rate", "channels")),
    *((parse_flux, name) for name in ("eot_threshold", "eager_eot_threshold", "eot_timeout_ms")),
]
"""All numbers of all queries."""


@pytest.mark.parametrize("text", NO_NUMBERS[1:])
@pytest.mark.parametrize(("parse", "name"), NUMBERS)
def test_every_wire_refuses_them_in_one_short_sentence(parse: object, name: str, text: str) -> None:
    """What was found is in it, not all of 5,000 digits."""
    with pytest.raises(CallerError, match=f"{name}: found") as refused:
        parse([(name, text)])  # type: ignore[operator]
    assert len(str(refused.value)) < 300
