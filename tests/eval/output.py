"""What commands print, read back."""

import json
from typing import Any


def json_line(shown: str) -> dict[str, Any]:
    """The JSON line of a benchmark, which is the last line that it prints."""
    table: dict[str, Any] = json.loads(shown.strip().splitlines()[-1])
    return table
