"""
When to try again for a slot that others may give back.

Clients of one account know nothing of each other. One that was refused and
holds no slot hears of no end: it has to guess. Slots get free about every
*job time / limit* seconds, as far as both are known, but for all who wait. So
the first try comes after two or three such times on average, and each that is
refused makes the next pause longer, up to six or seven of them: with more,
slots would idle at the end of a rush. Where one goes on for long, jobs are
longer than we think, or the crowd is large: a fifth of the time since it began
is the pause then, up to 15 s on average, so that whoever comes late to slots
that were given back is there within half a minute.

What it comes to, in virtual time, clients with 3 calls each that begin at once
on 5 slots, jobs of 5 s (log-normal, spread 0.5), nothing known at first,
medians of 80 seeds: 4 clients take 1.13 of what the slots need at 1.0 refusals
a job, 8 clients 1.14 at 1.8, 16 clients 1.14 at 2.9; 24 clients with one call
each 1.17 at 2.7. Pauses of half as long give 1.10 at 4 to 5 refusals, a
doubling without an upper bound 1.3 to 1.6 at 3 to 4.
"""

from __future__ import annotations

import attrs


#: In times of *job time / limit*: the first pause, and the longest; how much
#: longer each is than the one before.
_FIRST, _MOST, _MORE = 2.5, 6.5, 1.4


#: The pause where a rush goes on, as a share of the time since it began.
_SHARE = 0.2


@attrs.define(eq=False, repr=False)
class Reopening:
    """
    How soon a queue that a refusal has closed is tried again.

    What changes: how long jobs hold their slots, since when we are refused
    and how often, less how often a try was accepted.

    Args:
        usual: Seconds from one slot that gets free to the next, where
            nothing is known of the jobs.

        longest: Seconds, the most until a try.
    """

    usual: float
    longest: float
    held_for: float | None = attrs.field(default=None, init=False)
    _refusals: int = attrs.field(default=0, init=False)
    _since: float | None = attrs.field(default=None, init=False)

    def pause(self, now: float, slots: int, dice: float) -> float:
        """
        Seconds until the next try, after a refusal.

        Args:
            now: Seconds.

            slots: How many the account has, as far as is known.

            dice: In [0, 1): from half to one and a half of the pause.
        """
        often = self.usual
        if self.held_for is not None:
            # Of an account of 300 slots and short jobs, every 3 ms.
            often = max(self.usual / 20, self.held_for / slots)
        since = now if self._since is None else self._since
        rush = min(_SHARE * (now - since), self.longest / 2)
        most = max(_MOST * often, rush)
        pause = min(_FIRST * often * _MORE ** min(self._refusals, 30), most)
        return min(self.longest, pause * (0.5 + dice))

    def refused(self, now: float) -> None:
        """
        A try was refused.
        """
        self._refusals += 1
        if self._since is None:
            self._since = now

    def accepted(self) -> None:
        """
        A try was accepted, though no job of ours had ended.
        """
        self._refusals = max(0, self._refusals - 2)
        if not self._refusals:
            self._since = None

    def learn(self, seconds: float) -> None:
        """
        A job of ours held its slot for so long.
        """
        before = seconds if self.held_for is None else self.held_for
        self.held_for = 0.7 * before + 0.3 * seconds
