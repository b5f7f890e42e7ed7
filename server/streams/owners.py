"""Which of several servers behind one address keeps a stream: the stream's token names it.

    owners = Owners("ws://10.0.0.3:8000", secret)
    owners.new_token()                -> "RANDOM.OWNER.SIGNATURE"
    owners.elsewhere(token)           -> "ws://10.0.0.4:8000", or "" for a token of this server or of none

No store is shared, so none has to be run, found or kept alive. What it would hold is not needed: while the owner lives
it has the stream's state, and once it is dead the client has the audio of all words that are not final.

The signature keeps a client from naming an owner: servers connect only to addresses that one of them has written.
"""

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

TOKEN_BYTES = 16
SIGNATURE_BYTES = 16


class Owners:
    """The tokens of one server. `address`: where the others reach it, "" for a server without others."""

    def __init__(self, address: str = "", secret: bytes = b"") -> None:
        self.address, self._secret = address, secret

    def new_token(self) -> str:
        """A random one, with this server's address."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        if not self.address:
            return token
        signed = f"{token}.{_text(self.address.encode())}"
        return f"{signed}.{self._signature(signed)}"

    def elsewhere(self, token: str) -> str:
        """The address of the other server that keeps the token's stream; "" where it is this one, or unknown."""
        signed, _, signature = token.rpartition(".")
        if not self.address or signed.count(".") != 1:
            return ""
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return ""
        try:
            owner = urlsafe_b64decode(signed.partition(".")[2] + "==").decode()
        except (binascii.Error, UnicodeDecodeError):  # signed by a server of another version
            return ""
        return "" if owner == self.address else owner

    def _signature(self, signed: str) -> str:
        return _text(hmac.digest(self._secret, f"resume {signed}".encode(), "sha256")[:SIGNATURE_BYTES])


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
