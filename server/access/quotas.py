"""The limits of each key: streams at a time, seconds of audio a day.

Counted in this process; `server.access.usage` keeps the seconds over a restart.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from asr.errors import AsrError
from server.access.context import current
from server.access.keyring import Caller, Keyring
from server.access.keys import Key

DAY_S = 86_400
PLACE_RETRY_S = 5
"""As for a full server: about an utterance, after which a stream may have ended."""


class KeyLimitError(AsrError):
    """The key of a request allows no more."""


class QuotaError(KeyLimitError):
    """A key's limit is reached; HTTP 429 with Retry-After."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyRemovedError(KeyLimitError):
    """The key was removed or has expired while its stream was open."""


class Quotas:
    """What the keys of one server use. All of it runs on the event loop: a check and its count are one step."""

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring, self._clock = keyring, clock
        self._open: Counter[str] = Counter()
        self._day = 0
        self._audio_s: defaultdict[str, float] = defaultdict(float)

    def open_streams(self, name: str) -> int:
        """How many streams and uploads a key has open."""
        return self._open[name]

    def audio_s(self, name: str) -> float:
        """Seconds of audio that a key has sent today."""
        self._turn_day()
        return self._audio_s[name]

    def counts(self) -> tuple[int, dict[str, float]]:
        """The day, counted from 1 January 1970 UTC, and the seconds of audio that each key has sent on it."""
        self._turn_day()
        return self._day, dict(self._audio_s)

    def restore(self, day: int, audio_s: Mapping[str, float]) -> None:
        """Adds the counts of an earlier process, if they are of today. Raises `ValueError` for what is no count."""
        if not all(0 <= seconds < float("inf") for seconds in audio_s.values()):
            raise ValueError("found a count below 0, or none")
        self._turn_day()
        if day == self._day:
            for name, seconds in audio_s.items():
                self._audio_s[name] += seconds

    def check_place(self) -> None:
        """Raises `QuotaError` when the key of this request may not open another stream now."""
        if not (caller := current().caller):
            return
        key = self._keyring.named(caller.key.name) or caller.key
        if key.max_streams and self._open[key.name] >= key.max_streams:
            limit = f"{key.max_streams} stream{'s' * (key.max_streams > 1)} at a time"
            raise QuotaError(f"the key {key.name} has {limit}; end one, or try again later", PLACE_RETRY_S)
        if key.audio_s_per_day and self.audio_s(key.name) >= key.audio_s_per_day:
            raise self._used_up(key.name, key.audio_s_per_day)

    @contextmanager
    def place(self) -> Iterator[None]:
        """One stream or upload of the key of this request. Raises `QuotaError`."""
        self.check_place()
        caller = current().caller
        names = [caller.key.name] if caller else []
        self._open.update(names)
        try:
            yield
        finally:
            self._open.subtract(names)

    def count_audio(self, seconds: float) -> None:
        """Counts audio of this request that was received. Raises `QuotaError`, `KeyRemovedError`: it was the last."""
        request = current()
        request.audio_s += seconds
        if not request.caller:
            return
        self._turn_day()
        name = request.caller.key.name
        self._audio_s[name] += seconds
        key = self._valid(request.caller)
        if key.audio_s_per_day and self._audio_s[name] > key.audio_s_per_day:
            raise self._used_up(name, key.audio_s_per_day)

    def _valid(self, caller: Caller) -> Key:
        key = self._keyring.named(caller.key.name)
        if key is None or key.sha256 != caller.key.sha256 or key.is_expired(self._clock()):
            raise KeyRemovedError(f"the key {caller.key.name} was removed or has expired")
        return key

    def _turn_day(self) -> None:
        if (today := int(self._clock()) // DAY_S) != self._day:
            self._day = today
            self._audio_s.clear()

    def _used_up(self, name: str, limit_s: float) -> QuotaError:
        rest_s = DAY_S - int(self._clock()) % DAY_S
        return QuotaError(f"the key {name} has used its {limit_s:g} seconds of audio of this day (UTC)", rest_s)
