"""A server of our own for a run."""

import pytest

from eval.runs.local_server import ServerError, serving


@pytest.mark.model
@pytest.mark.slow
def test_a_server_that_does_not_come_up_says_why() -> None:
    """Its last line, instead of waiting."""
    with pytest.raises(ServerError, match=r"its last line: asr: .*no-such-model"), serving("no-such-model"):
        pass
