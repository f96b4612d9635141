"""
Calls that cost nothing, and so are repeated until they are answered.

They take no slot.  Whatever is not the service's own no is tried again, as
long as the retry policy says; then its error is raised.
"""

from __future__ import annotations

import asyncio
import random

from collections.abc import Callable
from typing import TypeVar

import attrs

from .._policy.retry import RetryPolicy, backoff
from .._policy.verdicts import SubmitVerdict, judge_submit
from .._protocol.decode import decode
from .._protocol.refusals import refusal_error
from .._protocol.replies import (
    Call,
    Cut,
    Processing,
    Refusal,
    Reply,
    Success,
    Unreadable,
    Unsent,
)
from ..errors import (
    ClientClosedError,
    ModelsLabError,
    ProtocolError,
    TransportError,
)
from .http import SessionPool
from .runtime import Runtime
from .waits import trouble


_Found = TypeVar("_Found")


_FINAL = frozenset(
    {SubmitVerdict.ACCOUNT, SubmitVerdict.REDIRECT, SubmitVerdict.REFUSED}
)


@attrs.frozen(eq=False, repr=False)
class FreeCalls:
    """
    The way to the service for what may be asked twice.
    """

    runtime: Runtime
    pool: SessionPool
    policy: RetryPolicy

    async def answer(
        self, call: Call, read: Callable[[Reply], _Found | None], what: str
    ) -> _Found:
        """
        What *read* finds in the answer to *call*.

        Args:
            call: The request.

            read: Gives None where the answer is not the one.

            what: What it is, for errors: "the upload of a.png".

        Raises:
            TransportError: The service was not reached; *sent* is False, as
                nothing that costs was asked for.

            ApiError: The service says no.

            ProtocolError: An answer that nobody can read.
        """
        ourselves = object()
        try:
            return await self._answer(call, read, what, ourselves)
        finally:
            self.runtime.waits.end(ourselves)

    async def _answer(
        self,
        call: Call,
        read: Callable[[Reply], _Found | None],
        what: str,
        ourselves: object,
    ) -> _Found:
        began, tries = self.runtime.now(), 0
        while True:
            reply = await self.pool.ask(call)
            if self.runtime.closed:
                raise ClientClosedError
            if isinstance(reply, Reply) and (
                (found := read(reply)) is not None
            ):
                return found
            tries += 1
            pause, error = self._pause(reply, what, tries, began)
            self.runtime.waits.begin(ourselves, *trouble(error), began)
            if self.runtime.observers:
                from ..events import FreeCallRetried

                event = FreeCallRetried(None, what, str(error), tries, pause)
                self.runtime.observers.tell(event)
            await asyncio.sleep(pause)

    def _pause(
        self,
        reply: Reply | Unsent | Cut,
        what: str,
        tries: int,
        began: float,
    ) -> tuple[float, ModelsLabError]:
        """
        Seconds until the next try, and what came of this one.

        Raises:
            ModelsLabError: There is none.
        """
        timeouts = self.runtime.timeouts
        heard = decode(reply) if isinstance(reply, Reply) else reply
        pause = backoff(tries, timeouts, random.random())
        error: ModelsLabError
        match heard:
            case Unsent(reason=reason) | Cut(reason=reason):
                error = TransportError(f"{what}: {reason}", sent=False)
                hopeless = isinstance(heard, Unsent) and heard.hopeless
            case Refusal() | Unreadable():
                error = refusal_error(heard)
                hopeless = judge_submit(heard) in _FINAL
                pause = max(pause, min(heard.retry_after or 0.0, timeouts.ban))
            case Success() | Processing():
                error = ProtocolError(f"{what}: not what was asked for", "")
                hopeless = False
        late = self.runtime.now() + pause - began > self.policy.patience
        if hopeless or late or tries >= self.policy.attempts:
            raise error
        return pause, error
