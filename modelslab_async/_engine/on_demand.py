"""
What few calls need, imported and made when it is first wanted: who wants a
picture or two should not wait for it.
"""

from __future__ import annotations

import functools

from typing import TYPE_CHECKING

from .._policy.retry import RetryPolicy
from .http import SessionPool
from .poller import Poller
from .runtime import Runtime


if TYPE_CHECKING:
    from .account_calls import AccountCalls
    from .free_calls import FreeCalls
    from .uploads import Uploads
    from .verification import Verification


class OnDemand:
    """
    The rooms of an event loop that most programs never enter.
    """

    def __init__(
        self,
        runtime: Runtime,
        pool: SessionPool,
        poller: Poller,
        policy: RetryPolicy,
    ) -> None:
        self._runtime = runtime
        self._pool = pool
        self._poller = poller
        self._policy = policy

    @functools.cached_property
    def calls(self) -> FreeCalls:
        """
        The way to the service for what may be asked twice.
        """
        from .free_calls import FreeCalls

        return FreeCalls(self._runtime, self._pool, self._policy)

    @functools.cached_property
    def account(self) -> AccountCalls:
        """
        The questions about the account.
        """
        from .account_calls import AccountCalls

        return AccountCalls(self.calls)

    @functools.cached_property
    def uploads(self) -> Uploads:
        """
        Local pictures, uploaded before the requests that need them.
        """
        from .uploads import Uploads

        return Uploads(self._runtime, self._pool, self.calls)

    @functools.cached_property
    def verification(self) -> Verification:
        """
        Looks at jobs before they are believed.
        """
        from .verification import Verification

        return Verification(self._runtime, self._pool, self._poller)

    async def aclose(self) -> None:
        """
        Give up the uploads that are under way.
        """
        if "uploads" in vars(self):
            await self.uploads.aclose()
