"""
When to ask again.
"""

from __future__ import annotations

import math

from collections.abc import Hashable

import attrs

from .errors import ConfigurationError


@attrs.frozen
class PollSchedule:
    """
    How eagerly to ask whether a job is done.

    Args:
        cost:
            Seconds of delay that one poll is worth: less asks more often.

        shortest: Seconds, the least between two polls of a job.

        longest: Seconds, the most between two polls of a job, unless the
            budget is exhausted.

        budget: Polls a second, of all jobs of a client together; may be inf.

    Raises:
        ConfigurationError: An option that cannot be.
    """

    cost: float = 0.05
    shortest: float = 0.5
    longest: float = 20.0
    budget: float = 20.0

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.cost) and self.cost > 0):
            raise ConfigurationError(
                f"a poll's cost is finite and above 0, not {self.cost!r}"
            )
        if not 0 < self.shortest <= self.longest < math.inf:
            raise ConfigurationError(
                "polls need 0 < shortest <= longest, both finite, not "
                f"{self.shortest!r} and {self.longest!r}"
            )
        if not self.budget > 0:
            raise ConfigurationError(
                f"the budget of polls is above 0, not {self.budget!r}"
            )

    @classmethod
    def fixed(cls, seconds: float) -> PollSchedule:
        """
        Ask every so many seconds, whatever is known of the job.
        """
        return cls(shortest=seconds, longest=seconds)


@attrs.define
class Pace:
    """
    What a client has learnt of how long jobs take, per kind of job.
    """

    schedule: PollSchedule

    def pause(
        self,
        kind: Hashable,
        *,
        eta: float | None,
        waited: float,
        asked: int,
        dice: float,
        bell: bool = False,
    ) -> float:
        """
        Seconds until the next poll of a job.

        Args:
            kind: Jobs of one kind take about the same time.

            eta: Seconds that the service guessed when it took the job.

            waited: Seconds since then.

            asked: How many times we have asked already.

            dice: In [0, 1).

            bell: Whether a webhook will tell, so that polls only back it up.
        """
        return max(self.schedule.shortest, 1.0)

    def saw(
        self, kind: Hashable, *, eta: float | None, after: float, by: float
    ) -> None:
        """
        Learn from a job that ended in (after, by] seconds after it was taken;
        by=inf: it had not ended when we gave up.
        """


@attrs.define
class Bucket:
    """
    The budget of polls: a bucket of tokens, filled at a constant rate.

    Args:
        rate: Polls a second; may be inf.

    Bursts of half a second's worth pass: jobs do not come due evenly, and
    after a stalled loop no more than that goes at once.
    """

    rate: float
    _full: float = attrs.field(default=-math.inf, init=False)

    def wait(self, now: float) -> float:
        """
        Seconds until a poll may go; 0: it may go now, and its token is taken.
        """
        # `_full` is when the bucket will be full again.
        full = max(now, self._full) + 1.0 / self.rate
        ahead = full - now - max(0.5, 1.0 / self.rate)
        if ahead > 1e-9:
            return ahead
        self._full = full
        return 0.0
