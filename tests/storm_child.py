"""
Processes that are killed in storms: a warm one that forks, so that none has to
import anything, and what those do that it forks.

    python storm_child.py SOCKET

Each connection to *SOCKET* brings a line of JSON, an `Errand`, and gets the
child's pid, what the child prints, and ``ended CODE`` at last.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import functools
import json
import os
import selectors
import signal
import socket
import sys
import warnings

from pathlib import Path
from typing import Any

import attrs

from storm_hang import stacks
from storm_weather import KEY, items

import modelslab_async._cli.batch
import modelslab_async._cli.context
import modelslab_async.journal.sqlite
import modelslab_async.specs

from modelslab_async import ModelsLab, Timeouts
from modelslab_async._cli import run
from modelslab_async._output import download, folder
from modelslab_async.errors import JournalError


#: Whatever a child may want is imported once, for all of them.
WARM = (modelslab_async._cli.batch, modelslab_async.specs, download, folder)

#: What `ended` says of a child that could not so much as begin.
BROKEN = 70


@attrs.frozen(kw_only=True)
class Errand:
    """
    What a child does.

    Attributes:
        url: Of the service, which is *speed* times as fast as life.

        output: The folder of its batch.

        words: Of a command for the shell; none: by the library.

        errors: Where its stderr goes.

        picture: As of `items`.

        slots, ordered: As of the library.
    """

    url: str
    speed: float
    silence: float
    output: str
    errors: str
    words: tuple[str, ...] = ()
    picture: str | None = None
    slots: int | None = None
    ordered: bool = False

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts().faster(self.speed, silence=self.silence)


def child(errand: Errand) -> int:
    """
    Do it; give the exit code.
    """
    warnings.simplefilter("ignore")
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    if not errand.words:
        try:
            asyncio.run(_batch(errand))
        except JournalError as error:
            complain(str(error))
            return 3
        return 0
    os.environ["MODELSLAB_API_KEY"] = KEY
    os.environ["MODELSLAB_BASE_URL"] = errand.url
    # The shell knows life's own speed only.
    quick = functools.partial(ModelsLab, timeouts=errand.timeouts)
    modelslab_async._cli.context.ModelsLab = quick  # type: ignore[assignment,attr-defined]  # as good as the class there
    return run(errand.words)


async def _batch(errand: Errand) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, lambda: complain(stacks()))
    picture = None if errand.picture is None else Path(errand.picture)
    async with (
        ModelsLab(
            KEY,
            base_url=errand.url,
            timeouts=errand.timeouts,
            slots=errand.slots,
        ) as lab,
        lab.batch(
            items(picture), output=errand.output, ordered=errand.ordered
        ) as batch,
    ):
        async for outcome in batch:
            say(f"{outcome.index} {type(outcome.error).__name__}")
        if batch.stopped is not None:
            say(f"stopped {batch.stopped!r}")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is all that is heard of it


def complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


# The one that forks


def serve(path: str) -> None:
    """
    Fork for each who asks, until stdin ends.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with (
        socket.socket(socket.AF_UNIX) as door,
        selectors.DefaultSelector() as waits,
    ):
        door.bind(path)
        door.listen(64)
        waits.register(door, selectors.EVENT_READ)
        waits.register(0, selectors.EVENT_READ)
        say("ready")
        while True:
            ready = [key.fd for key, _ in waits.select()]
            if 0 in ready:
                return
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _forked(_nurse, line)
            line.close()


def _nurse(line: socket.socket) -> int:
    """
    Start a child, and say how it ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with line.makefile("rb") as told:
        asked: dict[str, Any] = json.loads(told.readline())
    errand = Errand(**asked | {"words": tuple(asked["words"])})
    pid = os.fork()
    if pid == 0:
        errors = os.open(errand.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for mine, its in ((nothing, 0), (line.fileno(), 1), (errors, 2)):
            os.dup2(mine, its)
        line.close()
        _forked(child, errand)
    line.sendall(f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        line.sendall(f"\nended {code}\n".encode())
    return 0


def _forked(work: Any, about: Any) -> None:
    """
    Do *work*, and never come back.
    """
    code = BROKEN
    try:
        code = work(about)
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - nobody is above
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
