"""
Waiting for facts instead of for time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time

from collections.abc import Callable
from pathlib import Path
from typing import Self

import attrs


async def until(fact: Callable[[], object], patience: float = 10.0) -> None:
    """
    Wait until *fact* holds.

    Raises:
        TimeoutError: It does not, after *patience* seconds.
    """
    async with asyncio.timeout(patience):
        while not fact():
            await asyncio.sleep(0.001)


def look_until(happened: Callable[[], object]) -> None:
    """
    Wait for what another process, or thread, tells nobody: it is looked at,
    in steps.
    """
    while not happened():
        time.sleep(0.01)


@attrs.define
class Clock:
    """
    The clock of a loop, which can be set forward: what is due by then is due
    at once.

    What changes: how far *ahead* it is, in seconds.
    """

    ahead: float = 0.0

    @classmethod
    def of_this_loop(cls) -> Self:
        """
        From now on; whoever asked the loop for its clock before has another.
        """
        clock, loop = cls(), asyncio.get_running_loop()
        really = loop.time
        loop.time = lambda: really() + clock.ahead  # type: ignore[method-assign]  # the point
        return clock

    def hurry(self) -> None:
        """
        Never sleep: where this loop has nothing to do, and no other thread of
        this process has, it is later at once.

        Else only our own work takes time: what others do on this machine
        makes nothing late.

        For tests all of whose parties are in this process: another one, as a
        child or a database, would be late.
        """
        loop = asyncio.get_running_loop()
        selector = loop._selector  # type: ignore[attr-defined]  # there is no door
        really = selector.select
        begun = loop.time() - time.process_time() - self.ahead
        loop.time = lambda: begun + time.process_time() + self.ahead  # type: ignore[method-assign]  # the point
        known = frozenset(threading.enumerate())

        def select(timeout: float | None = None) -> object:
            if timeout is None or timeout <= 0:
                return really(timeout)
            idle = 0.0 if timeout <= _SHORT else _IDLE
            before = _work_of_others(known)
            events = really(idle)
            if not events and before != _work_of_others(known):
                return really(min(timeout, _IDLE))
            if not events:
                self.ahead += timeout
            return events

        selector.select = select


#: Seconds in which the kernel hands over what was sent on loopback, at most;
#: what is due so soon may as well be due before.
_IDLE, _SHORT = 0.002, 0.025
_THREADS = Path("/proc/self/task")
_HAVE_STATES = _THREADS.exists()


def _work_of_others(known: frozenset[threading.Thread]) -> object:
    """
    What changes while another thread of this process is at work, those
    *known* apart.

    One that we took the interpreter from sleeps when it is looked at, as one
    that waits for work does: but it has run since.
    """
    others = [one for one in threading.enumerate() if one not in known]
    if others and not _HAVE_STATES:
        return object()
    found = []
    for thread in others:
        place = f"{_THREADS}/{thread.native_id}"
        with contextlib.suppress(OSError):
            after = _read(f"{place}/stat").rpartition(b")")[2]
            # Running, or in the middle of reading or writing a disk.
            if after.split()[0] in {b"R", b"D"}:
                return object()
            found.append(_read(f"{place}/schedstat"))
    return found


#: As they were before anybody watched who blocks the loop, which takes longer
#: than they do.
_open_file, _read_file, _close_file = os.open, os.read, os.close


def _read(path: str) -> bytes:
    file = _open_file(path, os.O_RDONLY)
    try:
        return _read_file(file, 1024)
    finally:
        _close_file(file)
