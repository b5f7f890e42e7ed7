"""What a client remembers of a stream so that it survives its connections and its server. Pure; see docs/PROTOCOL.md.

A lost connection is made again with the stream's token. Where the server keeps the stream no more, `begin_again`:
another stream begins behind the last finished utterance, and its words that were final already are dropped.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asr.events import Ended, Final, Partial, Word
from server.client.outbox import Outbox
from server.client.overlap import Overlap
from server.client.protocol import Message


class Recovery:
    """One stream of raw samples, `bytes_per_s`, of which `frame_bytes` (all channels of one sample) belong together.

    Positions are bytes of audio since the first; a server that was asked to begin later counts from its own first.
    """

    def __init__(self, bytes_per_s: int, frame_bytes: int) -> None:
        self._bytes_per_s, self._frame_bytes = bytes_per_s, frame_bytes
        self.outbox = Outbox()
        self.is_heard = False
        """Whether any message came: before it, nothing is lost with a connection."""
        self.is_kept = False
        """Whether the server has said that it keeps the stream; another one loses it with its connection."""
        self.token = ""
        self.is_closing = False
        """Whether the server has received CloseStream."""
        self.sequence = 0
        """The number of the last message received."""
        self._base = self._base_commands = self._received = 0
        self._settled_s = 0.0
        self._finals: deque[Word] = deque()
        """Final words that a stream which begins at the settled second repeats."""
        self._overlap = Overlap(())
        self._summary: Message | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the next connection's address, besides the stream's own."""
        if self.token:
            return {"resume": self.token, "sequence": self.sequence}
        return {"offset": self._base / self._bytes_per_s if self._base else None}

    @property
    def settled_s(self) -> float:
        """What was spoken before this second is final."""
        return self._settled_s

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing more to send, and all of it is final."""
        return self.outbox.is_closed and self._position(self._settled_s) >= self.outbox.end

    def begin(self) -> None:
        """A connection opens a new stream, which waits for no `Session` before audio comes."""
        self.outbox.go_back(self._base, self._base_commands)

    def begin_again(self) -> float:
        """The server keeps the stream no more: the next connection opens another one, at the settled second.

        Returns how many seconds between the last final word and its begin are lost, because they were forgotten.
        """
        self.token, self.is_closing, self.sequence = "", False, 0
        settled = self._position(self._settled_s)
        settled -= settled % self._frame_bytes
        self._base = self._received = max(settled, -(-self.outbox.start // self._frame_bytes) * self._frame_bytes)
        self._base_commands = self.outbox.commands_before(self._base)
        self._overlap = Overlap(self._finals)
        final_s = max([self._settled_s, *(word.end_s for word in self._finals)])
        return max(0.0, self._base / self._bytes_per_s - final_s)

    def forget_received(self, kept_bytes: int) -> None:
        """Keeps no more than so many bytes of what the server has, although their words may not be final."""
        self.outbox.forget(self._received, kept_bytes)

    def take(self, table: Mapping[str, Any], message: Message) -> Message | None:
        """A message of the server: its JSON, and as it was read. Returns what is new in it, None for nothing."""
        self.is_heard = True
        if table["type"] == "Session":
            self._begin_connection(table)
            return None
        if self.is_kept and "sequence" in table:
            if table["sequence"] <= self.sequence:
                return None
            self.sequence = table["sequence"]
        self._note_progress(table)
        return self._new(message)

    def summary(self) -> Message | None:
        """The last message, which `take` held back: a server that restarts sends one, too, and the stream goes on."""
        return self._summary

    def _begin_connection(self, table: Mapping[str, Any]) -> None:
        is_first = not self.token
        self.is_kept, self.token, self.is_closing = True, table["resume"] or "", bool(table["closing"])
        if not is_first and self.token:
            self._received = self._base + table["received_bytes"]
            self.outbox.go_back(self._received, self._base_commands + table["received_commands"])

    def _note_progress(self, table: Mapping[str, Any]) -> None:
        if self.is_kept:
            self._received = self._base + table["received_bytes"]
            self._settled_s = max(self._settled_s, table["settled_s"])
            self.outbox.forget(min(self._received, self._position(self._settled_s)))
            while self._finals and self._finals[0].end_s <= self._settled_s:
                self._finals.popleft()

    def _new(self, message: Message) -> Message | None:
        event = message.event
        if isinstance(event, Final):
            words = self._overlap.new(event.words)
            self._finals.extend(words)
            if event.words and not (words or event.ends_utterance or event.from_finalize):
                return None
            return replace(message, event=replace(event, words=words))
        if isinstance(event, Partial):
            return replace(message, event=replace(event, words=self._overlap.later(event.words)))
        if isinstance(event, Ended):
            end_s = self._base / self._bytes_per_s + event.duration_s
            self._settled_s = max(self._settled_s, end_s)
            self._summary = replace(message, event=Ended(end_s))
            return None
        return message

    def _position(self, at_s: float) -> int:
        return round(at_s * self._bytes_per_s)
