"""
Files of requests, read twice and never held.

The first reading (`Source.check`) finds all faults before anything is paid
for; the second (`Source.rows`) is as lazy as the batch that pulls from it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
import warnings

from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Literal, NoReturn, Self, TextIO, TypeAlias

import attrs

from .._protocol.rows import read_row
from ..errors import Problem, SpecError, SpecWarning
from ..results import JSON
from ..specs import Spec, near
from .requests import first_parameter
from .usual import RawRow, Usual


InputFormat: TypeAlias = Literal["txt", "jsonl", "csv"]

#: How many faults are shown; the rest is number_of.
SHOWN = 20
#: A line longer than this is no line of ours, and is not read into memory.
_LONGEST_BYTES = 16 * 2**20
_KINDS: dict[str, InputFormat] = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}


class InputError(Exception):
    """
    An input that cannot be read at all, or is another than a moment ago.
    """


@attrs.frozen
class Fault:
    """
    What is wrong in one line.
    """

    line: int
    problem: Problem

    def __str__(self) -> str:
        return f"{self.line}: {self.problem}"


@attrs.frozen
class Row:
    """
    One item: where it stands, the user's own key for it, and the request.
    """

    line: int
    item: str | None
    spec: Spec


@attrs.define
class Check:
    """
    What the first reading found.

    What changes: counts, and the first few faults and warnings.
    """

    items: int = 0
    pictures: int = 0
    faults: int = 0
    first: list[Fault] = attrs.field(factory=list)
    warned: int = 0
    first_warned: list[Fault] = attrs.field(factory=list)
    #: Whether any item has a key of the user's own.
    keyed: bool = False

    def blame(self, fault: Fault) -> None:
        self.faults += 1
        if len(self.first) < SHOWN:
            self.first.append(fault)

    def note(self, fault: Fault) -> None:
        self.warned += 1
        if len(self.first_warned) < SHOWN:
            self.first_warned.append(fault)


class _Names:
    """
    Which lines call their item the same, in 16 bytes a line.
    """

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._lines = array("Q")

    def add(self, line: int, name: str) -> None:
        """
        Another one.
        """
        told = hashlib.blake2b(name.encode(), digest_size=8).digest()
        self._hashes.append(int.from_bytes(told, "big"))
        self._lines.append(line)

    def twice(self) -> Iterator[tuple[int, int]]:
        """
        Each line whose name was there before, and where it was first.
        """
        if len(set(self._hashes)) == len(self._hashes):
            return
        first: dict[int, int] = {}
        for told, line in zip(self._hashes, self._lines, strict=True):
            if told in first:
                yield line, first[told]
            else:
                first[told] = line


_RawReader: TypeAlias = Callable[[IO[bytes]], Iterator[tuple[int, RawRow]]]


@attrs.define
class Source:
    """
    A file of requests.

    What changes: the spool of an input that can be read only once.
    """

    name: str
    kind: InputFormat
    usual: Usual
    _spool: IO[bytes] | None = attrs.field(default=None, repr=False)

    @classmethod
    def open(
        cls,
        name: str,
        stdin: TextIO | None,
        usual: Usual,
        *,
        kind: InputFormat | None = None,
    ) -> Self:
        """
        Find out what *name* is, and keep what can be read only once.

        Args:
            name: A path, or ``-`` for *stdin*.

            stdin: Read to its end if it is meant.

            usual: What rows don't say.

            kind: Wins over the suffix.

        Raises:
            InputError: It is not there, or of no kind that we read.
        """
        if name == "-":
            if stdin is None:
                raise InputError("stdin is closed")
            return cls._spooled("stdin", stdin.buffer, usual, kind)
        path = Path(name)
        kind = kind or _KINDS.get(path.suffix.lower())
        try:
            with path.open("rb") as file:
                if not path.is_file():
                    # A pipe, as of <(…).
                    return cls._spooled(name, file, usual, kind)
        except OSError as exc:
            raise InputError(
                f"cannot read {name!r}: {exc.strerror or exc}"
            ) from exc
        if kind is None:
            raise InputError(
                f"{name!r} is neither .txt, .jsonl nor .csv; "
                "say what it is with --format"
            )
        # Its pictures lie where it does.
        return cls(name, kind, attrs.evolve(usual, folder=path.parent))

    @classmethod
    def _spooled(
        cls,
        name: str,
        file: IO[bytes],
        usual: Usual,
        kind: InputFormat | None,
    ) -> Self:
        # Prompts are private: a temporary file without a name.
        spool = tempfile.TemporaryFile()  # noqa: SIM115
        # Line by line: a terminal ends with one Ctrl-D then.
        while line := file.readline(_LONGEST_BYTES):
            spool.write(line)
            if len(line) < _LONGEST_BYTES and not line.endswith(b"\n"):
                # The end came within a line; a terminal's comes only once.
                break
        spool.seek(0)
        # What comes without a name is told by its first sign.
        begins = spool.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
        guess: InputFormat = "jsonl" if begins.startswith(b"{") else "txt"
        return cls(name, kind or guess, usual, spool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._spool is not None:
            self._spool.close()

    def check(self) -> Check:
        """
        Read everything once; nothing is kept but counts and first faults.
        """
        check, names = Check(), _Names()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SpecWarning)
            for line, raw in self._raws():
                caught.clear()
                try:
                    row = self._row(line, raw)
                except SpecError as exc:
                    for problem in exc.problems:
                        check.blame(Fault(line, problem))
                    continue
                check.items += 1
                check.pictures += row.spec.pictures
                if row.item is not None:
                    check.keyed = True
                    names.add(line, row.item)
                for warning in caught:
                    check.note(
                        Fault(line, Problem("note", str(warning.message)))
                    )
        for line, first in names.twice():
            check.blame(
                Fault(line, Problem("item", f"is that of line {first}, too"))
            )
        return check

    def rows(self) -> Iterator[Row]:
        """
        Give what is asked for, row by row.

        Raises:
            InputError: The file changed since it was checked.
        """
        for line, raw in self._raws():
            try:
                yield self._row(line, raw)
            except SpecError as exc:
                raise InputError(
                    f"{self.name}:{line}: {exc}; "
                    "the file was changed while it was being read"
                ) from exc

    def _row(self, line: int, raw: RawRow) -> Row:
        if isinstance(raw, Problem):
            raise SpecError((raw,))
        fields = dict(raw)
        problems: list[Problem] = []
        item = fields.pop("item", None)
        if isinstance(item, str) and not item.strip():
            item = None
        if not _is_item(item):
            problems.append(
                Problem("item", "is your name for the line: text or a number")
            )
        try:
            spec = read_row(
                self.usual.completed(fields), folder=self.usual.folder
            )
        except SpecError as exc:
            raise SpecError((*problems, *exc.problems)) from None
        if problems:
            raise SpecError(tuple(problems))
        return Row(line, None if item is None else str(item), spec)

    # Line by line

    def _raws(self) -> Iterator[tuple[int, RawRow]]:
        first = first_parameter(self.usual.kind)
        readers: dict[InputFormat, _RawReader] = {
            "txt": partial(_prompts, meant=self.usual.meant),
            "jsonl": _objects,
            "csv": partial(_cells, first=first),
        }
        read = readers[self.kind]
        if self._spool is not None:
            self._spool.seek(0)
            yield from read(self._spool)
            return
        try:
            file = Path(self.name).open("rb")  # noqa: SIM115
        except OSError as exc:
            raise InputError(
                f"cannot read {self.name!r}: {exc.strerror or exc}"
            ) from exc
        with file:
            yield from read(file)


def _is_item(item: JSON) -> bool:
    if isinstance(item, str):
        return not any("\ud800" <= char <= "\udfff" for char in item)
    return item is None or (
        isinstance(item, int) and not isinstance(item, bool)
    )


def _lines(file: IO[bytes]) -> Iterator[tuple[int, str | Problem]]:
    number = 0
    while line := file.readline(_LONGEST_BYTES):
        number += 1
        if len(line) == _LONGEST_BYTES and not line.endswith(b"\n"):
            while rest := file.readline(_LONGEST_BYTES):
                if rest.endswith(b"\n"):
                    break
            yield number, Problem("line", "is longer than 16 MiB")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            yield number, line.decode()
        except UnicodeDecodeError:
            yield number, Problem("line", "is not UTF-8; save it as UTF-8")


def _prompts(
    file: IO[bytes], *, meant: Callable[[str], RawRow]
) -> Iterator[tuple[int, RawRow]]:
    for number, line in _lines(file):
        if isinstance(line, Problem):
            yield number, line
            continue
        # Old files end their lines so.
        for prompt in map(str.strip, line.split("\r")):
            if prompt and not prompt.startswith("#"):
                yield number, meant(prompt)


def _objects(file: IO[bytes]) -> Iterator[tuple[int, RawRow]]:
    for number, line in _lines(file):
        if isinstance(line, Problem):
            yield number, line
        elif line.strip():
            yield number, _json_object(line)


def _json_object(line: str) -> RawRow:
    try:
        found = json.loads(
            line, parse_constant=_no_number, object_pairs_hook=_once
        )
    except _TwiceError as exc:
        return Problem(_shown(str(exc)), "stands here twice")
    except (ValueError, RecursionError) as exc:
        reason = exc.msg if isinstance(exc, json.JSONDecodeError) else exc
        return Problem("line", f"is not JSON: {reason}")
    if not isinstance(found, dict):
        return Problem("line", 'is not a JSON object, like {"prompt": …}')
    return found


class _TwiceError(Exception):
    """
    A field stands twice in an object; which one counts is anyone's guess.
    """


def _once(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = value
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def _cells(file: IO[bytes], *, first: str) -> Iterator[tuple[int, RawRow]]:
    torn: list[Problem] = []

    def texts() -> Iterator[str]:
        for _, line in _lines(file):
            if isinstance(line, Problem):
                torn.append(line)
                yield "\n"
            else:
                yield line

    # Of the whole process: a cell may be as long as a line.
    csv.field_size_limit(_LONGEST_BYTES)
    head = file.readline(_LONGEST_BYTES)
    file.seek(0)
    # As spreadsheets write them; no field's name has one.
    between = max(",;\t", key=lambda sign: head.count(sign.encode()))
    table = csv.reader(texts(), strict=True, delimiter=between)
    header: list[str] | None = None
    while True:
        number = table.line_num + 1
        try:
            cells = next(table, None)
        except csv.Error as exc:
            yield number, Problem("line", f"is not CSV: {exc}")
            continue
        if torn:
            yield from ((number, problem) for problem in torn)
            torn.clear()
        elif cells is None:
            return
        elif not any(cell.strip() for cell in cells):
            continue
        elif header is None:
            header = [cell.strip().lower() for cell in cells]
            wrong = _header_fault(header, first)
            if wrong is not None:
                yield number, wrong
                return
        elif len(cells) > len(header):
            yield (
                number,
                Problem(
                    "line",
                    f"has {len(cells)} cells, the first line {len(header)}; "
                    'a cell with a comma stands in "quotes"',
                ),
            )
        else:
            yield (
                number,
                dict(zip(header, cells, strict=False)),
            )


def _header_fault(header: list[str], first: str) -> Problem | None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice:
        return Problem(_shown(twice), "is the name of two columns")
    if "" in header:
        return Problem("line", "names no field for one of the columns")
    if first not in header and "endpoint" not in header:
        slip = next((name for name in header if near(name, (first,))), None)
        but = "" if slip is None else f", but {_shown(slip)!r} is one"
        return Problem(
            first,
            f"is no column{but}: the first line names the fields, "
            f"as in: {first},seed",
        )
    return None


def _shown(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"
