"""`scripts/image_steps.py` reads deploy/Dockerfile as a builder does. The command itself downloads too much to test."""

from pathlib import Path

import pytest

from scripts.image_steps import NOT_DONE, OF_THE_IMAGE, ROOT, allowed, copy, steps

KNOWN = {*NOT_DONE, "ARG", "ENV", "COPY", "RUN", "WORKDIR", "HEALTHCHECK", "STOPSIGNAL", "CMD"}


def test_every_step_is_one_that_the_command_knows() -> None:
    """Lines that go on are one step, without the comments between."""
    found = list(steps())
    assert {name for name, _ in found} <= KNOWN
    assert found[0][0] == "FROM"
    assert found[-1][0] == "CMD"
    assert not any("#" in argument or "\\" in argument for _, argument in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PATH=/opt/steadyword/bin:$PATH", "PATH=/scratch/opt/steadyword/bin:$PATH"),
        ("pip install -r /tmp/a.lock > /tmp/b", "pip install -r /scratch/tmp/a.lock > /scratch/tmp/b"),
        ("https://example.org/opt/x", "https://example.org/opt/x"),
        ("/usr/bin/env /optional", "/usr/bin/env /optional"),
    ],
)
def test_paths_of_the_image_begin_in_the_folder(text: str, expected: str) -> None:
    """Addresses and programs of this machine stay."""
    assert OF_THE_IMAGE.sub("/scratch/", text) == expected


def test_only_what_the_list_allows_is_copied(tmp_path: Path) -> None:
    """As the builder would see it: no tests, no data."""
    copy(". /tmp/steadyword", tmp_path)
    copied = {path.name for path in (tmp_path / "tmp" / "steadyword").iterdir()}
    assert copied == {path.name for path in allowed()}
    assert not copied & {"tests", "docs", ".git"}
    copy("README.md LICENSE /tmp/", tmp_path)
    assert (tmp_path / "tmp" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
