"""
What people see: results on stdout, everything else on stderr.

Text from outside (prompts, the service's words, file names) is shown without
control characters, and nothing in it is taken for markup.
"""

from __future__ import annotations

import logging
import sys
import unicodedata

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import attrs

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

from .streams import Forgiving, put_line


#: Control, format (as bidirectional overrides), surrogate, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Seconds between looks, at bars and at plain lines.
_BARS, _LINES = 0.2, 5.0


def clean(text: object) -> str:
    """
    *text* on one line, with nothing in it that a terminal would obey.
    """
    return "".join(
        " " if unicodedata.category(char) in _UNSEEN else char
        for char in str(text)
    )


def excerpt(text: object, most: int = 60) -> str:
    """
    The beginning of *text*, clean.
    """
    whole = clean(text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def duration(seconds: float) -> str:
    """
    Seconds as people say them.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@attrs.frozen
class ProgressLine:
    """
    How a batch stands.

    *rate* is items a second, *left* seconds; None where it is not known yet.
    """

    total: int
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    slots: tuple[int, int] | None = None
    rate: float | None = None
    left: float | None = None

    def __str__(self) -> str:
        said = [
            f"{self.done} done",
            f"{self.failed} failed",
            f"{self.in_flight} in flight",
            f"{self.waiting} waiting",
        ]
        if self.slots is not None:
            said.append("{} of {} slots".format(*self.slots))
        if self.rate is not None:
            said.append(f"{self.rate * 60:.1f} a minute")
        if self.left is not None:
            said.append(f"{duration(self.left)} left")
        return ", ".join(said)


class _ToScreen(logging.Handler):
    """
    Log records as lines among the others.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        said = f"{record.levelname.lower()}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            said += f" ({record.exc_info[1]!r})"
        self._screen.say(said)


@attrs.define(eq=False)
class Screen:
    """
    Where results and remarks go.

    What changes: the bars, while there are any, and whether anybody still
    reads the results.
    """

    _err: Console = attrs.field(
        factory=lambda: Console(
            file=cast("IO[str]", Forgiving(sys.stderr)),
            markup=False,
            highlight=False,
            emoji=False,
        )
    )
    _bars: Progress | None = None
    _task: TaskID | None = None
    #: Whoever read stdout has gone away.
    unread: bool = False
    #: It was said that results cannot be printed.
    _told: bool = attrs.field(default=False, init=False)

    @property
    def pause(self) -> float:
        """
        Seconds until the next look at a batch.
        """
        return _LINES if self._bars is None else _BARS

    def result(self, text: str) -> None:
        """
        Print a result, one line, on stdout.
        """
        text = clean(text)
        if self._bars is not None and sys.stdout.isatty():
            # The same terminal: above the bars, not through them.
            self._err.print(text, soft_wrap=True)
            return
        try:
            fault = put_line(text)
        except BrokenPipeError:
            self.unread = True
            return
        if fault is not None and not self._told:
            self._told = True
            self.say(f"cannot print results: {fault}")

    def say(self, text: object) -> None:
        """
        Print a remark on stderr; each line of it is made clean.
        """
        for line in str(text).split("\n"):
            self._err.print(clean(line), soft_wrap=True)

    def show(self, look: ProgressLine) -> None:
        """
        Say how a batch stands.
        """
        if self._bars is None or self._task is None:
            self.say(look)
        else:
            self._bars.update(
                self._task,
                completed=look.done + look.failed,
                total=look.total,
                look=str(look),
            )

    @contextmanager
    def bars(self, total: int) -> Iterator[None]:
        """
        Show bars meanwhile, where stderr is a terminal.
        """
        if not self._err.is_terminal:
            yield
            return
        bars = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[look]}", markup=False),
            console=self._err,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = bars.add_task("", total=total, look="")
        self._bars = bars
        try:
            with bars:
                yield
        finally:
            self._bars = self._task = None

    @contextmanager
    def logs(self) -> Iterator[None]:
        """
        Show the library's warnings as remarks meanwhile.
        """
        log = logging.getLogger("modelslab_async")
        handler = _ToScreen(self)
        handler.setLevel(logging.WARNING)
        before, log.propagate = log.propagate, False
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.propagate = before
