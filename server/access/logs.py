"""Two logs, each entry a line of JSON: the streams and uploads that were served, and the audit of keys and refusals.

No entry has a word that was said, audio, a key or a token. Keys stand there by their names.
"""

import ipaddress
import json
import logging
import re
import time
import traceback
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any

from asr.errors import ConfigError
from server.config import ServerSettings

_REQUESTS = logging.getLogger("steadyword.requests")
_AUDIT = logging.getLogger("steadyword.audit")
STANDARD_ERROR = "-"
_SECRET = re.compile(r"(sw_|swt_|ek_)[A-Za-z0-9._~+/=-]{8,}")
_QUOTED = re.compile(r"""\bb'(?:[^'\\]|\\.)*(?:'|$)|(?<!\w)'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$)""")
_PLAIN_NUMBER = re.compile(r"[0-9]{1,3}")
_FOUND = re.compile(r".*?(?=[,;] wanted|$)", re.DOTALL)
"""The part of a sentence that may repeat a number of the client's."""
_NUMBER = re.compile(r"[0-9][0-9.]{3,}")
_PART = re.compile(r"[^/]+")
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*)(?::|%3a)(?:/|%2f)\S*|\S+(?:@|%40)\S*")
_SHORTEST_SECRET = 3
_FRAME = re.compile(r'[\s|]+File "[^"]*", line [0-9]+')
_LINES_OF_A_FRAME = 3
"""In a traceback: place, line of the source, marks under it. Other indented lines may be those of a message."""
_MAX_PATH_CHARACTERS = 200
PATH_PARTS = frozenset(
    {"v1", "v2", "listen", "realtime", "jambonz", "audio", "transcriptions", "translations", "models", "auth", "grant"}
    | {"client_secrets", "operate", "usage", "metrics", "healthz", "readyz", "static", "projects"}
    | {"docs", "openapi.json", "asyncapi.json"}
)
"""Of the server's own addresses, and of others' that clients ask it for."""
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
        audit("refused", reason=reason, path=known_path(path), address=known_address(address), **missing)


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


def without_values(text: str, known: Collection[str] = (), given: Iterable[str] = ()) -> str:
    """A sentence that may repeat what a client sent, as it may stand in a log.

    Clients put secrets where none belong, and a short one looks like any other word. So what is left of quoted values
    is one of the `known` or a number below 1,000. The `given` values of the request are cut out unquoted, too, and so
    are longer numbers in what was found, addresses (one may hold a password), and what is as long as a key.
    """
    text = _QUOTED.sub(lambda found: _known_or_dots(found[0], known), redacted(text))
    for value in given:
        if len(value) >= _SHORTEST_SECRET and value in text and value not in known:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "...", text)
    text = _FOUND.sub(lambda found: _NUMBER.sub("...", found[0]), text, count=1)
    return _LONG.sub("...", _ADDRESS.sub(lambda found: f"{found[1]}:..." if found[1] else "...", text))


def _known_or_dots(quoted: str, known: Collection[str]) -> str:
    value = quoted[1:-1] if len(quoted) > 1 and quoted[0] == quoted[-1] else ""
    return quoted if value and (value in known or _PLAIN_NUMBER.fullmatch(value)) else "'...'"


def known_path(path: str) -> str:
    """A request's path, without the parts that are in none of the server's own addresses."""
    return _PART.sub(lambda part: part[0] if part[0] in PATH_PARTS else "...", path[:_MAX_PATH_CHARACTERS])


def known_address(address: str) -> str:
    """The address of a client, "" for what is none: behind a proxy it comes from a header that anyone can send."""
    try:
        return str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return ""


class WithoutValues(logging.Filter):
    """Cuts values out of the messages of exceptions, in tracebacks and in what asyncio repeats of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record; lets all pass."""
        if record.exc_info and not record.exc_text:
            record.exc_text = _traceback(record.exc_info[1])
        if record.name == "asyncio":
            record.msg, record.args = without_values(record.getMessage()), None
        return True


def _traceback(error: BaseException | None) -> str:
    """As Python writes it, but without values in the exceptions' own sentences."""
    if error is None:
        return ""
    lines, code_left = [], 0
    for line in "".join(traceback.format_exception(error)).splitlines():
        code_left = _LINES_OF_A_FRAME if _FRAME.match(line) else code_left - 1 if line.startswith(" ") else 0
        lines.append(line if code_left > 0 else without_values(line))
    return "\n".join(lines)


_WITHOUT_VALUES = WithoutValues()
"""One object: a logger takes it once, however often the logs are started."""


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
    for name in ("steadyword.server", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_WITHOUT_VALUES)


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
