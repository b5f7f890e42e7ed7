"""The tree of errors, split by whose fault it is.

Every message says what was found and what is wanted. The command line turns errors into exit codes and the server into
HTTP statuses and close codes; neither changes the words.
"""


class AsrError(Exception):
    """Base class of all errors that this project raises on purpose."""


class CallerError(AsrError):
    """The caller's input cannot be used. The same call will fail again."""


class AudioError(CallerError):
    """Audio that cannot be decoded, or samples that are not finite mono float32."""


class ConfigError(CallerError):
    """A setting, a settings file or a combination of settings that is not valid."""


class ModelError(CallerError):
    """A model that is unknown, missing, damaged or not supported."""


class LedgerError(CallerError):
    """A ledger of releases that cannot be used, or a change that it refuses. It holds what it held before."""


class RowRefused(LedgerError):
    """A row that a ledger does not take: one that is there already, a value that is missing or that no column holds."""


class MoveConflict(LedgerError):
    """An alias is not where the caller expected it: another process moved it first."""


class SessionError(CallerError):
    """A call that the session's state does not allow, such as audio after the end."""


class InternalError(AsrError):
    """A fault of this project: an invariant does not hold."""
