"""
What every test stands on: no network, no blocking of the loop, and a service
on loopback.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import signal
import socket
import sys
import tempfile

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings
from pgserver import (
    Server,
    database_with_tables,
    empty_tables,
    new_database,
    shared_server,
)
from waiting import Clock

from modelslab_async import ModelsLab, Timeouts
from modelslab_async.simulator import Simulator


pytest_plugins = ["modelslab_async.testing", "pytester"]

#: How much faster than life the suite's simulator is.
SPEED = 100.0

# What is collected stays: the collector need not walk it, now or ever after.
gc.disable()

# No account of whoever runs the suite is any test's business.
for _name in tuple(os.environ):
    if _name.startswith("MODELSLAB_"):
        del os.environ[_name]

# Where a suite runs in the background, shells have its children ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "house",
    deadline=None,
    max_examples=50,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


#: Where files are written without a disk, and room for those of a run.
MEMORY, ROOM = "/dev/shm", 2**30


def pytest_configure() -> None:
    """
    Have the folders of tests in memory: a journal waits for its disk at each
    step.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK | os.X_OK):
        return
    found = os.statvfs(MEMORY)
    if found.f_bavail * found.f_frsize > ROOM and not (
        found.f_flag & os.ST_NOEXEC
    ):
        os.environ["TMPDIR"] = MEMORY
        tempfile.tempdir = None


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        sock, address = args
        if sock.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        host = address[0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host in {None, "", "localhost"}:
        return
    try:
        fine = ipaddress.ip_address(host).is_loopback
    except ValueError:
        fine = False
    if not fine:
        # Not an OSError: the client would take that for bad weather.
        raise RuntimeError(f"a test wants to speak with {host!r}")


sys.addaudithook(_refuse)


@pytest.fixture(scope="session", autouse=True)
def _loop_unblocked() -> Iterator[None]:
    with blockbuster_ctx(
        "modelslab_async", excluded_modules=["modelslab_async.simulator"]
    ) as blockbuster:
        for function in blockbuster.functions.values():
            # The shell may speak.
            function.can_block_in(
                "modelslab_async/_cli/screen.py", {"result", "say", "show"}
            )
            function.can_block_in(
                "modelslab_async/_cli/streams.py",
                {"put_line", "write", "flush"},
            )
            # Coverage has a lock of its own, wherever it looks.
            function.can_block_in("coverage/collector.py", {"lock_data"})
        yield


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """
    The service, `SPEED` times as fast as life, with plain pictures.
    """
    async with Simulator(speed=SPEED, pictures="plain", seed=0) as running:
        yield running


@pytest_asyncio.fixture
async def lab(simulator: Simulator) -> AsyncIterator[ModelsLab]:
    """
    A client of `simulator`, as fast.
    """
    async with ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=Timeouts().faster(SPEED, silence=5.0),
    ) as client:
        yield client


@pytest_asyncio.fixture
async def hurried(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """
    The clock of the test's loop, and of simulators, which does not sleep:
    while nothing is to be done, it is later at once.
    """
    clock = Clock.of_this_loop()
    clock.hurry()
    shown = SimpleNamespace(monotonic=asyncio.get_running_loop().time)
    monkeypatch.setattr("modelslab_async.simulator._state.time", shown)
    return clock


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A PostgreSQL server that all tests of a run share.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    with shared_server(root) as server:
        yield server


@pytest.fixture
def database(postgres: Server) -> str:
    """
    The DSN of an empty database.
    """
    return new_database(postgres)


@pytest.fixture(scope="session")
def _database_with_tables(postgres: Server) -> str:
    return database_with_tables(postgres)


@pytest.fixture
def emptied(_database_with_tables: str) -> str:
    """
    The DSN of a database whose tables are there, and empty.
    """
    empty_tables(_database_with_tables)
    return _database_with_tables


def _named(host: str) -> str:
    """
    The worst that a resolver can make of a host: an address of this machine,
    or of its network.
    """
    if host == "fake.example":
        return "198.18.0.7"
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return "127.0.0.1"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Every name leads where it should not, and so does every odd notation.
    """

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> Any:
        if host == "six.example":
            six = ("::1", port, 0, 0)
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", six)]
        four = (_named(host), port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", four)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
