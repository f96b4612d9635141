"""
A PostgreSQL of the tests' own: started in a temporary folder, gone with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
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


#: Letters of a folder in which there may be a socket of PostgreSQL's.
_SHORT = 40
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
    server = _new_server()
    try:
        server.create()
        server.start()
        yield server
    finally:
        _remove(server)


@contextlib.contextmanager
def shared_server(root: Path) -> Iterator[Server]:
    """
    A server that all processes share which know the folder *root*: the first
    one starts it, and the last one ends it.
    """
    with _users(root) as users:
        if users:
            server = Server(_needed(), Path(users[0]))
        else:
            server = _new_server()
            try:
                server.create()
                server.start()
            except BaseException:
                _remove(server)
                raise
        users.append(str(server.folder))
    try:
        yield server
    finally:
        with _users(root) as users:
            users.pop()
            if not users:
                _remove(server)


@contextlib.contextmanager
def _users(root: Path) -> Iterator[list[str]]:
    """
    The server's folder, once for each process that uses it.
    """
    with (root / "postgres").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = file.read().split()
        yield users
        file.truncate(0)
        file.write(" ".join(users))


def _needed() -> Path:
    binaries = _binaries()
    if binaries is None:
        lacking = "needs PostgreSQL: apt-get install postgresql"
        assert "CI" not in os.environ, lacking
        pytest.skip(lacking)
    return binaries


def _new_server() -> Server:
    binaries = _needed()
    # A socket's path is short.
    usual = tempfile.gettempdir()
    short = usual if len(usual) < _SHORT else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=short))
    if _USER:
        shutil.chown(folder, "postgres")
    return Server(binaries, folder)


def _remove(server: Server) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def new_database(server: Server) -> str:
    """
    The DSN of an empty database.
    """
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_conninfo(server.dsn, dbname=name)


def database_with_tables(server: Server) -> str:
    """
    The DSN of a database that has the tables of a cluster.
    """
    # All tests import this file, and few a cluster.
    from modelslab_async.cluster import migrate

    dsn = new_database(server)
    asyncio.run(migrate(dsn))
    return dsn


def empty_tables(dsn: str) -> None:
    """
    Have tables as if they were new: that takes a tenth of making them.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in _TABLES:
            connection.execute(f"DELETE FROM {name}")


#: Those that name others come first.
_TABLES = (
    *("modelslab_item", "modelslab_run", "modelslab_batch"),
    *("procrastinate_events", "procrastinate_periodic_defers"),
    *("procrastinate_jobs", "procrastinate_workers"),
)
