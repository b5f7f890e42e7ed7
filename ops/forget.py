"""`asr data forget`: removes what is kept of a consent, and says which releases were trained on it."""

from asr.ledger import Ledger, Release
from server.clips.store import ClipError, ClipStore
from train.consents import consents_in


def forget(store: ClipStore, consent: str) -> int:
    """Removes every file of the consent, for ever, and returns how many there were. Raises `ClipError`."""
    try:
        return store.forget(consent)
    except OSError as error:
        raise ClipError(f"{store.folder} cannot be changed ({error.strerror}); wanted the server's user") from None


def trained_on(ledger: Ledger, consent: str) -> list[Release]:
    """The releases that were trained on a consent, given by its hash. Raises `LedgerError`."""
    return [one for name in ledger.names() for one in ledger.releases(name) if consent in consents_in(one.folder)]
