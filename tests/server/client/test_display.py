"""Words on a terminal and in a pipe."""

from io import StringIO

import pytest
from rich.console import Console

from asr.events import Ended, Final, Partial, Word
from server.client.display import Display
from server.client.protocol import Message


def result(text: str, *, final: bool, ends: bool = False) -> Message:
    words = (Word(text, 0.0, 1.0, 0.9),)
    return Message(Final(words, 0.0, 1.0, "en", ends) if final else Partial(words, 0.0, 1.0, "en"), lag_s=0.0)


def test_the_display_prints_an_utterance_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe: no tail, no colours, brackets as they are, lines not broken, and the rest when the stream ends."""
    with Display(Console(force_terminal=False, width=10)) as display:
        for message in (
            result(" The [quick]", final=True),
            result(" brawn", final=False),
            result(" brown.", final=True, ends=True),
            result(" Fox", final=True),
            Message(Ended(1.0)),
        ):
            display.show(message)
    assert capsys.readouterr().out == "The [quick] brown.\nFox\n"


def test_the_display_shows_the_tail_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Paler than what is committed."""
    with Display(Console(force_terminal=True, width=80, legacy_windows=False)) as display:
        display.show(result(" The quick", final=True))
        display.show(result(" brawn", final=False))
        assert "The quick\x1b[90m brawn\x1b[0m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("height", "rows"), [(10, ["one two", "three four", "five six", "seven"]), (4, ["five six", "seven"])]
)
def test_the_display_shows_the_newest_words_however_many_there_are(height: int, rows: list[str]) -> None:
    """Lines are broken between words; where they are more than the terminal has, the last ones are seen."""
    terminal = Console(force_terminal=True, width=10, height=height, legacy_windows=False, file=StringIO())
    with Display(terminal) as display:
        display.show(result(" one two three four", final=True))
        display.show(result(" five six seven", final=False))
        seen = terminal.render_lines(display._render(), pad=False)
    assert ["".join(part.text for part in row).strip() for row in seen] == [*rows, "lag 0.0 s"]
