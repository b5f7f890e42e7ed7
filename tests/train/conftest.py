"""Fixtures of the training's tests."""

import pytest

from eval.progress import Bar


@pytest.fixture
def messages() -> list[str]:
    """What `bar` was asked to print."""
    return []


@pytest.fixture
def bar(messages: list[str]) -> Bar:
    """A progress bar that shows nothing and keeps its messages."""
    return Bar(advance=lambda _: None, say=messages.append)
