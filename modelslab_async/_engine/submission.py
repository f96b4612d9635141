"""
One request on its way, where it is written down, and how it can end.
"""

from __future__ import annotations

import asyncio
import math

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import attrs

from .._policy.breakers import OutageBreaker
from .._policy.tickets import Ticket
from ..errors import ModelsLabError, OutcomeUnknownError
from ..results import Generation, Receipt
from ..specs import Spec
from .attempts import Attempts
from .bells import Bell
from .job import Job, Watch
from .waiters import Waiters
from .waits import Waited


T = TypeVar("T")


class Record(Protocol):
    """
    Where a request is written down, step by step; a batch's journal.

    Each is on disk when it returns.  None of them raises once the request
    has left: what was paid for must not be lost to a full disk.
    """

    async def submitting(
        self, track_id: str, bell: str | None, mark: str | None
    ) -> None:
        """
        The next thing that happens is the first byte.

        *bell* is the number of its webhook, *mark* the highest job id that is
        known.
        """

    async def accepted(self, receipt: Receipt) -> None:
        """
        It runs, and is billed.
        """

    async def done(self, generation: Generation) -> None:
        """
        The links to its pictures are known, at once or in the end.
        """

    async def planned(self) -> None:
        """
        It was not taken, and may be sent again.
        """

    async def unknown(self, error: OutcomeUnknownError) -> None:
        """
        It left, and no verdict came.
        """

    async def failed(self, error: ModelsLabError) -> None:
        """
        It was refused for what it is, or its job failed.
        """

    async def stored(self, files: tuple[str, ...]) -> None:
        """
        Its pictures are files of these names.
        """


class Unwritten:
    """
    The record of a call: calls don't survive their process.
    """

    async def submitting(
        self, track_id: str, bell: str | None, mark: str | None
    ) -> None: ...

    async def accepted(self, receipt: Receipt) -> None: ...

    async def done(self, generation: Generation) -> None: ...

    async def planned(self) -> None: ...

    async def unknown(self, error: OutcomeUnknownError) -> None: ...

    async def failed(self, error: ModelsLabError) -> None: ...

    async def stored(self, files: tuple[str, ...]) -> None: ...


UNWRITTEN: Record = Unwritten()


@attrs.frozen(eq=False, repr=False)
class Placed:
    """
    Where the local files of a request are.

    Attributes:
        urls: By SHA-256.

        until: When the first of them is about to die, on the loop's clock.
    """

    urls: Mapping[str, str]
    until: float


#: Of a request that nothing was looked up for yet, and of one without any.
NOT_YET, NO_FILES = Placed({}, -math.inf), Placed({}, math.inf)


class Withdrawn:
    """
    A request that was taken out of the queue: the service has not taken it,
    and it is not sent again.
    """


#: How a request can end.
SubmissionEnd: TypeAlias = Job | ModelsLabError | Withdrawn


