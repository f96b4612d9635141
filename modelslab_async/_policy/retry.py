"""
How often to try again, and how soon.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from .._fact import Fact
from .numbers import number_faults, refuse
from .timeouts import Timeouts


@attrs.frozen(repr=False)
class RetryPolicy(Fact):
    """
    How often we try again, and what may be bought twice.

    Attributes:
        attempts: Tries of a request that never left, at least 1.

        patience: Seconds within which those tries are made.

        budget:
            Tokens that retries are paid from; each costs 10, each call that
            needs none gives 1 back: in the long run one call in ten may be a
            retry.

        resubmit_unknown:
            How often a request whose outcome is unknown is sent again.  It
            may be billed each time: of such requests 97 % had really been
            paid for (measured by killing processes).

        resubmit_failed:
            How often a job that the service failed is asked for anew; each is
            a new job to pay for.

    Raises:
        ConfigurationError: What is no such number, all of it.
    """

    attempts: int = 5
    patience: float = 60.0
    budget: float = 100.0
    resubmit_unknown: int = 0
    resubmit_failed: int = 0

    def __attrs_post_init__(self) -> None:
        refuse("RetryPolicy", self._faults())

    def _faults(self) -> Iterator[str]:
        yield from number_faults("attempts", self.attempts, 1, whole=True)
        yield from number_faults("patience", self.patience)
        yield from number_faults("budget", self.budget)
        for name in ("resubmit_unknown", "resubmit_failed"):
            yield from number_faults(name, getattr(self, name), whole=True)


def backoff(tries: int, timeouts: Timeouts, dice: float) -> float:
    """
    Seconds before the next try: full jitter, so that crowds come apart.
    """
    return dice * min(
        timeouts.retry_longest, timeouts.retry_first * 2.0 ** min(tries, 30)
    )


@attrs.define(eq=False, repr=False)
class RetryBudget:
    """
    Tokens that retries are paid from, shared by all calls of a client.

    What changes: *left*, at most *capacity*.
    """

    capacity: float
    left: float = attrs.field(
        default=attrs.Factory(lambda self: self.capacity, takes_self=True)
    )

    def spend(self, cost: float = 10.0) -> bool:
        """
        Pay for one retry; False, and nothing paid, where too little is left.
        """
        if self.left < cost:
            return False
        self.left -= cost
        return True

    def earn(self, amount: float = 1.0) -> None:
        """
        Put back what a call gives that went well.
        """
        if self.left < self.capacity:
            self.left = min(self.capacity, self.left + amount)
