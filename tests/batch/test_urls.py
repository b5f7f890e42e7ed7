"""URLs of object storage, which travel as paths."""

from pathlib import Path

import pytest

from batch.urls import name_of, url_of


@pytest.mark.parametrize("url", ["s3://bucket/a b.wav", "gs://bucket", "memory://box/in"])
def test_a_url_survives_as_a_path(url: str) -> None:
    """A path drops one of the two slashes; it comes back."""
    assert url_of(Path(url)) == name_of(Path(url)) == url


@pytest.mark.parametrize("path", ["/in/a.wav", "a.wav", "odd:name.wav", "C:/a.wav"])
def test_a_path_is_no_url(path: str) -> None:
    """A colon alone does not make one. The journal has its absolute path."""
    assert url_of(Path(path)) is None
    assert name_of(Path(path)) == str(Path(path).absolute())
