"""A real PostgreSQL server of the tests' own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_S = 60.0


class PostgreSql:
    """A running server. It listens on a socket in a folder of its own, and forgets all at a power cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_ledger(self) -> str:
        """The URL of a ledger without tables: a schema of its own, since a database would have 300 files."""
        name = f"ledger_{secrets.token_hex(6)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"postgresql+psycopg://asr@/postgres?host={self.folder}&options=-csearch_path%3D{name}"

    def execute(self, statement: str) -> None:
        """Outside of a ledger, with all rights."""
        import psycopg

        with psycopg.connect(host=str(self.folder), user="asr", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


@contextmanager
def running() -> Iterator[PostgreSql]:
    """A new server. The test is skipped where PostgreSQL or its driver is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: make setup")
    programs = _programs()
    as_other = _other_user()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path is short; pytest's folders are closed to others
    try:
        if as_other:
            shutil.chown(folder, as_other["user"])
        # without waits for the disk: the tests kill no machine
        made = [programs / "initdb", "-D", folder / "data", "-U", "asr", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **as_other)
        started = [programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-F"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(started, stdout=log, stderr=log, cwd=folder, **as_other)
        try:
            _await(PostgreSql(folder), process)
            yield PostgreSql(folder)
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing is kept
            process.wait(START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders or not (folders[-1] / "postgres").exists():
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return folders[-1]


def _other_user() -> dict[str, Any]:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in names else "nobody", "extra_groups": []}


def _await(server: PostgreSql, process: "subprocess.Popen[bytes]") -> None:
    import psycopg

    until_s = time.monotonic() + START_S
    while True:
        try:
            return server.execute("SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until_s:
                raise
            time.sleep(0.05)
