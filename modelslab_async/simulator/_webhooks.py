"""
Calls the webhooks that customers ask for, truthfully or not.
"""

from __future__ import annotations

import asyncio
import io
import json

import aiohttp

from ._books import Ring
from ._files import Files
from ._jobs import Job
from ._outside import Outside
from ._replies import rung
from ._settings import Rings
from ._state import State


_PATIENCE = 30.0
_LARGE = 2**20


class Webhooks:
    """
    Rings when jobs end.
    """

    def __init__(self, state: State, files: Files, outside: Outside) -> None:
        self._state = state
        self._files = files
        self._outside = outside
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """
        Ring no more.
        """
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def announce(self, job: Job) -> None:
        """
        A job was accepted.
        """
        if job.webhook and job.ring is Rings.ANNOUNCED:
            self._later(self._announce(job))

    def ended(self, job: Job) -> None:
        """
        A job has ended. One whose submit waits for the ring rings there.
        """
        silent = job.ring in {Rings.NEVER, Rings.EARLY}
        if job.webhook and not silent:
            self._later(self._ring(job))

    async def ring_early(self, job: Job) -> None:
        """
        Ring before the submit is answered.
        """
        await self._call(job, await self._truth(job))

    def _later(self, call: asyncio.Future[None] | object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(
            call  # type: ignore[arg-type] # a coroutine of ours
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _announce(self, job: Job) -> None:
        body = {
            "status": "processing",
            "id": job.shown_id,
            "track_id": job.track_id,
        }
        await self._call(job, body)

    async def _ring(self, job: Job) -> None:
        if job.ring is Rings.LATE:
            late = self._state.settings.late_ring
            await asyncio.sleep(self._state.lived(late))
        body = await self._truth(job)
        match job.ring:
            case Rings.FAILED:
                body = rung(None, job_id=job.shown_id, track_id=job.track_id)
            case Rings.OTHER_ID:
                body = {**body, "id": job.shown_id + 1}
            case Rings.OTHER_STATUS:
                body = {**body, "status": "finished"}
            case Rings.HUGE:
                body = {**body, "more": "x" * _LARGE}
            case Rings.TWICE:
                await self._call(job, body)
        await self._call(job, body)

    async def _truth(self, job: Job) -> dict[str, object]:
        facts = None
        if job.record.succeeded:
            facts = await self._files.facts(job, job.origin)
        return rung(facts, job_id=job.shown_id, track_id=job.track_id)

    async def _call(self, job: Job, body: dict[str, object]) -> None:
        data, kind = json.dumps(body).encode(), "application/json"
        if job.ring is Rings.GARBAGE:
            data = b"<html>\x00 {not json"
        if job.ring is Rings.WRONG_TYPE:
            kind = "text/plain; charset=utf-8"

        # Not less than a busy machine needs, however fast life is.
        patience = max(5.0, self._state.lived(_PATIENCE))
        status = None
        try:
            async with self._outside.session.post(
                job.webhook or "",
                # Bytes of more than a megabyte would be warned of.
                data=io.BytesIO(data),
                headers={"Content-Type": kind},
                timeout=aiohttp.ClientTimeout(total=patience),
                allow_redirects=False,
            ) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass
        self._state.books.rings.append(
            Ring(
                self._state.now(),
                job.id,
                job.webhook or "",
                job.ring.value,
                status,
            )
        )
