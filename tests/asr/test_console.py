"""Output that cannot be written, in real processes: the work that is done is never lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRINT = """
import sys
from asr.console import OutputError, finish, prepare, print_result
prepare()
try:
    print_result(sys.argv[1])
except OutputError as error:
    print(f"asr: {error}", file=sys.stderr)
    sys.exit(1)
print("asr: a message", file=sys.stderr)
sys.exit(0 if finish() else 1)
"""
TEXT = "Grüße, 日本 and \udcff"
"""With a character that few encodings have, and a byte of a file name that is no text."""
FULL = Path("/dev/full")


def run(redirection: str, encoding: str = "utf-8", text: str = TEXT) -> "subprocess.CompletedProcess[str]":
    """The text printed in a process whose streams a shell redirects."""
    shell = f'exec "$0" -c "$1" "$2" {redirection}'
    command = ["sh", "-c", shell, sys.executable, PRINT, text]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env=environment, check=False
    )


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "Grüße, 日本 and \\udcff\n"),
        ("ascii", "Gr\\xfc\\xdfe, \\u65e5\\u672c and \\udcff\n"),
    ],
)
def test_characters_that_the_encoding_lacks_become_escapes(encoding: str, printed: str) -> None:
    """Nothing else changes, and nothing is lost."""
    done = run("", encoding)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "asr: a message\n")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "iso2022_jp", "cp932"])
def test_no_encoding_makes_printing_fail(encoding: str) -> None:
    """Those of Windows and of older systems."""
    assert run("", encoding).returncode == 0


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_result_for_a_full_disk_is_on_standard_error() -> None:
    """With a sentence, and without a complaint of Python's at the exit."""
    done = run("> /dev/full", text="the text")
    assert done.returncode == 1
    text, sentence = done.stderr.splitlines()
    assert text == "the text"
    assert sentence.startswith("asr: standard output cannot be written (No space left on device), so the text is on")


def test_a_closed_standard_output_does_not_swallow_the_result() -> None:
    """`print` would."""
    done = run(">&-", text="the text")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "the text")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_messages_that_nobody_can_read_stop_nothing(redirection: str) -> None:
    """And do not come out among the results."""
    if "full" in redirection and not FULL.exists():
        pytest.skip("no /dev/full")
    done = run(redirection, text="the text")
    assert (done.returncode, done.stdout) == (0, "the text\n")
