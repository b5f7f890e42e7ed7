"""TLS: a certificate and its key, read again when their files change. Streams that are open stay open."""

import logging
import ssl
from pathlib import Path

from asr.errors import ConfigError
from server.access.logs import audit
from server.config import ServerSettings

_log = logging.getLogger("steadyword.server")


class Certificates:
    """The certificate files of a server, and the context that new connections are made with."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.files = (certificate, key)
        self.context = self._loaded()

    @classmethod
    def of(cls, settings: ServerSettings) -> "Certificates | None":
        """Those of the settings, None for a server without TLS. Raises `ConfigError`."""
        if not settings.tls_cert and not settings.tls_key:
            return None
        if not settings.tls_cert or not settings.tls_key:
            raise ConfigError("found one of tls_cert and tls_key, wanted both: the certificate's chain and its key")
        return cls(Path(settings.tls_cert).expanduser(), Path(settings.tls_key).expanduser())

    def reload(self) -> None:
        """Reads the files again, for new connections. If they do not fit each other the old ones stay in use.

        They are tried in a context of their own: a failure would leave the one in use without its key.
        """
        try:
            self._loaded()
            self.context.load_cert_chain(*self.files)
        except (ConfigError, OSError) as error:
            _log.error("the certificate stays as it is: %s", error)
            return
        audit("certificate_read", file=str(self.files[0]))

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 or newer, and OpenSSL's choice of ciphers
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(*self.files, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            found = f"cannot use the certificate {self.files[0]} with the key {self.files[1]}"
            raise ConfigError(
                f"{found} ({error}); wanted two PEM files that belong together, without password"
            ) from None
        return context


def _no_password() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")
