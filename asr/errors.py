"""The tree of errors, split by whose fault it is.

Every message says what was found and what is wanted; the shells turn them into exit codes, HTTP statuses and close
codes without rewording them.
"""


class AsrError(Exception):
    """Root of all errors this project raises on purpose."""


class CallerError(AsrError):
    """The caller gave something that cannot be used; trying again unchanged will fail again."""


class AudioError(CallerError):
    """Audio that cannot be decoded, or samples that are no sound."""


class ConfigError(CallerError):
    """A setting, a file of settings or a combination of them that makes no sense."""


class ModelError(CallerError):
    """A model that is unknown, missing, corrupt or of a kind that is not supported."""


class SessionError(CallerError):
    """A call on a session in a state that does not allow it (audio after the end, say)."""


class InternalError(AsrError):
    """Our fault: an invariant broke."""
