"""A real PostgreSQL for tests, on 127.0.0.1. A test asks it for a database of its own."""

from __future__ import annotations

import glob
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE
from tests.support.s3 import free_port

#: It is marked, so that a search for it in messages finds nothing by chance.
PASSWORD = "daystone-test-password-51c7"
#: The server refuses to run as root; Debian has this user for it.
_USER = "postgres"


@dataclass(frozen=True)
class Server:
    """A running server. ``superuser`` may do everything and has the password ``PASSWORD``."""

    port: int
    pid: int
    superuser: str = "chief"
    _names: Iterator[int] = field(default_factory=itertools.count)

    def conninfo(self, database: str, user: str = "") -> str:
        """How a client reaches a database, without a password."""
        return f"host=127.0.0.1 port={self.port} dbname={database} user={user or self.superuser}"

    def connect(self, database: str = "postgres", user: str = "") -> Any:
        """A connection of psycopg as anybody would make it, in which each statement is a transaction."""
        import psycopg

        return psycopg.connect(self.conninfo(database, user), password=PASSWORD, autocommit=True)

    def new_database(self) -> str:
        name = f"database_{next(self._names)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def new_role(self) -> str:
        """Somebody who may connect and nothing else, with the same password."""
        name = f"role_{next(self._names)}"
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        return name


@contextmanager
def server(largest_file: int | None = None) -> Iterator[Server]:
    """PostgreSQL in a temporary directory, which is removed in the end. Every user needs the password. None of its files
    can grow above ``largest_file`` bytes."""
    # A directory below pytest's own is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="daystone-postgres-") as temporary:
        directory = Path(temporary)
        os.chmod(directory, 0o755)
        data, password = directory / "data", directory / "password"
        data.mkdir()
        password.write_text(PASSWORD)
        _owned(directory, data, password)
        make = ["initdb", "-D", data, "-A", "scram-sha-256", "-U", "chief", f"--pwfile={password}"]
        _run(*make, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        port = free_port()
        options = f"-h 127.0.0.1 -p {port} -k {directory} -c fsync=off"
        start = ("pg_ctl", "-D", data, "-w", "-t", str(PATIENCE), "-l", directory / "log", "-o", options, "start")
        _run(*start, limits=[] if largest_file is None else ["prlimit", f"--fsize={largest_file}"])
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        try:
            yield Server(port, pid)
        finally:
            _run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
            with suppress(ProcessLookupError):  # it has ended by now
                deadline = time.monotonic() + PATIENCE
                while time.monotonic() < deadline:
                    os.kill(pid, 0)
                    time.sleep(0.02)


def _owned(*paths: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(_USER)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def _run(program: str, *arguments: object, limits: Sequence[str] = ()) -> None:
    command = [*limits, _program(program), *map(str, arguments)]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *command]
    # pg_ctl leaves the server behind, which would hold a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/")
        output.seek(0)
        assert done.returncode == 0, f"{program} failed: {output.read().decode()}"


def _program(name: str) -> str:
    """A program of PostgreSQL's server: on PATH, or of Debian's package, which root installs where it is missing."""
    found = _find(name)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)  # type: ignore[call-overload]  # as run() has them
        subprocess.run(["apt-get", "install", "-y", "-qq", "postgresql"], **quiet)  # type: ignore[call-overload]  # as run() has them
        found = _find(name)
    assert found, f"no {name}. Debian: sudo apt-get install postgresql | macOS: brew install postgresql@17"
    return found


def _find(name: str) -> str | None:
    return shutil.which(name) or max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=None)