@attrs.define(eq=False, repr=False)
class Submission:
    """
    One request on its way.

    What changes: where it is.

    Attributes:
        job: What comes of it; without an id until the service has answered.

        sent: It may be at the service now: it can't be taken back, and it is
            in `ModelsLab.jobs()`.

        lane: What it shares with others of its batch, if it is of one.

        asked: It has left at least once, whatever came of it.

        entered: It has held a slot.

        end: What came of it; None while it is under way.
    """

    job: Job
    watch: Watch
    spec: Spec
    priority: int
    record: Record
    attempts: Attempts
    lane: Lane | None = None
    #: Its place in the queue, or its slot, until it is accepted.
    ticket: Ticket | None = attrs.field(default=None, init=False)
    sent: bool = attrs.field(default=False, init=False)
    asked: bool = attrs.field(default=False, init=False)
    withdrawn: bool = attrs.field(default=False, init=False)
    end: SubmissionEnd | None = attrs.field(default=None, init=False)
    task: asyncio.Task[SubmissionEnd] = attrs.field(init=False)
    entered: bool = attrs.field(default=False, init=False)
    ending: Waiters = attrs.field(factory=Waiters, init=False)

    @property
    def track_id(self) -> str:
        """
        The name of the request.
        """
        return self.attempts.track_id

    @property
    def uploads(self) -> bool:
        """
        Whether its pictures are on their way, and it in no queue yet.
        """
        return bool(self.spec.uploads) and self.ticket is None

    @property
    def bell(self) -> Bell | None:
        """
        What rings when its job has ended.
        """
        return self.watch.inquiry.bell

    @property
    def patient(self) -> bool:
        """
        Whether it waits while another sees if a refused account is good
        again: a call fails alone, a batch would be stopped by it.
        """
        return self.attempts.breaker is not None

    async def write_down(self, highest: int) -> None:
        """
        Record that it is about to leave; *highest* is the highest job id that
        is known, 0 where none is.
        """
        await self.record.submitting(
            self.track_id,
            None if self.bell is None else self.bell.number,
            str(highest) if highest else None,
        )

    def withdraw(self) -> None:
        """
        Take it out of the queue, or see that it does not come back there.
        """
        self.withdrawn = True
        if not self.sent and self.end is None:
            self.task.cancel()

    async def ended(self, timeout: float | None = None) -> bool:
        """
        Wait for its end; False if *timeout* seconds are over before.

        It goes on when whoever waits goes away.
        """
        return self.end is not None or await self.ending.wait(timeout)

    def leaving(self) -> None:
        """
        Its first byte is about to leave.

        Raises:
            ConnectionAbortedError: It was taken back a moment ago.
        """
        if self.task.cancelling():
            raise ConnectionAbortedError("the request was taken back")
        self.sent = True

    def note_wait(self, reason: Waited, words: str) -> None:
        """
        Note why it is not sent: since its first try, if there was one.
        """
        runtime, since = self.watch.runtime, self.attempts.began
        if runtime is not None:
            words = self.watch.redact(words)
            runtime.waits.begin(self.job, reason, words, since)

    def enter(self) -> None:
        """
        It holds a slot.
        """
        if not self.entered:
            self.entered = True
            self._move_on()

    def finish(self, end: SubmissionEnd) -> None:
        """
        Nothing more will come of it.
        """
        self.end = end
        self._move_on()
        self.ending.wake()

    async def in_turn(self, upload: Callable[[], Awaitable[T]]) -> T:
        """
        Upload its pictures, when it is its turn among those of its batch.
        """
        if self.lane is None:
            return await upload()
        async with self.lane.uploading:
            return await upload()

    def _move_on(self) -> None:
        if self.lane is not None:
            self.lane.moved.wake()


#: Pictures that a batch uploads at once: fewer than a client may, so that no
#: call waits behind them.
_UPLOADS = 6


#: Requests whose pictures are uploaded ahead, and one more for each further
#: slot: an upload takes longer than a large account takes to free one.
_AHEAD = 3


@attrs.define(eq=False, repr=False)
class Lane:
    """
    What the requests of one batch share on their way to the queue.

    What changes: who is on it, and who waits for them.

    Attributes:
        breaker: Keeps them from asking while the service is out.

        uploading: Their turns to upload.

        moved: Who waits until one of them holds a slot, or never will.
    """

    breaker: OutageBreaker
    uploading: asyncio.Semaphore = attrs.field(
        factory=partial(asyncio.Semaphore, _UPLOADS), init=False
    )
    moved: Waiters = attrs.field(factory=Waiters, init=False)
    #: Those that have held no slot yet.
    _ahead: list[Submission] = attrs.field(factory=list, init=False)

    async def join(self, one: Submission, slots: int) -> None:
        """
        Let one more come, and wait until there is room for the next.

        Who has a picture to upload does so while others wait for one of
        *slots*; nobody waits for the uploads of others.
        """
        self._ahead.append(one)
        while True:
            self._ahead = [
                each
                for each in self._ahead
                if not each.entered and each.end is None
            ]
            if not self._is_crowded(slots, uploads=bool(one.spec.uploads)):
                return
            await self.moved.wait()

    def _is_crowded(self, slots: int, *, uploads: bool) -> bool:
        queued = sum(not one.uploads for one in self._ahead)
        if not uploads:
            return queued > 0
        return queued > _AHEAD or len(self._ahead) > _AHEAD + slots - 1
