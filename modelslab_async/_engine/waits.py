"""
What requests and jobs wait for, so that nothing waits silently.

A wait is noted when it begins and forgotten when it is over. One look at all
of them, now and then, tells of those that last for long: with a WARNING for
each reason at first, and then ever more seldom.
"""

from __future__ import annotations

import asyncio
import enum
import logging

from collections import defaultdict
from collections.abc import Hashable, Iterable

import attrs

from .._observing import Observers
from ..errors import ApiError, ModelsLabError, ServerError, TransportError


_log = logging.getLogger("modelslab_async")


#: Seconds without a long wait of its reason after which the next is told at
#: once, where they were told less seldom than that.
_FORGOTTEN = 60.0


class Waited(enum.StrEnum):
    """
    What can be waited for.
    """

    #: The network, or a service that is away.
    SERVICE = "service"
    #: The service refuses what it should take.
    REFUSED = "refused"
    #: A ban, or the same-request filter.
    BAN = "ban"
    #: A model that is not in memory.
    LOADING = "loading"
    #: The key, the credit or the plan.
    ACCOUNT = "account"
    #: One of the account's slots.
    SLOT = "slot"


@attrs.frozen(eq=False, repr=False)
class Wait:
    """
    What one request or job waits for.

    Attributes:
        since: When it began to wait, for this or another trouble.

        words: What for, to follow "waiting for".
    """

    reason: Waited
    since: float
    words: str


@attrs.define(eq=False, repr=False)
class Waits:
    """
    All that wait, on one event loop.

    What changes: who they are, and when each reason is told next.

    Attributes:
        patience: Seconds for which a wait is nobody's business.

        speed: What all waits are divided by.
    """

    loop: asyncio.AbstractEventLoop
    patience: float
    speed: float
    observers: Observers
    _waiting: dict[Hashable, Wait] = attrs.field(factory=dict, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    #: When each reason is told again, how long after the time before, and
    #: when it was last found.
    _told: dict[Waited, tuple[float, float, float]] = attrs.field(
        factory=dict, init=False
    )

    def begin(
        self,
        who: Hashable,
        reason: Waited,
        words: str,
        since: float | None = None,
    ) -> None:
        """
        Note what somebody waits for from now on.

        Whoever waited already has waited since then, whatever for.
        """
        known = self._waiting.get(who)
        if known is not None:
            since = known.since
        elif since is None:
            since = self.loop.time()
        self._waiting[who] = Wait(reason, since, words)
        if self._timer is None:
            self._timer = self.loop.call_later(self.patience, self._look)

    def end(self, who: Hashable, reason: Waited | None = None) -> None:
        """
        Somebody does not wait any more, where that is for *reason*.
        """
        if self._waiting:
            known = self._waiting.get(who)
            if known is not None and reason in {None, known.reason}:
                del self._waiting[who]

    def waiting_for(
        self, some: Iterable[Hashable] | None = None
    ) -> str | None:
        """
        What has been waited for longest, by *some* or by anybody; None where
        nobody waits for long.
        """
        if not self._waiting:
            return None
        long = self.loop.time() - self.patience
        whose = self._waiting if some is None else some
        found = [
            wait
            for who in whose
            if (wait := self._waiting.get(who)) is not None
            and wait.since <= long
        ]
        if not found:
            return None
        return min(found, key=_weight).words

    def close(self) -> None:
        """
        Nobody waits any more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()

    def _look(self) -> None:
        """
        Tell of those that wait for long, and look again while there are any.
        """
        self._timer, now = None, self.loop.time()
        long: defaultdict[Waited, list[Wait]] = defaultdict(list)
        for wait in self._waiting.values():
            # A timer may be early by its clock's last digit.
            if now - wait.since >= 0.999 * self.patience:
                long[wait.reason].append(wait)
        for reason, waits in long.items():
            self._tell(reason, waits, now)
        for reason, (_, pause, found) in tuple(self._told.items()):
            if now - found > min(pause, _FORGOTTEN / self.speed):
                del self._told[reason]
        if self._waiting or self._told:
            self._timer = self.loop.call_later(self.patience, self._look)

    def _tell(self, reason: Waited, waits: list[Wait], now: float) -> None:
        due, pause, _ = self._told.get(reason, (now, self.patience, now))
        self._told[reason] = (due, pause, now)
        if now < due:
            return
        pause = 2 * pause
        self._told[reason] = (now + pause, pause, now)
        oldest = min(waits, key=_weight)
        waited, others = now - oldest.since, len(waits) - 1
        _log.warning(
            "waiting for %s s for %s%s",
            # A client of a fast simulator has waited for tenths.
            f"{waited:.0f}" if self.speed == 1.0 else f"{waited:.1f}",
            oldest.words,
            f", and {others} more" if others else "",
        )
        if self.observers:
            from ..events import WaitsLong

            event = WaitsLong(None, reason, oldest.words, waited, len(waits))
            self.observers.tell(event)


def trouble(error: ModelsLabError) -> tuple[Waited, str]:
    """
    What is waited for after an error that may pass, and in words.
    """
    match error:
        case TransportError():
            return Waited.SERVICE, f"the service: not reached ({error})"
        case ServerError():
            return Waited.SERVICE, f"the service: not available ({error})"
        case ApiError():
            return Waited.REFUSED, f"the service: it refuses all ({error})"
    return Waited.SERVICE, f"the service: it gives no verdict ({error})"


def _weight(wait: Wait) -> tuple[bool, float]:
    # A slot is what everybody waits for; whatever else there is tells more.
    return wait.reason is Waited.SLOT, wait.since
