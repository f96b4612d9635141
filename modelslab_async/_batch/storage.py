"""
The journal and the folder of a batch: opened, looked after, closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._engine.naming import Journalled
from .._output.folder import OutputFolder, make_private
from ..errors import DownloadError, JournalError
from ..journal import Identity, Journal, State
from ..results import JSON
from .guarded_journal import GuardedJournal
from .item import BatchJournal
from .late_bells import LateBells
from .run import Run


if TYPE_CHECKING:
    from ..journal import SqliteJournal


_log = logging.getLogger("modelslab_async")


#: Seconds between looks at status and page; they have pauses of their own.
_LOOK = 1.0


#: Unknown outcomes that ``status.json`` names, at most.
_UNKNOWN = 500


#: How a batch stands, as JSON.
Facts: TypeAlias = Callable[[], dict[str, JSON]]


@attrs.define(eq=False)
class Storage:
    """
    The journal and the folder of a batch: opened, looked after, closed.

    What changes: what is open.
    """

    run: Run
    facts: Facts
    #: Ours to close, where it is not the caller's.
    _opened: SqliteJournal | None = attrs.field(default=None, init=False)
    _keeper: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    _bells: LateBells | None = attrs.field(default=None, init=False)
    _closing: bool = attrs.field(default=False, init=False)
    #: Why the page could not be written, as it was said.
    _told: str = attrs.field(default="", init=False)

    async def open(self) -> None:
        """
        Raises:
            JournalError: The journal, or the folder, cannot be used.
        """
        run, rooms, options = self.run, self.run.rooms, self.run.options
        journal = await self._journal()
        if journal is None:
            return
        ours = rooms.options
        run.journal = BatchJournal(
            journal, ours.key, ours.timeouts.journal_retry, run.stop
        )
        key = run.journal.note_key()
        await journal.begin(
            Identity(ours.origin, key.reveal, ours.run),
            new_key=options.new_key,
        )
        if options.output is not None:
            run.folder = await OutputFolder.open(
                options.output, rooms.downloads, journal.id
            )

    async def _journal(self) -> Journal | None:
        output, place = self.run.options.output, self.run.options.journal
        if output is not None:
            inside = output / "journal.sqlite" if place is None else None
            await make_private(output, self.run.rooms.downloads.disk, inside)
            place = inside or place
        if place is None:
            return None
        if not isinstance(place, Path):
            return GuardedJournal(place)
        # Here, for the sake of those who only want a picture or two.
        from ..journal import SqliteJournal

        self._opened = opened = await SqliteJournal.open(place)
        self.run.rooms.runtime.let_go.add(opened.abandon)
        return opened

    def journalled(self) -> Journalled:
        """
        The jobs that are under way, and that the journal knows.
        """
        return Journalled.of(self.run.options.place, self.run.under_way())

    def keep(self) -> None:
        """
        Let those who look at the folder see how it goes, and let go of the
        journal where the loop ends.
        """
        if self.run.journal is not None:
            self.run.rooms.journals.add(self.journalled)
            self._bells = LateBells(self.run, self.run.journal)
            self._bells.listen()
            self._keeper = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        try:
            while True:
                await self._look()
                await asyncio.sleep(_LOOK)
        except asyncio.CancelledError:
            if not self._closing:
                await self._end_with_the_loop()
            raise

    async def _end_with_the_loop(self) -> None:
        """
        Nobody else will close the journal, and no question that is asked now
        would be answered.
        """
        poller = self.run.rooms.poller
        poller.stop()
        await poller.join()
        if self.run.items:
            await asyncio.wait(self.run.items)
        if self._opened is not None:
            await self._opened.aclose()

    async def _look(self) -> None:
        """
        See that the journal is where it was, and say how it goes.
        """
        try:
            if self.run.folder is not None:
                await self._refresh(self.run.folder)
            elif self._opened is not None:
                await self._opened.entries({State.UNKNOWN}, limit=1)
        except JournalError as error:
            self.run.stop(error)
        except Exception:  # noqa: BLE001 - of a journal of one's own
            _log.warning("a look at the journal failed", exc_info=True)

    async def _refresh(
        self, folder: OutputFolder, *, final: bool = False
    ) -> None:
        facts = self.facts() | await self._more_facts()
        try:
            await folder.refresh(facts, final=final)
        except DownloadError as error:
            # Pictures are kept where they can be; a page can be made anew.
            if str(error) != self._told:
                self._told = str(error)
                _log.warning("%s", error)

    async def _more_facts(self) -> dict[str, JSON]:
        slots = self.run.rooms.queue.slots
        facts: dict[str, JSON] = {
            "pid": os.getpid(),
            "at": time.time(),
            "slots": slots.limit,
            "slots_held": slots.held,
        }
        if self.run.journal is not None:
            journal = self.run.journal.journal
            counts = await journal.counts()
            facts["states"] = {
                state.name.lower(): number for state, number in counts.items()
            }
            oldest = await journal.oldest()
            if oldest is not None:
                facts["oldest_age"] = time.time() - oldest
            page = await journal.entries({State.UNKNOWN}, limit=_UNKNOWN)
            facts["unknown"] = [entry.track_id for entry in page]
        return facts

    def leave_to_parent(self) -> None:
        """
        In a forked child: write nothing, and close nothing.
        """
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()

    async def aclose(self) -> None:
        """
        Write what is late, the status and the page; close the journal.
        """
        self._closing = True
        self.run.rooms.journals.discard(self.journalled)
        if self._bells is not None:
            self._bells.close()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        if self.run.journal is not None:
            await self.run.journal.settle()
        if self.run.folder is not None:
            try:
                await self._refresh(self.run.folder, final=True)
            except Exception as error:  # noqa: BLE001 - the rest is closed
                _log.warning("the status cannot be written: %s", error)
        if self._opened is not None:
            self.run.rooms.runtime.let_go.discard(self._opened.abandon)
            await self._opened.aclose()
