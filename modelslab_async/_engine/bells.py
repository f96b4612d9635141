"""
Which requests are told of by a webhook, and how well that works.

A ring is a reason to ask, never an answer.  Two bells in a row that did not
ring before their job was found to be over are taken for all: then jobs are
asked for as if there were none, until one rings.
"""

from __future__ import annotations

import asyncio
import logging
import math
import weakref

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

import attrs

from ..results import JobState, Notice
from .runtime import Runtime
from .waiters import Waiters


_log = logging.getLogger("modelslab_async")


_Kept = TypeVar("_Kept")


#: Is told of a ring; says whether it knows its number.
Ear: TypeAlias = "Callable[[str, Notice | None], bool]"


#: Finds out what a number is that no request has now; says whether it did.
Stray: TypeAlias = "Callable[[str, Notice | None], Awaitable[bool]]"


class RingSource(Protocol):
    """
    What rings: a doorbell, which lives above us.
    """

    def url(self, number: str) -> str: ...

    def scrub(self, body: bytes) -> bytes: ...

    def attach(self, listener: Ear) -> None: ...

    def detach(self, listener: Ear) -> None: ...

    def kept(self) -> Sequence[tuple[str, Notice | None]]: ...

    def taken(self, number: str) -> None: ...


#: As many in a row that did not ring mean that none does.
_SILENT = 2


#: Seconds by which a ring may come after its job was found to be over, and
#: still shows that bells ring.
_JUST_NOW = 1.0


#: Jobs that are over, whose late and repeated rings are known; and requests
#: without a verdict.
_MOST_PAST = 10_000


#: Job ids that one bell's rings may name.
_MOST_NAMED = 8


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Bell:
    """
    The bell of one request.

    What changes: what it has rung so far.

    Attributes:
        number: Random, and in its URL.

        rung: Whether it rang for an end; a job that runs may be told too.

        pending: Whether it rang since its job was last asked for.

        asked: When a ring last made us ask, or is about to.

        named: The job ids that its rings named.

        heard: Is called when it rings.

        waiters: Those who wait for a ring.
    """

    number: str
    owner: Bells
    rung: bool = False
    pending: bool = False
    asked: float = -math.inf
    named: list[str] = attrs.field(factory=list)
    heard: Callable[[], None] | None = None
    waiters: Waiters = attrs.field(factory=Waiters)

    @property
    def expected(self) -> bool:
        """
        Whether it is likely to ring yet.
        """
        return not self.rung and self.owner.trusted

    @property
    def url(self) -> str:
        """
        What the service is told to call.
        """
        return self.owner.url(self.number)

    def ring(self, notice: Notice | None) -> None:
        """
        The service, or somebody who knows its URL, has called.
        """
        self.pending = True
        if notice is None or notice.state is not JobState.PROCESSING:
            self.rung = True
        job_id = None if notice is None else notice.job_id
        if job_id and job_id not in self.named[-_MOST_NAMED:]:
            self.named.append(job_id)
            del self.named[:-_MOST_NAMED]
        self.waiters.wake()
        if self.heard is not None:
            self.heard()

    def answer(self, now: float, apart: float) -> float:
        """
        Seconds until its job is asked for because it rang; whoever rings
        without end is answered each *apart* seconds, and delays nothing.
        """
        self.pending = False
        if self.asked <= now:
            self.asked = max(now, self.asked + apart)
        return self.asked - now

    def take_down(
        self, *, noticed: bool = False, track_id: str | None = None
    ) -> None:
        """
        Its job has ended; see `Bells.take_down`.
        """
        self.owner.take_down(self, noticed=noticed, track_id=track_id)


