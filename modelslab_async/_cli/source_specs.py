"""
An input as the specs that a batch takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from itertools import islice

import anyio

from ..specs import Spec
from .input_file import SHOWN, Check, Row, Source
from .screen import Screen
from .words import number_of


#: Rows that are read at a time, off the loop.
_ROWS = 64


def passed(screen: Screen, source: Source, check: Check) -> bool:
    """
    Whether there is something to ask for, and no fault; says what is wrong.
    """
    for warned in check.first_warned:
        screen.say(f"{source.name}:{warned}")
    if check.warned > len(check.first_warned):
        screen.say(f"{source.name}: {check.warned} notes, {SHOWN} shown")
    for fault in check.first:
        screen.warn(f"{source.name}:{fault}")
    if check.faults:
        shown = f", {SHOWN} shown" if check.faults > SHOWN else ""
        screen.warn(
            f"{source.name}: {number_of(check.faults, 'fault')}{shown}; "
            "nothing was asked for"
        )
        if source.kind == "txt" and (hint := source.usual.hint()):
            screen.warn(f"{source.name}: {hint}")
    elif not check.items:
        screen.warn(f"{source.name}: nothing to ask for")
    return bool(check.items and not check.faults)


class SourceSpecs:
    """
    What a source asks for, read off the loop, with its rows' keys in step.
    """

    def __init__(self, source: Source, check: Check) -> None:
        self._source = source
        self._total = check.items
        self._keys: deque[str | None] = deque()

    def __len__(self) -> int:
        return self._total

    async def __aiter__(self) -> AsyncIterator[Spec]:
        rows = self._source.rows()
        while some := await anyio.to_thread.run_sync(_next_rows, rows):
            for row in some:
                self._keys.append(row.item)
                yield row.spec

    def keys(self) -> Iterator[str | None]:
        """
        The key of each spec, once it has been given.
        """
        while True:
            yield self._keys.popleft()


def _next_rows(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, _ROWS))
