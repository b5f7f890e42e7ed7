"""URLs of object storage, such as ``s3://bucket/key``, that are kept as paths."""

import re
from pathlib import Path

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)


def url_of(path: Path) -> str | None:
    """The URL that the path was made from (a `Path` keeps only one of its two slashes); None for a local path."""
    match = _URL.fullmatch(str(path))
    return f"{match[1]}://{match[2]}" if match else None


def name_of(path: Path) -> str:
    """The name of a recording in the journal: its URL or its absolute path."""
    return url_of(path) or str(path.absolute())
