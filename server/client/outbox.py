"""What a client has sent or will send, kept until nobody can ask for it again. Pure."""

from collections import deque
from itertools import takewhile


class Outbox:
    """Audio and commands in their order. A position is a number of bytes of audio since the first.

    `add` what there is to send; `take` it piece by piece; `go_back` to what the server says it has received.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._commands: deque[tuple[int, str]] = deque()
        """Each with the position at which it stands."""
        self._forgotten_commands = 0
        self.start = 0
        """The oldest position that is kept."""
        self.end = 0
        self._at = self._command_at = 0
        self.is_closed = False
        """Nothing is added any more."""

    @property
    def kept_bytes(self) -> int:
        """How much audio is held."""
        return self.end - self.start

    def add(self, item: bytes | str) -> None:
        """Audio, or as `str` a command such as Finalize."""
        if isinstance(item, str):
            self._commands.append((self.end, item))
        elif item:
            self._chunks.append(item)
            self.end += len(item)

    def take(self) -> bytes | str | None:
        """The next piece to send; None: there is nothing at the moment."""
        place = self._command_at - self._forgotten_commands
        position, command = self._commands[place] if place < len(self._commands) else (self.end, "")
        if command and position <= self._at:
            self._command_at += 1
            return command
        begin = self.start
        for chunk in self._chunks:
            if self._at < begin + len(chunk):
                piece = chunk[self._at - begin : position - begin]
                self._at += len(piece)
                return piece or None
            begin += len(chunk)
        return None

    def go_back(self, position: int, commands: int) -> None:
        """What is taken next: the audio from this position on, and the commands after so many."""
        self._at, self._command_at = max(position, self.start), max(commands, self._forgotten_commands)

    def commands_before(self, position: int) -> int:
        """How many commands stand before this position."""
        return self._forgotten_commands + sum(1 for _ in takewhile(lambda item: item[0] < position, self._commands))

    def forget(self, position: int, kept_bytes: int = 0) -> None:
        """Drop whole chunks before this position until no more than `kept_bytes` are left."""
        while self._chunks and self.kept_bytes > kept_bytes and self.start + len(self._chunks[0]) <= position:
            self.start += len(self._chunks.popleft())
        while self._commands and self._commands[0][0] < self.start:
            self._commands.popleft()
            self._forgotten_commands += 1