@attrs.define(eq=False, repr=False)
class Bells:
    """
    The bells of a client's requests.

    What changes: which requests have one, and how many did not ring.

    Attributes:
        silenced: Is called when bells are no longer relied on.

        strays: Are asked about rings of numbers that no request has.

        closed: Nobody waits for a bell any more.
    """

    runtime: Runtime
    source: RingSource | None = None
    silenced: Callable[[], None] = attrs.field(
        default=lambda: None, init=False
    )
    strays: dict[Stray, None] = attrs.field(factory=dict, init=False)
    closed: bool = attrs.field(default=False, init=False)
    _hung: dict[str, Bell] = attrs.field(factory=dict, init=False)
    #: When a poll found a job to be over whose bell had not rung; else 0.
    _past: dict[str, float] = attrs.field(factory=dict, init=False)
    #: The names of requests without a verdict.
    _unknown: dict[str, str] = attrs.field(factory=dict, init=False)
    _detach: weakref.finalize[..., Bells] | None = attrs.field(
        default=None, init=False
    )
    _silent: int = attrs.field(default=0, init=False)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    @property
    def trusted(self) -> bool:
        """
        Whether bells ring, as far as is known.
        """
        return self._silent < _SILENT

    def url(self, number: str) -> str:
        """
        Where this number is rung.
        """
        return "" if self.source is None else self.source.url(number)

    def listen(self) -> None:
        """
        Hear the rings from now on.
        """
        if self.source is None:
            return
        # It outlives clients that are forgotten, and must not keep them.
        ours = weakref.ref(self)

        def ear(number: str, notice: Notice | None) -> bool:
            bells = ours()
            return bells is not None and bells.ring(number, notice)

        self.source.attach(ear)
        self._detach = weakref.finalize(self, self.source.detach, ear)
        self._detach.atexit = False

    def detach(self) -> None:
        """
        Hear no more.
        """
        self.closed = True
        if self._detach is not None:
            self._detach()

    def close(self) -> None:
        """
        Hear no more, and let those go who wait for a ring.
        """
        self.detach()
        for task in self._tasks:
            task.cancel()
        for bell in tuple(self._hung.values()):
            bell.waiters.wake()

    def hang(self, number: str | None = None) -> Bell | None:
        """
        A bell for a request; None where there is no doorbell.

        Args:
            number: What a journal has of a request that had left; None: a
                new one.
        """
        if self.source is None:
            return None
        if number is None:
            import secrets

            number = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
            return self._hung.setdefault(number, Bell(number, self))
        if number in self._hung:
            return self._hung[number]
        bell = self._hung[number] = Bell(number, self)
        for kept, notice in self.source.kept():
            if kept == number:
                self.source.taken(number)
                bell.ring(notice)
        return bell

    def take_down(
        self, bell: Bell, *, noticed: bool, track_id: str | None
    ) -> None:
        """
        Nothing more is expected of a bell.

        Args:
            bell: Which.

            noticed: Its job was found to be over.

            track_id: The name of a request that got no verdict.
        """
        if self._hung.pop(bell.number, None) is None:
            return
        silent = noticed and not bell.rung
        if track_id is not None:
            _keep(self._unknown, bell.number, track_id)
            if bell.named:
                # It rang, too late or in vain: whoever knows it may try.
                named = Notice(bell.named[-1], None, JobState.PROCESSING)
                self.runtime.loop.call_soon(self._ring, bell.number, named)
            return
        now = self.runtime.now() if silent else 0.0
        _keep(self._past, bell.number, now)
        if silent:
            self._silent += 1
            if self._silent == _SILENT:
                _log.info("webhooks do not ring: jobs are asked for instead")
                self._tell(trusted=False)
                self.silenced()

    def _trust(self) -> None:
        """
        One has rung: they are relied on from now on.
        """
        trusted, self._silent = self.trusted, 0
        if not trusted:
            self._tell(trusted=True)

    def _tell(self, *, trusted: bool) -> None:
        if self.runtime.observers:
            from ..events import DoorbellTrusted

            self.runtime.observers.tell(DoorbellTrusted(None, trusted))

    def ring(self, number: str, notice: Notice | None) -> bool:
        """
        A number was rung, on any loop and in any thread; whether it is known.
        """
        known = number in self._hung or number in self._past
        loop = self.runtime.loop
        try:
            if _running_loop() is loop:
                self._ring(number, notice)
            else:
                loop.call_soon_threadsafe(self._ring, number, notice)
        except RuntimeError:
            # The loop is closed: nobody is there.
            return False
        return known

    def _ring(self, number: str, notice: Notice | None) -> None:
        if self.closed:
            return
        bell = self._hung.get(number)
        if bell is not None:
            self._trust()
            bell.ring(notice)
            return
        if number in self._past:
            noticed = self._past[number]
            if noticed and self.runtime.now() - noticed <= _JUST_NOW:
                self._trust()
            return
        self._offer(number, notice, tuple(self.strays))

    def offer_kept(self, stray: Stray) -> None:
        """
        Have one who comes late see to the rings that nobody knew.
        """
        if self.source is not None:
            for number, notice in self.source.kept():
                self._offer(number, notice, (stray,))

    def _offer(
        self, number: str, notice: Notice | None, strays: Sequence[Stray]
    ) -> None:
        task = self.runtime.loop.create_task(
            self._find_out(number, notice, strays)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_out(
        self, number: str, notice: Notice | None, strays: Sequence[Stray]
    ) -> None:
        """
        Ask those who may know it what a number is.
        """
        for stray in strays:
            try:
                known = await stray(number, notice)
            except Exception:  # noqa: BLE001 - a ring breaks no run
                _log.warning("a webhook is not looked into", exc_info=True)
                continue
            if known:
                self._unknown.pop(number, None)
                if self.source is not None:
                    self.source.taken(number)
                _keep(self._past, number, 0.0)
                return
        self._tell_of(number, notice)

    def _tell_of(self, number: str, notice: Notice | None) -> None:
        """
        Say which job a request became whose outcome was unknown.
        """
        job_id = None if notice is None else notice.job_id
        if job_id is not None and number in self._unknown:
            _log.warning(
                "the request with track_id %s, whose outcome was unknown, is "
                "job %s, says its webhook",
                self._unknown.pop(number),
                job_id,
            )


#: Of a number: 66 bits.
_DIGITS = 20


def _keep(kept: dict[str, _Kept], number: str, value: _Kept) -> None:
    kept.pop(number, None)
    kept[number] = value
    if len(kept) > _MOST_PAST:
        del kept[next(iter(kept))]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
