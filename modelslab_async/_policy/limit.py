"""
The account's limit of unfinished jobs, and what refusals teach of it.

The service says how many only when it refuses one more, sometimes not even
then.

- It names N: N is the cap. But not for ever, for it may have been said of a
  moment: after ten times as many jobs at the cap one goes above it, and after
  each such try that is refused ten times as seldom. If it is accepted the cap
  is forgotten, and the limit found anew.
- It refuses while we hold fewer than the cap: others are on the account. The
  limit becomes 0.9 of itself, once for each round (submits that were under way
  together are refused together, for one and the same reason), and grows by
  0.5/limit with each finished job, up to the cap. So do TCP's flows share a
  link that none of them can see.
- It names nothing: the limit is what we hold. It grows by 1 for each job
  accepted until the first refusal, then by 1 for each 10 x limit. What we
  held before, more than once, stands in for a cap, and so do the 5 of the
  smallest plan: up to there the limit grows as below one.
"""

from __future__ import annotations

import attrs


#: The smallest plan's slots (rate-limits page of the service's docs).
FEWEST = 5


BACK_OFF = 0.9


@attrs.define(eq=False, repr=False)
class AccountLimit:
    """
    How many jobs may be unfinished at once, as far as is known.

    What changes: the limit, the cap that was named, and what was proven.

    Args:
        most: Start here and never go above; None: start at 5 and learn.
    """

    most: int | None = None
    cap: int | None = attrs.field(default=None, init=False)
    _limit: float = attrs.field(init=False)
    _refused: bool = attrs.field(default=False, init=False)
    # The number that was last named, and how many times as many jobs make us
    # doubt it; accepted since the limit last changed.
    _named: int | None = attrs.field(default=None, init=False)
    _doubt: int = attrs.field(default=10, init=False)
    _accepted: int = attrs.field(default=0, init=False)
    # How often so many at once were accepted, less how often refused.
    _proofs: dict[int, int] = attrs.field(factory=dict, init=False)
    _proven: int = attrs.field(default=FEWEST, init=False)

    @_limit.default
    def _start(self) -> float:
        return float(FEWEST if self.most is None else self.most)

    @property
    def now(self) -> int:
        """
        How many slots may be held now.
        """
        # Sums of 0.5/limit fall short of a whole number by a rounding error.
        return int(self._limit + 1e-9)

    @property
    def known(self) -> int:
        """
        How many slots the account is known to have.
        """
        known = self._proven if self.cap is None else self.cap
        return known if self.most is None else min(known, self.most)

    def accepted(self, running: int, held: int) -> None:
        """
        A job was accepted, and *running* are unfinished with it.
        """
        self._prove(running, 1)
        if self.cap is not None and running > self.cap:
            self.cap, self._refused = None, False
        if held < max(self.now, self.cap or 0):
            return
        self._accepted += 1
        if self.cap is None:
            grows = not self._refused or self._accepted >= 10 * self.now
        else:
            grows = self._accepted >= self._doubt * self.cap
            self._doubt *= 10 if grows else 1
        if grows:
            self._accepted = 0
            self._limit = self._at_most(self._limit + 1, doubting=True)

    def refused(self, held: int, *, named: int | None, fresh: bool) -> None:
        """
        One more than *held* were refused.

        Args:
            held: Slots held without it.

            named: The limit that the refusal names, if it does.

            fresh: The first refusal of its round.
        """
        self._accepted = 0
        self._refused = True
        self._prove(held + 1, -1)
        if named is not None:
            self.cap = max(1, named)
            self._doubt = self._doubt if self.cap == self._named else 10
            self._named = self.cap
        if self.cap is None:
            self._limit = min(self._limit, max(1.0, held))
        elif fresh and held < self.cap:
            self._limit = max(1.0, BACK_OFF * self._limit)
        self._limit = self._at_most(self._limit)

    def finished(self) -> None:
        """
        A job of ours ended.
        """
        if self._limit < self.known:
            self._limit = min(self.known, self._limit + 0.5 / self._limit)

    def exceed(self, held: int) -> None:
        """
        Dare one more than is held.
        """
        self._limit = held + 1.0

    def _at_most(self, limit: float, *, doubting: bool = False) -> float:
        """
        No higher than the cap (by one, if we doubt it) and the user's word.
        """
        if self.cap is not None:
            limit = min(limit, self.cap + doubting)
        return limit if self.most is None else min(limit, self.most)

    def _prove(self, count: int, weight: int) -> None:
        """
        Note that `count` at once were accepted, or refused.

        Once is no proof: a job that ended a moment ago still counts with us,
        and no longer with the service.
        """
        proofs = self._proofs.get(count, 0) + weight
        self._proofs[count] = max(-20, min(20, proofs))
        if self._proofs[count] > 0:
            self._proven = max(self._proven, count)
        while self._proven > FEWEST and self._proofs.get(self._proven, 0) <= 0:
            self._proven -= 1
