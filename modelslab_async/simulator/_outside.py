"""
The simulator's own calls: to pictures on this machine, and to webhooks.
"""

from __future__ import annotations

import aiohttp
import attrs


@attrs.define(eq=False)
class Outside:
    """
    One session, opened at its first use.
    """

    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """
        What to call with.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        """
        Hang up.
        """
        session, self._session = self._session, None
        if session is not None:
            await session.close()
