"""
Ctrl-C while the shell still loads, which takes a moment.

The package is there before the shell is, and imports say nothing but a
traceback; in any other process this does nothing.
"""

from __future__ import annotations

import signal
import sys
import threading

from pathlib import Path
from types import FrameType
from typing import NoReturn


def _watch() -> None:
    """
    Let Ctrl-C end a process that is about to be the shell.
    """
    if (
        _is_shell()
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _end_quietly)


def loaded() -> None:
    """
    From here on, the shell minds it.
    """
    if signal.getsignal(signal.SIGINT) is _end_quietly:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_shell() -> bool:
    if not sys.argv or len(sys.argv) > len(sys.orig_argv):
        return False
    begins = sys.argv[0]
    if begins == "-m":
        # Only now: the module's own file takes this place.
        return sys.orig_argv[-len(sys.argv)].endswith("modelslab_async")
    return Path(begins).stem == "modelslab-async"


def _end_quietly(_number: int, _frame: FrameType | None) -> NoReturn:
    # What the shell's users know an interrupted command by.
    sys.exit(130)


# Whatever else the package imports comes later.
_watch()
