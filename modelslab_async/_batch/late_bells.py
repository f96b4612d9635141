"""
Bells of requests that got no verdict, and ring while a batch of theirs runs.

The journal knows their numbers.  The job that a ring names is looked at before
it is believed; then its item is accepted, whatever was told of it, and seen
through to its files.
"""

from __future__ import annotations

import asyncio
import logging
import time

import attrs

from .._engine.receipts import acceptance
from .._engine.verification import Doubt
from ..errors import ClientClosedError, JournalError
from ..journal import Accepted, Entry, IllegalMove, State
from ..results import Notice, Receipt
from .item import BatchJournal, Item, left_over
from .run import Run


_log = logging.getLogger("modelslab_async")


#: How often a job is looked at, before another ring.
_LOOKS = 6


@attrs.define(eq=False)
class LateBells:
    """
    Settles what is unknown in a batch's journal.

    What changes: whether it listens.
    """

    run: Run
    journal: BatchJournal

    def listen(self) -> None:
        """
        Hear of rings from now on, and of those that came too early.
        """
        bells = self.run.rooms.bells
        bells.strays[self.hear] = None
        bells.offer_kept(self.hear)

    def close(self) -> None:
        """
        Hear of no more.
        """
        self.run.rooms.bells.strays.pop(self.hear, None)

    async def hear(self, number: str, notice: Notice | None) -> bool:
        """
        See what a number is in this journal; True where nothing is left to
        do.
        """
        if notice is None or notice.job_id is None:
            return False
        journal = self.journal.journal
        try:
            found = await journal.find(bell=number)
            for entry in found:
                if entry.state is State.UNKNOWN:
                    return await self._settle(entry, notice.job_id)
        except (JournalError, ClientClosedError, IllegalMove) as error:
            _log.warning("a late webhook is not written down: %s", error)
        return False

    async def _settle(self, entry: Entry, job_id: str) -> bool:
        item = left_over(self.journal, entry)
        if item is None or await self.journal.journal.find(job_id=job_id):
            return False
        receipt = await self._receipt(item, entry, job_id)
        if receipt is None:
            return False
        step = Accepted(receipt, time.time())
        item.entry = await self.journal.journal.move(entry.index, step)
        _log.info(
            "the request with track_id %s is job %s, says its webhook",
            entry.track_id,
            job_id,
        )
        if not self.run.stopping:
            self.run.resume(item)
        return True

    async def _receipt(
        self, item: Item, entry: Entry, job_id: str
    ) -> Receipt | None:
        rooms = self.run.rooms
        pause = rooms.runtime.timeouts.retry_first
        for _ in range(_LOOKS):
            found = await rooms.on_demand.verification.look(
                item.spec, entry.track_id, job_id
            )
            if not isinstance(found, Doubt):
                name = entry.track_id or ""
                return acceptance(item.spec.endpoint, name, found)
            if found is Doubt.ANOTHER:
                return None
            await asyncio.sleep(pause)
            pause *= 2
        return None
