"""Shows the words as they arrive, on a terminal or in a pipe."""

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from asr.cli import say
from asr.events import Final, Partial
from server.client.protocol import Message

_LINES_BELOW = 2
"""Lines below the words: the lag, and the cursor's."""


class Display:
    """Committed text in the normal colour, the tail paler. A finished utterance becomes a line above.

    Without a terminal only finished utterances are printed, one a line.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._committed = ""
        self._tail = ""
        self._lag_s = 0.0
        self._state = ""
        self._live = Live(console=self._console, transient=True) if self._console.is_terminal else None

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tail = ""
        self._finish_line()
        if self._live:
            self._live.stop()

    def show(self, message: Message) -> None:
        """Takes any message of the server."""
        event = message.event
        if not isinstance(event, Partial | Final):
            return
        self._lag_s = message.lag_s or 0.0
        if isinstance(event, Final):
            self._committed, self._tail = self._committed + event.text, ""
        else:
            self._tail = event.text
        if isinstance(event, Final) and event.ends_utterance:
            self._finish_line()
        self._refresh()

    def show_state(self, sentence: str) -> None:
        """What is wrong with the connection, "" for nothing. Without a terminal it goes to standard error."""
        changed, self._state = sentence != self._state, sentence
        if changed and sentence and not self._live:
            say(sentence)
        self._refresh()

    def _finish_line(self) -> None:
        line, self._committed = self._committed.strip(), ""
        self._refresh()  # first: otherwise the words would show below their own line for a moment
        if line:
            self._console.print(Text(line), soft_wrap=self._live is None)

    def _refresh(self) -> None:
        if self._live:
            self._live.update(self._render(), refresh=True)

    def _render(self) -> Text:
        """The newest lines that fit on the terminal: a live display cannot redraw what has scrolled away."""
        text = Text(self._committed.lstrip())
        text.append(self._tail if self._committed else self._tail.lstrip(), style="bright_black")
        room = max(1, self._console.height - _LINES_BELOW)
        lines = text.wrap(self._console, self._console.width)[-room:]
        return Text("\n").join(lines).append(f"\n{self._state or f'lag {self._lag_s:.1f} s'}", style="dim")
