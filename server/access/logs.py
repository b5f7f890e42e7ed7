"""Two logs, each entry a line of JSON: the streams and uploads that were served, and the audit of keys and refusals.

No entry has a word that was said, audio, a key or a token. Keys stand there by their names.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any

from asr.errors import ConfigError
from server.config import ServerSettings

_REQUESTS = logging.getLogger("steadyword.requests")
_AUDIT = logging.getLogger("steadyword.audit")
STANDARD_ERROR = "-"
_SECRET = re.compile(r"(sw_|swt_|ek_)[A-Za-z0-9._~+/=-]{8,}")
_QUOTED = re.compile(r"""(?<!\w)'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$)""")
_PLAIN = re.compile(r"""['"][A-Za-z0-9][A-Za-z0-9 ._/-]{0,23}['"]""")
"""A quoted value that may be logged: as short as the names of models, languages and encodings, and no address."""
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*)(?::|%3a)(?:/|%2f)\S*|\S+(?:@|%40)\S*")
_RUN = "[A-Za-z0-9_+=.~%-]"
_LONG = re.compile(rf"(?=[^\s/]*[0-9]){_RUN}{{24,}}|(?=[^\s/]*[a-z][^\s/]*[A-Z]){_RUN}{{16,}}")
"""Long and with digits or capitals within: as keys are, of whatever service, and the tokens of resumable streams."""


def log_request(**fields: Any) -> None:
    """One stream or upload that has ended."""
    _write(_REQUESTS, "request", fields)


def audit(event: str, **fields: Any) -> None:
    """Something that was done to the keys, or refused because of them."""
    _write(_AUDIT, event, fields)


def audit_refusal(reason: str, path: str, address: str) -> None:
    """A request that was refused for its host or key. A flood of them is cut short: it must not fill the disk."""
    if (dropped := _refusals.passed()) is not None:
        missing = {"not_logged": dropped} if dropped else {}
        audit("refused", reason=reason, path=without_secrets(path[:200]), address=address, **missing)


class LineLimit:
    """Lets `BURST` lines pass at once, and then `LINES_PER_S`."""

    BURST, LINES_PER_S = 200, 10.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left, self._seen_s, self._dropped = float(self.BURST), clock(), 0

    def passed(self) -> int | None:
        """None where the line has to be dropped; otherwise how many were dropped before it."""
        now_s = self._clock()
        self._left = min(self.BURST, self._left + (now_s - self._seen_s) * self.LINES_PER_S)
        self._seen_s = now_s
        if self._left < 1:
            self._dropped += 1
            return None
        self._left -= 1
        dropped, self._dropped = self._dropped, 0
        return dropped


_refusals = LineLimit()


def redacted(text: str) -> str:
    """The text without what looks like one of our keys or tokens, wherever a client may have put it."""
    return _SECRET.sub(r"\1...", text)


def without_secrets(text: str) -> str:
    """What a client sent, or a sentence that repeats it, as it may stand in a log.

    Without quoted values that are more than a plain name, without addresses (they may hold a password or a token), and
    without what is as long as a key of any service. Clients put such things where none belong.
    """
    text = _QUOTED.sub(lambda found: found[0] if _PLAIN.fullmatch(found[0]) else "'...'", redacted(text))
    return _LONG.sub("...", _ADDRESS.sub(lambda found: f"{found[1]}:..." if found[1] else "...", text))


def start_logs(settings: ServerSettings) -> None:
    """Sends the logs where the settings say: "-" is standard error, "" nowhere, everything else a file.

    Raises `ConfigError` for a file that cannot be written.
    """
    for logger, where in ((_REQUESTS, settings.request_log), (_AUDIT, settings.audit_log)):
        logger.propagate = False
        logger.setLevel(logging.INFO)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.addHandler(_handler(where))


def _handler(where: str) -> logging.Handler:
    if not where:
        return logging.NullHandler()
    if where == STANDARD_ERROR:
        return logging.StreamHandler()
    try:
        return WatchedFileHandler(where, encoding="utf-8")  # opens a new file when logrotate has moved the old one
    except OSError as error:
        raise ConfigError(f"cannot write the log {where} ({error.strerror or error})") from None


def _write(logger: logging.Logger, event: str, fields: dict[str, Any]) -> None:
    if logger.isEnabledFor(logging.INFO):
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        logger.info("%s", redacted(json.dumps({"time": now, "event": event, **fields}, ensure_ascii=True)))
