"""
What an account's refusal, or an outage, keeps from being asked.
"""

from __future__ import annotations

import enum

import attrs

from ..errors import ApiError, ModelsLabError
from .timeouts import Timeouts


@attrs.define(eq=False)
class AccountBreaker:
    """
    What a no to the account (key, credit, plan) closes.

    While it is closed every call fails at once with the account's own error;
    the first that comes *pause* seconds after the last no is let through as
    a probe, and its acceptance opens the door.

    What changes: the error that closed it, when the last no was heard, and
    whether a probe is under way.
    """

    pause: float
    error: ApiError | None = None
    probing: bool = False
    _since: float = 0.0

    def closed(self, now: float) -> ApiError | None:
        """
        The error to fail with, or None: come in.

        After the pause one caller is let in as a probe; it has to report
        with `refused`, `accepted` or `undecided`.
        """
        if self.error is None:
            return None
        if not self.probing and now - self._since >= self.pause:
            self.probing = True
            return None
        return self.error

    def refused(self, error: ApiError, now: float) -> None:
        """
        The account was refused: close.
        """
        self.error, self._since, self.probing = error, now, False

    def accepted(self) -> None:
        """
        The account is good: open.
        """
        self.error, self.probing = None, False

    def undecided(self) -> None:
        """
        The probe came back without a word about the account.
        """
        self.probing = False


class Trouble(enum.Enum):
    """
    What can go wrong for many items of a batch in a row.
    """

    #: Sent, and no verdict came.
    UNKNOWN = enum.auto()
    #: The same refusal again.
    REFUSED = enum.auto()
    #: Not sent, or met 503.
    UNREACHED = enum.auto()


@attrs.define(eq=False)
class OutageBreaker:
    """
    Keeps an outage from burning a batch.

    On after as many unknown outcomes in a row as there are slots, 20 equal
    refusals in a row, or 20 items in a row that could not be sent or met 503.
    While it is on, one item at a time is let through as a probe; the first
    good answer lets it go.

    What changes: the row of troubles, and since when the brake is on.
    """

    timeouts: Timeouts
    most: int = 20
    _kind: tuple[Trouble, str] | None = None
    _row: int = 0
    _since: float | None = None
    _probes: int = 0
    _next: float = 0.0
    _held: float = 0.0
    error: ModelsLabError | None = None

    @property
    def on(self) -> bool:
        return self._since is not None

    def good(self) -> None:
        """
        An item was accepted: let go.
        """
        self._kind, self._row, self._since, self._probes = None, 0, None, 0
        self.error = None

    def bad(
        self,
        trouble: Trouble,
        error: ModelsLabError,
        now: float,
        *,
        slots: int,
        words: str = "",
    ) -> None:
        """
        An item met *trouble*; *words* tell one refusal from another.
        """
        self.error = error
        kind = (trouble, words)
        if self.on:
            pause = self.timeouts.outage_first * 2.0 ** min(self._probes, 30)
            self._next = now + min(self.timeouts.outage_most, pause)
            self._probes += 1
            return
        self._row = self._row + 1 if kind == self._kind else 1
        self._kind = kind
        most = slots if trouble is Trouble.UNKNOWN else self.most
        if self._row >= most:
            self._since, self._probes = now, 1
            self._next = now + self.timeouts.outage_first

    def hold(self, until: float) -> None:
        """
        Ask for nothing until then: a ban.
        """
        self._held = max(self._held, until)

    def pause(self, now: float) -> float:
        """
        Seconds until the next item may be asked for; 0: now.
        """
        until = max(self._held, self._next) if self.on else self._held
        return max(0.0, until - now)

    def probing(self, now: float) -> None:
        """
        An item goes as a probe: no other before it has reported.
        """
        if self.on:
            self._next = now + self.timeouts.outage_most

    def spent(self, now: float) -> bool:
        """
        Whether it has been on for so long that the batch should stop.
        """
        return self._since is not None and (
            now - self._since >= self.timeouts.outage
        )
