"""How long the server takes to say no to a wrong key, by what the key shares with a right one.

.venv/bin/python scripts/key_timing.py --keys 300 --rounds 2000
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from server.access.keyring import TOKEN_PREFIX, Keyring, UnknownKeyError
from server.access.keys import digest, new_key


def main() -> None:
    """Prints median and 95th percentile in microseconds; the kinds are interleaved in random order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    secrets = [new_key() for _ in range(options.keys)]
    with tempfile.TemporaryDirectory() as folder:
        ring = keyring_of(secrets, Path(folder) / "keys.toml")
    kinds = kinds_of(ring, secrets[0], secrets[-1])
    took_s: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind in random.sample(list(kinds), len(kinds)):
            took_s[kind].append(seconds(ring, kinds[kind]().encode()))
    for kind, times in took_s.items():
        p95 = sorted(times)[int(0.95 * len(times))]
        print(f"{kind:32} {statistics.median(times) * 1e6:8.2f} us, p95 {p95 * 1e6:8.2f}")


def keyring_of(secrets: list[str], file: Path) -> Keyring:
    """A server's keys."""
    file.write_text("".join(f'[k{n}]\nsha256 = "{digest(s.encode()).hex()}"\n' for n, s in enumerate(secrets)))
    file.chmod(0o600)
    return Keyring(file)


def kinds_of(ring: Keyring, first: str, last: str) -> dict[str, Callable[[], str]]:
    """What is shown, by its kind."""
    token = ring.token(ring.caller(first.encode()), 3600, prefix=TOKEN_PREFIX, scopes=("listen",))
    return {
        "wrong, shares nothing": new_key,
        "wrong, half of the first": lambda: first[:23] + new_key()[23:],
        "wrong, one character of the first": lambda: first[:-1] + "~",
        "wrong, one character of the last": lambda: last[:-1] + "~",
        "right, the first": lambda: first,
        "right, the last": lambda: last,
        "token": lambda: token,
    }


def seconds(ring: Keyring, shown: bytes) -> float:
    """One check."""
    began_s = time.perf_counter()
    with suppress(UnknownKeyError):
        ring.caller(shown)
    return time.perf_counter() - began_s


if __name__ == "__main__":
    main()
