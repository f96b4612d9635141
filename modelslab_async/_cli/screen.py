"""
What people see: results on stdout, everything else on stderr.

Text from outside (prompts, the service's words, file names) is shown without
control characters, and nothing in it is taken for markup.
"""

from __future__ import annotations

import enum
import logging
import re
import shutil
import sys
import time

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import attrs

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ..events import Event, JobPolled
from .progress import ProgressLine
from .streams import Forgiving, put_line
from .words import clean, duration, excerpt, wrapped


#: Columns of what a terminal shows where Ctrl-C is pressed, and the cursor.
_ECHO = 3


#: Seconds between looks, at bars and at plain lines.
_BARS, _LINES = 0.2, 5.0
#: Looks after which a plain line is said again, though nothing happened.
_UNCHANGED = 12


class Talk(enum.IntEnum):
    """
    How much is said.
    """

    LITTLE = enum.auto()
    USUAL = enum.auto()
    MORE = enum.auto()
    ALL = enum.auto()


#: What whoever typed a command hears from the command itself, once.
_SAID_BY_COMMANDS = ("the account was refused", "the batch stopped early")
#: A job's handle behind its id: some hundreds of signs.
_HANDLES = re.compile(r"(?<=\w) \(ml1\.[\w=-]+\)")
_LEVELS = {Talk.MORE: logging.INFO, Talk.ALL: logging.DEBUG}


class _ToScreen(logging.Handler):
    """
    Log records as lines among the others.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < _LEVELS.get(self._screen.talk, logging.WARNING):
            return
        if str(record.msg).startswith(_SAID_BY_COMMANDS):
            return
        said = f"{record.levelname.lower()}: {record.getMessage()}"
        if self._screen.talk <= Talk.USUAL:
            # The command that takes it up is told by the command.
            said = _HANDLES.sub("", said)
        if record.exc_info and record.exc_info[1] is not None:
            said += f" ({record.exc_info[1]!r})"
        self._screen.warn(said)


@attrs.define(eq=False)
class Screen:
    """
    Where results and remarks go.

    What changes: how much is said, the last line while something runs, and
    whether anybody still reads the results.
    """

    _err: Console = attrs.field(
        factory=lambda: Console(
            file=cast("IO[str]", Forgiving(sys.stderr)),
            markup=False,
            highlight=False,
            emoji=False,
        )
    )
    _live: Live | None = attrs.field(default=None, init=False)
    talk: Talk = attrs.field(default=Talk.USUAL, init=False)
    #: Whoever read stdout has gone away.
    unread: bool = attrs.field(default=False, init=False)
    #: The plain line of a batch that was shown, and for how many looks.
    _shown: tuple[ProgressLine | None, int] = attrs.field(
        default=(None, 0), init=False
    )
    #: It was said that results cannot be printed.
    _told: bool = attrs.field(default=False, init=False)

    @property
    def pause(self) -> float:
        """
        Seconds until the next look at a batch.
        """
        return _LINES if self._live is None else _BARS

    @property
    def moves(self) -> bool:
        """
        Whether there is a last line that moves.
        """
        return self._live is not None

    def result(self, text: str) -> None:
        """
        Print a result, one line, on stdout.
        """
        text = clean(text)
        if self._live is not None and sys.stdout.isatty():
            # The same terminal: above the last line, not through it.
            self._err.print(text, soft_wrap=True)
            return
        try:
            fault = put_line(text)
        except BrokenPipeError:
            self.unread = True
            return
        if fault is not None and not self._told:
            self._told = True
            self.warn(f"cannot print results: {fault}")

    def entry(self, text: str, indent: int = 2) -> None:
        """
        Print a result that is to be read: a line, but on a terminal as many
        as it takes, the further ones indented.
        """
        lines = [text]
        if sys.stdout is not None and sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            lines = wrapped(clean(text), width, further=" " * indent)
        for line in lines or [""]:
            self.result(line)

    def say(self, text: object) -> None:
        """
        Print a remark, where remarks are wanted.
        """
        if self.talk is not Talk.LITTLE:
            self.warn(text)

    def warn(self, text: object) -> None:
        """
        Print on stderr, whatever is wanted; each line of it is made clean.
        """
        for line in str(text).split("\n"):
            self._err.print(clean(line), soft_wrap=True)

    def event(self, event: Event) -> None:
        """
        Print what has happened.
        """
        if isinstance(event, JobPolled) and self.talk is not Talk.ALL:
            return
        facts = attrs.asdict(event, recurse=False)
        said = " ".join(
            f"{name}={fact}"
            for name, fact in facts.items()
            if fact is not None
        )
        self.warn(f"{type(event).__name__} {said}")

    # The last line

    def show(self, look: ProgressLine) -> None:
        """
        Say how a batch stands.
        """
        if self._live is None:
            known, looks = self._shown
            if known is None or looks >= _UNCHANGED or not look.is_as(known):
                self.say(look)
                known, looks = look, 0
            self._shown = known, looks + 1
            return
        text = look.fitted(self._room, ascii_only=self._ascii)
        self._live.update(Text(text, no_wrap=True, overflow="crop"))

    @contextmanager
    def bars(self) -> Iterator[None]:
        """
        Show how a batch stands in the last line, where stderr is a terminal.
        """
        with self._last_line(Text("")):
            yield

    @contextmanager
    def working(self) -> Iterator[WorkingLine]:
        """
        Show that something runs, and how long already.
        """
        line = WorkingLine("line" if self._ascii else "dots", self._room)
        with self._last_line(line.spinner):
            yield line

    @contextmanager
    def _last_line(self, line: Text | Spinner) -> Iterator[None]:
        if not self._err.is_terminal or self.talk is Talk.LITTLE:
            yield
            return
        # Gone afterwards: what was true then is not to be read later.
        self._live = Live(
            line,
            console=self._err,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with self._live:
                yield
        finally:
            self._live = None

    def close(self) -> None:
        """
        Give the terminal back as it was.
        """
        if self._live is not None:
            self._live.stop()

    @property
    def _room(self) -> int:
        """
        Columns of the last line; the terminal puts a ^C behind it, which
        must not begin another one: that would not be cleared.
        """
        return self._err.width - _ECHO

    @property
    def _ascii(self) -> bool:
        return "utf" not in self._err.encoding

    @contextmanager
    def logs(self) -> Iterator[None]:
        """
        Show the library's warnings as remarks meanwhile.
        """
        log = logging.getLogger("modelslab_async")
        handler = _ToScreen(self)
        before = log.propagate, log.level
        log.propagate = False
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.propagate, log.level = before

    def set_talk(self, talk: Talk) -> None:
        """
        Say more or less from here on.
        """
        self.talk = talk
        if talk in _LEVELS:
            logging.getLogger("modelslab_async").setLevel(_LEVELS[talk])


class WorkingLine:
    """
    A line that says what runs, and for how long already.
    """

    def __init__(self, kind: str, room: int) -> None:
        self._room = room
        self._began = time.monotonic()
        self._what = "…"
        self._expected: float | None = None
        self.spinner = Spinner(kind, self)

    def say(self, what: str, expected: float | None = None) -> None:
        """
        What it is now, and how many seconds it is expected to take.
        """
        self._what, self._expected = what, expected
        self._began = time.monotonic()

    def __rich__(self) -> Text:
        said = f"{self._what}, {duration(time.monotonic() - self._began)}"
        if self._expected:
            said += f" of about {duration(self._expected)}"
        # What spins has a column and a gap.
        said = excerpt(said, max(10, self._room - 2))
        return Text(said, no_wrap=True, overflow="crop")
