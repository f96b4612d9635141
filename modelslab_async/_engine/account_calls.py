"""
What an account has, asked for no more often than the service likes.
"""

from __future__ import annotations

import attrs

from .._protocol.account import (
    encode_balance,
    encode_processing_count,
    read_balance,
    read_processing_count,
)
from ..results import Balance
from .free_calls import FreeCalls


#: Seconds for which a count is given again: 30 questions a minute are
#: answered (the service's page).
_COUNT_LASTS = 2.0


@attrs.define(eq=False, repr=False)
class AccountCalls:
    """
    The questions about an account.

    What changes: the last count, and when it was asked for.
    """

    calls: FreeCalls
    _count: int = attrs.field(default=0, init=False)
    _counted: float | None = attrs.field(default=None, init=False)

    async def balance(self) -> Balance:
        """
        See `ModelsLab.balance`.
        """
        call = encode_balance(self.calls.pool.base_url)
        return await self.calls.answer(call, read_balance, "the balance")

    async def processing_count(self) -> int:
        """
        See `ModelsLab.processing_count`.
        """
        runtime = self.calls.runtime
        lasts = _COUNT_LASTS / runtime.timeouts.speed
        if self._counted is None or runtime.now() - self._counted >= lasts:
            call = encode_processing_count(self.calls.pool.base_url)
            self._count = await self.calls.answer(
                call, read_processing_count, "the number of jobs under way"
            )
            self._counted = runtime.now()
        return self._count
