"""
Ctrl-C while the shell still loads, which takes a moment.

The package is there before the shell is, and an import that is interrupted
says nothing but a traceback.  In any other process this does nothing.
"""

from __future__ import annotations

import signal
import sys

from contextlib import suppress


def loaded() -> None:
    """
    From here on, the shell minds it.
    """
    if signal.getsignal(signal.SIGINT) is _end_quietly:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _watch() -> None:
    """
    Let Ctrl-C end a process that is about to be the shell.
    """
    if not _is_shell():
        return
    # Who was told to mind no Ctrl-C is not to begin.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Only the main thread has signals.
        with suppress(ValueError):
            signal.signal(signal.SIGINT, _end_quietly)


def _is_shell() -> bool:
    if not sys.argv or len(sys.argv) > len(sys.orig_argv):
        return False
    begins = sys.argv[0]
    if begins == "-m":
        # Only now: the module's own file takes this place.
        return sys.orig_argv[-len(sys.argv)].endswith("modelslab_async")
    name = begins.replace("\\", "/").rpartition("/")[2]
    return name.partition(".")[0] == "modelslab-async"


def _end_quietly(_number: int, _frame: object) -> None:
    # What the shell's users know an interrupted command by.
    sys.exit(130)


# Whatever else the package imports comes later.
_watch()
