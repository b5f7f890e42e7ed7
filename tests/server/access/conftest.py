"""What the tests of access share."""

import pytest

from tests.server.access.keys import Made, made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Those of `made`. A module that adds more makes its own fixture."""
    return made(tmp_path_factory.mktemp("keys"))
