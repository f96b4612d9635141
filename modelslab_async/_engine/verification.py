"""
Whether a job is what a request without an answer became.

The service looks no request up: only its webhook names the job, and a webhook
is unsigned.  So the job is fetched, must not be another of ours, and its own
reply, where it names its request, must name this one.
"""

from __future__ import annotations

import enum

from typing import TypeAlias

import attrs

from .._policy.verdicts import PollVerdict, judge_poll
from .._protocol.answer_text import read_answer
from .._protocol.decode import decode
from .._protocol.encode import encode_poll
from .._protocol.job_ids import fetch_url, other_family_url
from .._protocol.notices import track_id_of
from .._protocol.replies import Processing, Reply, Success
from ..specs import Spec
from .bells import Bell
from .http import SessionPool
from .poller import Poller
from .runtime import Runtime


class Doubt(enum.Enum):
    """
    Why nothing came of a look at a job.
    """

    #: It is another request's.
    ANOTHER = enum.auto()
    #: The service does not know it, at least not yet.
    MISSING = enum.auto()
    #: Nobody could say.
    UNSURE = enum.auto()


#: The job as its submit would have told, or why not.
Found: TypeAlias = Processing | Success | Doubt


@attrs.frozen(eq=False, repr=False)
class Verification:
    """
    Looks at jobs before they are believed.
    """

    runtime: Runtime
    pool: SessionPool
    poller: Poller

    async def by_bell(
        self, bell: Bell, spec: Spec, track_id: str
    ) -> Processing | Success | None:
        """
        Wait until a request's bell names its job, for as long as such jobs
        take, and some grace; None if it does not.
        """
        timeouts = self.runtime.timeouts
        most = timeouts.unknown_slot
        usual = self.poller.usual
        if usual is not None:
            most = min(most, usual + timeouts.bell_grace)
        end, pause = self.runtime.now() + most, timeouts.retry_first
        wrong: set[str] = set()
        while not bell.owner.closed:
            unsure = False
            for job_id in [name for name in bell.named if name not in wrong]:
                found = await self.look(spec, track_id, job_id)
                if not isinstance(found, Doubt):
                    return found
                if found is Doubt.ANOTHER:
                    wrong.add(job_id)
                else:
                    unsure = True
            left = end - self.runtime.now()
            if left <= 0:
                break
            if not unsure and not wrong.issuperset(bell.named):
                continue
            await bell.waiters.wait(min(left, pause) if unsure else left)
            pause = min(2 * pause, timeouts.retry_longest)
        return None

    async def look(
        self, spec: Spec, track_id: str | None, job_id: str
    ) -> Found:
        """
        Fetch a job, and see whether it can be what a request became.
        """
        if self.poller.find(job_id) is not None:
            return Doubt.ANOTHER
        base, endpoint = self.pool.base_url, spec.endpoint
        found = await self._look(
            fetch_url(base, None, endpoint, job_id), spec, track_id, job_id
        )
        elsewhere = other_family_url(base, endpoint, job_id)
        if found is Doubt.MISSING and elsewhere is not None:
            found = await self._look(elsewhere, spec, track_id, job_id)
        return found

    async def _look(
        self, url: str, spec: Spec, track_id: str | None, job_id: str
    ) -> Found:
        self.runtime.stats.polls += 1
        reply = await self.pool.poll(
            encode_poll(url, job_id, base64=spec.inline)
        )
        if not isinstance(reply, Reply):
            return Doubt.UNSURE
        heard = decode(reply)
        named = _named_in(reply)
        if named is not None and track_id is not None and named != track_id:
            return Doubt.ANOTHER
        match judge_poll(heard, {job_id}), heard:
            case PollVerdict.OTHER_JOB, _:
                return Doubt.ANOTHER
            case PollVerdict.NOT_FOUND, _:
                return Doubt.MISSING
            case PollVerdict.DONE, Success():
                return attrs.evolve(heard, id=job_id)
            case PollVerdict.EMPTY | PollVerdict.FAILED, _:
                # It was taken; its polls find out what became of it.
                return Processing(reply.status, job_id)
            case PollVerdict.AGAIN, Processing():
                return attrs.evolve(heard, id=job_id)
        return Doubt.UNSURE


def _named_in(reply: Reply) -> str | None:
    try:
        data = read_answer(reply.body)
    except (ValueError, RecursionError):
        return None
    return None if data is None else track_id_of(data)
