"""
The one loop that asks for all jobs of a client, each when it is due.

A heap of due jobs, a few questions at a time, one timer.  A job has no task
and no timer of its own; a question has a task while it is out.
"""

from __future__ import annotations

import asyncio
import heapq
import logging

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from contextvars import Context, copy_context

import attrs

from .._policy.polling import PollSchedule, TokenBucket
from .._protocol.replies import CallResult, Unsent
from ..errors import ConfigurationError
from .job import Watch
from .runtime import Runtime


_log = logging.getLogger("modelslab_async")


@attrs.define(eq=False, repr=False)
class PollLoop:
    """
    Asks for jobs when they are due, and hands on what is heard.

    What changes: when each job is due, and which are being asked for.

    Attributes:
        schedule: How many questions may go a second.

        slots: How many slots are in use now.

        ask: Asks for a job, once.

        hear: Is given what was heard, None where asking hung, or died of a
            bug.

        stumbled: Is called after a bug in the loop itself.
    """

    runtime: Runtime
    schedule: PollSchedule
    slots: Callable[[], int]
    ask: Callable[[Watch], Awaitable[CallResult]]
    hear: Callable[[Watch, CallResult | None], None]
    stumbled: Callable[[], None]
    _bucket: TokenBucket = attrs.field(init=False)
    _heap: list[tuple[float, int, Watch]] = attrs.field(
        factory=list, init=False
    )
    _count: int = attrs.field(default=0, init=False)
    _asking: dict[Watch, tuple[float, asyncio.Task[None]]] = attrs.field(
        factory=dict, init=False
    )
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    #: Some were due, and found no room.
    _crowded: bool = attrs.field(default=False, init=False)
    #: Polls are nobody's: not in the context of whoever came last.
    _context: Context = attrs.field(factory=copy_context, init=False)
    _guard: AsyncGenerator[None, None] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bucket = TokenBucket(self._rate(0))
        self._guard = self._guarded()
        _advance(self._guard)

    def _rate(self, slots: int) -> float:
        return self.schedule.rate(slots) * self.runtime.timeouts.speed

    def plan(self, watch: Watch, due: float) -> None:
        """
        Ask for a job at *due*, and not when it was planned before.
        """
        watch.inquiry.due = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, watch))
        if self._heap[0][2] is watch:
            self._wake(due)

    def asks(self, watch: Watch) -> bool:
        """
        Whether a question after that job is out now.
        """
        return watch in self._asking

    def asked_at(self, watch: Watch) -> float | None:
        """
        When the question that is out was asked; None where none is.
        """
        asking = self._asking.get(watch)
        return None if asking is None else asking[0]

    async def _guarded(self) -> AsyncGenerator[None, None]:
        """
        What an event loop ends before it closes, as it does all of its kind.

        It has cancelled all tasks before: what has become due since then
        would hang in it.
        """
        try:
            yield
        except GeneratorExit:
            self._end()
            await self.join()
            raise

    def close(self) -> None:
        """
        Ask no more; end the questions that are out.
        """
        _advance(self._guard)
        self._end()

    def _end(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for _, task in self._asking.values():
            task.cancel()

    async def join(self) -> None:
        """
        Wait until no question is out any more.
        """
        if self._asking:
            await asyncio.wait([task for _, task in self._asking.values()])

    def _wake(self, at: float) -> None:
        """
        See that the loop's next turn comes no later than *at*.
        """
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        if not self._closed:
            self._timer = self.runtime.loop.call_at(
                at, self._turn, context=self._context
            )

    def _turn(self) -> None:
        """
        One turn of the loop: end polls that hang, start those that are due.
        """
        self._timer = None
        now = self.runtime.now()
        try:
            if self._asking:
                self._sweep(now)
            due = self._ask_due(now)
            if self._asking:
                # Those that hang have no other timer.
                started, _ = next(iter(self._asking.values()))
                swept = started + self.runtime.timeouts.poll
                due = swept if due is None else min(due, swept)
        except Exception:  # noqa: BLE001 - jobs go on
            _log.critical(
                "the poll loop died of a bug and is started again",
                exc_info=True,
            )
            self.stumbled()
            due = now + self.schedule.shortest
        if due is not None:
            self._wake(due)

    def _ask_due(self, now: float) -> float | None:
        """
        Start the polls that are due; give when the next is, if that is known.
        """
        slots, self._crowded = self.slots(), False
        if slots != self._bucket.slots:
            self._bucket.heed(slots, self._rate(slots))
        while self._heap:
            due, _, watch = self._heap[0]
            if due != watch.inquiry.due or watch in self._asking:
                heapq.heappop(self._heap)
                continue
            if due > now:
                return due
            if len(self._asking) >= self._bucket.at_once:
                self._crowded = True
                return None
            pause = self._bucket.ready_in(now)
            if pause > 0:
                return now + pause
            self._bucket.take(now)
            heapq.heappop(self._heap)
            self._asking[watch] = (
                now,
                self.runtime.loop.create_task(self._ask(watch)),
            )
        return None

    def _sweep(self, now: float) -> None:
        """
        End polls that hang: one look at the oldest, instead of a timer each.
        """
        patience = self.runtime.timeouts.poll
        hung: list[tuple[Watch, asyncio.Task[None]]] = []
        for watch, (started, task) in self._asking.items():
            # The timer's own sum: a difference may round to less, and spin.
            if now < started + patience:
                break
            hung.append((watch, task))
        for watch, task in hung:
            if not task.cancel():
                # Somebody cancelled it before it began.
                self._over(watch, well=False)

    async def _ask(self, watch: Watch) -> None:
        well = False
        try:
            try:
                heard = await self.ask(watch)
            except ConfigurationError as error:
                _log.warning(
                    "job %s cannot be asked for: %s", watch.receipt.id, error
                )
                heard = Unsent(error.reason)
            self.hear(watch, heard)
            well = True
        except Exception:  # noqa: BLE001 - other jobs go on
            _log.critical("a poll died of a bug", exc_info=True)
        finally:
            self._over(watch, well=well)

    def _over(self, watch: Watch, *, well: bool) -> None:
        """
        A poll is over; not in a callback, which costs a turn of the loop.
        """
        del self._asking[watch]
        if self._closed or self.runtime.loop.is_closed():
            return
        if not well:
            self.hear(watch, None)
        if self._crowded:
            self._wake(self.runtime.now())


def _advance(generator: AsyncGenerator[None, None]) -> None:
    """
    Bring a generator that awaits nothing to its next `yield`, or its end.
    """
    with suppress(StopIteration, StopAsyncIteration):
        generator.asend(None).send(None)
