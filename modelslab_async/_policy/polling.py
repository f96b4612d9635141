"""
When to ask again whether a job is done.

Asking costs: a request, and its share of the client's budget. Not asking costs
too: a job that ended a moment ago keeps its slot until somebody notices. The
exchange rate is ours to choose: `PollSchedule.cost` is the delay, in seconds,
that saving one poll is worth. All else follows.

Say we ask n times a second. A job that ends now is noticed 1/2n later, on
average, and each second that it goes on costs n polls. If jobs that have run
for so long end at a rate of h a second (the *hazard*), then h/2n + cost x n is
least at

    n = sqrt(h / (2 x cost))

(J. B. Keller, "Optimum Checking Schedules for Systems Subject to Random
Failure", Management Science 21(3), 1974). So: do not ask at all while no job
ever ended that soon, ask most where most end, and ever less often of a job
that has outlived the others. We add up n from now on, and ask when the sum
has reached 1.

The hazard is learnt for each kind of job, from when earlier ones ended, in
seconds or in the service's own guesses, whichever foretells better: see
`durations`.

What it comes to, in virtual time (``benchmarks/polling_virtual.py``; medians
of five seeds): 15 slots full of jobs of 5 s, log-normal with a spread of 0.5,
do .95 of what is possible at 4.0 polls a job if the guesses are within 30 %,
at 4.2 if they are three times too high or a third, and at 7.1 if they are
missing or always the same. Asking each second does .92 at 6.0, each half
second .96 at 11.4. A caller who asks for one picture after the other waits 20
to 70 % less at the median than with as many polls at fixed 2 s, and 11 to 65 %
less at the 95th percentile. ``docs/figures/polling-cost.png`` has the
whole curve.
"""

from __future__ import annotations

import math

from collections.abc import Hashable, Iterator

import attrs

from .._fact import Fact
from .durations import DurationModel
from .numbers import is_number, number_faults, refuse


#: How much dearer a poll is if a webhook will tell: a fifth as many.
_BELL = 30.0


#: Kinds that are remembered, the ones taught last.
_KINDS_KEPT = 1000


#: Seconds; a guess beyond these is taken to be the nearest of them.
_LEAST_ETA, _MOST_ETA = 0.05, 3600.0


@attrs.frozen(repr=False)
class PollSchedule(Fact):
    """
    How eagerly to ask whether a job is done.

    Args:
        cost:
            Seconds of delay that saving one poll is worth: less asks more
            often. From 0.5 (.90 of what 15 slots can do, 2 polls a job)
            over 0.1 (.94, 3.3) to 0.02 (.95, 4.4); without a usable guess
            (.85, 2.6), (.93, 5.1), (.95, 8.5).

        shortest: Seconds, the least between two polls of a job.

        longest: Seconds, the most between two polls of a job, unless the
            budget is exhausted.

        budget:
            Polls a second, of all jobs of a client together; may be inf.
            None: as many as the slots in use need, at least 20.

    Raises:
        ConfigurationError: An option that cannot be.
    """

    # With less, the bound of half a second is reached and only polls are
    # added; fal_client asks every 0.1 s, modelslab-py every 60 s.
    cost: float = 0.045
    shortest: float = 0.5
    longest: float = 20.0
    budget: float | None = None

    def __attrs_post_init__(self) -> None:
        refuse("PollSchedule", self._faults())

    def _faults(self) -> Iterator[str]:
        for name in ("cost", "shortest", "longest"):
            yield from number_faults(
                name, getattr(self, name), above=True, finite=True
            )
        yield from number_faults(
            "budget", self.budget, above=True, optional=True
        )
        both = is_number(self.shortest) and is_number(self.longest)
        if both and self.shortest > self.longest:
            yield (
                f"shortest: at most longest, which is {self.longest!r}, not "
                f"{self.shortest!r}"
            )

    @classmethod
    def fixed(cls, seconds: float) -> PollSchedule:
        """
        Ask every so many *seconds*, whatever is known of the job.

        Raises:
            ConfigurationError: *seconds* is not finite and above 0.
        """
        return cls(shortest=seconds, longest=seconds)

    @property
    def is_fixed(self) -> bool:
        """
        Whether all pauses are alike, whatever is known of a job.
        """
        return self.shortest == self.longest

    def rate(self, slots: int) -> float:
        """
        Polls a second that may go while so many slots are in use.

        No job is asked for more often than each *shortest*, so that nobody
        waits for want of polls: what the budget stops is a crowd of jobs that
        hold no slot, as those that were taken up by their ids.
        """
        if self.budget is not None:
            return self.budget
        return max(_LEAST_RATE, slots / self.shortest)


