"""Whether a request agrees that its audio and text are kept: only if it says so clearly."""

from collections.abc import Iterable

CONSENT, OPT_OUT = "consent", "mip_opt_out"
MAX_CONSENT_CHARACTERS = 200
_OFF = ("false", "0", "")
"""Values of ``mip_opt_out`` that are no opt-out. Any other one is."""


def consent_of(query: Iterable[tuple[str, str]]) -> str:
    """The consent that a query's decoded pairs name; "" where nothing may be kept.

    An opt-out anywhere counts more than any consent. Two different consents, one of more than `MAX_CONSENT_CHARACTERS`
    and one with control or invisible characters are none: nobody could ask for it to be forgotten by its name.
    """
    pairs = list(query)
    if any(name == OPT_OUT and value.strip().lower() not in _OFF for name, value in pairs):
        return ""
    given = {value.strip() for name, value in pairs if name == CONSENT}
    consent = given.pop() if len(given) == 1 else ""
    return consent if len(consent) <= MAX_CONSENT_CHARACTERS and consent.isprintable() else ""
