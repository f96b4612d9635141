"""
A PostgreSQL of the tests' own: started in a temporary folder, gone with them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile

from collections.abc import Iterator
from pathlib import Path

import attrs
import psycopg
import pytest

from psycopg.conninfo import make_conninfo


def _binaries() -> Path | None:
    """
    Where PostgreSQL's programs are; Debian keeps them off the path.
    """
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found is None and not places:
        return None
    return Path(found or places[-1]).parent


#: PostgreSQL refuses to be run by root.
_USER = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()


@attrs.define
class Server:
    """
    A PostgreSQL server.

    What changes: whether it runs.
    """

    binaries: Path
    folder: Path

    @property
    def dsn(self) -> str:
        return f"host={self.folder} dbname=postgres user=postgres"

    def create(self) -> None:
        self._run(
            "initdb",
            *("-D", str(self.data), "-U", "postgres", "-A", "trust"),
            *("-E", "UTF8", "--no-sync", "--locale=C"),
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, *, port: int | None = None) -> None:
        # A killed server loses nothing that the system has in its memory.
        options = f"-c fsync=off -k {self.folder} -c max_connections=200 "
        options += (
            "-c listen_addresses="
            if port is None
            else f"-c listen_addresses=127.0.0.1 -p {port}"
        )
        self._run(
            "pg_ctl",
            *("-D", str(self.data), "-w", "-o", options),
            *("-l", str(self.folder / "log"), "start"),
        )

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [*_USER, str(self.binaries / program), *options],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )


@contextlib.contextmanager
def own_server() -> Iterator[Server]:
    """
    A server meanwhile; the test is skipped where there is no PostgreSQL.
    """
    binaries = _binaries()
    if binaries is None:
        lacking = "needs PostgreSQL: apt-get install postgresql"
        assert "CI" not in os.environ, lacking
        pytest.skip(lacking)
    # A socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if _USER:
        shutil.chown(folder, "postgres")
    server = Server(binaries, folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: Server) -> str:
    """
    The DSN of an empty database.
    """
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_conninfo(server.dsn, dbname=name)