#: Polls a second; the service asks for no more than 30 a minute of its slowest
#: calls, and says nothing of fetching.
_LEAST_RATE = 20.0


#: Polls under way at once: 16 answers of 0.1 s make 160 a second.
_LEAST_AT_ONCE, _MOST_AT_ONCE = 16, 100


def polls_at_once(slots: int) -> int:
    """
    How many polls may be under way while so many slots are in use.
    """
    return min(max(_LEAST_AT_ONCE, slots), _MOST_AT_ONCE)


@attrs.define(eq=False, repr=False)
class Pace:
    """
    What a client has learnt of how long jobs take, kind by kind.
    """

    schedule: PollSchedule
    _kinds: dict[Hashable, DurationModel] = attrs.field(
        factory=dict, init=False
    )
    _last: DurationModel = attrs.field(init=False)

    @_last.default
    def _nothing_yet(self) -> DurationModel:
        return DurationModel()

    def pause(
        self,
        kind: Hashable,
        *,
        eta: float | None,
        waited: float,
        dice: float,
        bell: bool = False,
    ) -> float:
        """
        How long to wait before asking again.

        Args:
            kind: Jobs of one kind take about the same time.

            eta:
                Seconds that the service guessed when it took the job. Always
                pass the first guess, the one that `learn` will be told.

            waited: Seconds since the service took the job.

            dice: In [0, 1). Keeps jobs that began together from being asked
                for together.

            bell: Whether a webhook will tell, so that polls only back it up.

        Returns:
            Seconds, from `PollSchedule.shortest` to `PollSchedule.longest`,
            whatever the arguments.
        """
        shortest, longest = self.schedule.shortest, self.schedule.longest
        if self.schedule.is_fixed:
            return longest
        waited = min(waited, 1e9) if waited > 0 else 0.0
        durations, unit = self._kinds.get(kind, self._last).best(_known(eta))
        pause = durations.pause(
            unit,
            waited,
            cost=self.schedule.cost * (_BELL if bell else 1.0),
            longest=longest,
        )
        # In this order of arguments a NaN falls out.
        return min(longest, max(shortest, pause * (0.95 + 0.1 * dice)))

    def learn(
        self, kind: Hashable, *, eta: float | None, after: float, by: float
    ) -> None:
        """
        Learn from a job that ended in (after, by] seconds after it was taken.

        A fixed schedule has no use for it, and learns nothing.

        Args:
            kind: As for `pause`.

            eta: As for `pause`.

            after: When it was last seen running; 0 if never.

            by: When it was first seen done; inf: it ran when we gave up.
        """
        after = min(after, 1e9) if after > 0 else 0.0
        if self.schedule.is_fixed or not by > after:
            return
        # What is known of the kind that was taught last is a better start
        # than nothing; a few jobs of its own outweigh it.
        known = self._kinds.pop(kind, None) or self._last.young()
        self._kinds[kind] = self._last = known
        known.learn(_known(eta), after, by)
        if len(self._kinds) > _KINDS_KEPT:
            del self._kinds[next(iter(self._kinds))]


def _known(eta: float | None) -> float | None:
    """
    A guess that can be worked with, or None.
    """
    if eta is None or not 0 < eta < math.inf:
        return None
    return min(max(eta, _LEAST_ETA), _MOST_ETA)


@attrs.define(eq=False, repr=False)
class TokenBucket:
    """
    The budget of polls: a bucket of tokens, filled at a rate.

    What changes: the rate, and when the bucket will be full.

    Attributes:
        rate: Polls a second; may be inf.

        slots: How many are in use, as far as was told.

        at_once: How many polls may be under way then.

    Bursts of half a second's worth pass: jobs do not come due evenly, and
    after a stalled loop no more than that goes at once.
    """

    rate: float
    slots: int = attrs.field(default=0, init=False)
    at_once: int = attrs.field(default=_LEAST_AT_ONCE, init=False)
    _full: float = attrs.field(default=-math.inf, init=False)

    def heed(self, slots: int, rate: float) -> None:
        """
        Go on at another *rate*, as so many slots are in use now.
        """
        self.slots, self.rate = slots, rate
        self.at_once = polls_at_once(slots)

    def ready_in(self, now: float) -> float:
        """
        Seconds until a poll may go; 0: now.
        """
        if self._full <= now:
            return 0.0
        # One more, and it would be full so much later.
        ahead = self._full + 1.0 / self.rate - now - max(0.5, 1.0 / self.rate)
        return ahead if ahead > 1e-9 else 0.0

    def take(self, now: float) -> None:
        """
        Use up the token of a poll that goes now.
        """
        self._full = max(now, self._full) + 1.0 / self.rate
