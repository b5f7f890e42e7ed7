"""What commands share."""

import pytest

from asr.errors import ConfigError
from eval.runs.setup import parse_counts


@pytest.mark.parametrize("text", ["", "0", "1,x", "-1", "1,,2"])
def test_numbers_of_streams_must_be_numbers(text: str) -> None:
    """With an example."""
    with pytest.raises(ConfigError, match="wanted numbers above 0 such as 1,4,8"):
        parse_counts(text)
