"""What a model must write for the built-in sample, at `asr models add` and when a server loads it."""

import pytest

from asr.self_test import fault_of


@pytest.mark.parametrize(
    ("text", "is_english", "fault"),
    [
        (" One, two, seven.", True, ""),
        ("1 2 7", True, ""),
        ("eleven", True, "wanted the word 'seven'"),
        ("sieben", False, ""),
        ("", True, "recognised nothing in the built-in sample"),
        (" ", False, "recognised nothing in the built-in sample"),
    ],
)
def test_a_model_writes_something_and_an_english_one_its_word(text: str, is_english: bool, fault: str) -> None:
    """Weights of zeros write nothing, in whatever language."""
    found = fault_of(text, "m", is_english)
    assert fault in found
    assert bool(found) == bool(fault)
