"""
How a command is interrupted.

The first Ctrl-C stops asking, waits for what is paid for, and saves it; the
second leaves at once.  SIGTERM, and SIGHUP of a terminal that closes, are as
the first, with a limit of 30 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs

from .context import Context
from .exit_codes import INTERRUPTED
from .streams import finish


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds that SIGTERM and SIGHUP leave for what is paid for.
_TERM = 30.0


@attrs.define
class Interrupts:
    """
    What Ctrl-C and SIGTERM do while a command runs.

    What changes: whether there was one.
    """

    context: Context
    #: Stop asking.
    stop: Callable[[], None]
    #: How to go on, in lines.
    how: Callable[[], str]
    told: bool = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """
        Take the signals meanwhile.
        """
        loop = asyncio.get_running_loop()
        taken = []
        # Only the main thread has signals.
        with contextlib.suppress(RuntimeError, ValueError):
            for each in _SIGNALS:
                # Whom nohup started is not to hear of it.
                if signal.getsignal(each) is not signal.SIG_IGN:
                    loop.add_signal_handler(each, self._ring, each)
                    taken.append(each)
        try:
            yield
        finally:
            for each in taken:
                loop.remove_signal_handler(each)

    def _ring(self, which: signal.Signals) -> None:
        if self.told:
            self._leave()
        self.told = True
        limit = ""
        if which is not signal.SIGINT:
            asyncio.get_running_loop().call_later(_TERM, self._leave)
            limit = f" for {_TERM:.0f} s"
        self.context.screen.warn(
            f"interrupted: asking for nothing more; waiting{limit} for what "
            "is paid for (Ctrl-C again leaves at once)"
        )
        self.stop()

    def _leave(self) -> NoReturn:
        self.context.screen.close()
        self.context.screen.warn(f"left; {self.how()}")
        finish()
        # As kill -9 would, which a journal is made for: nothing is tidied up
        # that could take time.
        os._exit(INTERRUPTED)


async def until_told(work: Coroutine[Any, Any, None]) -> None:
    """
    Run a server until it is told to end, which is its usual end.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            loop.add_signal_handler(each, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
