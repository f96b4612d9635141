"""
How one job is asked for: the question, its form, and what was heard last.

* The service says where a job can be asked for; where that is not its own
  place, the documented one is asked.
* A 404 or 405 that is not the service's own "Request not found": the other
  documented form, where only the body names the job, is tried, and kept for
  that job if it answers.
* The id in the link may differ from the job's own; the link's is asked first.
* Jobs of some families are known to another too, which is asked last.
"""

from __future__ import annotations

import math

import attrs

from .._protocol.decode import decode
from .._protocol.encode import encode_poll
from .._protocol.job_ids import (
    fetch_result_id,
    fetch_url,
    other_family_url,
    other_fetch_url,
    usual_fetch_url,
)
from .._protocol.replies import (
    Call,
    CallResult,
    Processing,
    Refusal,
    Reply,
    Topic,
    Unreadable,
)
from ..errors import ConfigurationError
from ..results import Receipt
from ..specs import SPECS, Endpoint, Spec
from .bells import Bell
from .http import SessionPool
from .runtime import Counts


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Inquiry:
    """
    The questions after one job.

    What changes: how often it was asked for, and what came of it.

    Attributes:
        polls: Questions so far.

        due: When the next is, on the clock of the loop; inf: not at all.

        fails: Answers in a row that said nothing of the job.

        empty: Successes without a picture.

        missing: "Request not found" in a row, since *missing_since*.

        early: Whether it was watched from its acceptance on: only then does
            its end teach how long jobs take.

        again: Whether it had ended before, and is only asked for links.

        other_form: Whether the body alone names it.

        other_id: Whether it is asked for by its own id, not the link's.

        other_family: Whether it is asked for in another family.

        bell: What rings when it has ended, where something does.
    """

    polls: int = 0
    due: float = math.inf
    fails: int = 0
    empty: int = 0
    missing: int = 0
    missing_since: float = 0.0
    early: bool = False
    again: bool = False
    other_form: bool = False
    other_id: bool = False
    other_family: bool = False
    bell: Bell | None = None
    #: The question, made once; None when what it is made of has changed.
    _call: Call | None = None
    #: The last answer that said "not yet", and what it means.
    _body: bytes = b""
    _heard: Processing | None = None

    async def ask(
        self,
        receipt: Receipt,
        pool: SessionPool,
        counts: Counts,
        spec: Spec | None,
    ) -> CallResult:
        """
        Ask once, in the form that the job is known to answer.

        Args:
            receipt: Whose job.

            pool: The way there.

            counts: Where questions are counted.

            spec: What was asked for, where that is known: the answer may hold
                the pictures themselves.
        """
        heard = await self._ask(receipt, pool, counts, spec)
        if heard is not self._heard and _no_such_route(heard):
            self._switch()
            other = await self._ask(receipt, pool, counts, spec)
            if not _no_such_route(other):
                return other
            self._switch()
        return heard

    def turn_elsewhere(self, receipt: Receipt) -> bool:
        """
        Ask by the job's own id from now on, then in another family; False
        where all was done that can be.
        """
        linked = fetch_result_id(receipt.fetch_result)
        family = _endpoint_of(receipt).family
        if not self.other_id and linked not in {None, receipt.id}:
            self.other_id = True
        elif not self.other_family and family.other_fetch_path is not None:
            self.other_family = True
        else:
            return False
        self._call = None
        return True

    def close(self) -> None:
        """
        Nothing more is asked.
        """
        self.due = math.inf
        self._call, self._body, self._heard = None, b"", None

    async def _ask(
        self,
        receipt: Receipt,
        pool: SessionPool,
        counts: Counts,
        spec: Spec | None,
    ) -> CallResult:
        if self._call is None:
            large = spec is not None and spec.inline
            self._call = self._question(receipt, pool.base_url, large=large)
        counts.polls += 1
        self.polls += 1
        reply = await pool.poll(self._call, swept=True)
        if not isinstance(reply, Reply):
            return reply
        # Most answers repeat the one before, to the byte.
        before = self._heard
        if before is not None and (
            reply.body == self._body and reply.status == before.http
        ):
            return before
        heard = decode(reply)
        if isinstance(heard, Processing):
            self._body, self._heard = reply.body, heard
        return heard

    def _question(self, receipt: Receipt, base: str, *, large: bool) -> Call:
        if receipt.id is None:
            raise ConfigurationError("a job without an id cannot be fetched")
        endpoint = _endpoint_of(receipt)
        link = None if self.other_id else receipt.fetch_result
        url, asked = usual_fetch_url(base, endpoint, receipt.id), receipt.id
        if link == url:
            # The same text, kept once: there may be 10,000 of these.
            url = link
        elif link is not None:
            url = fetch_url(base, link, endpoint, receipt.id)
            asked = fetch_result_id(url) or receipt.id
        if self.other_form:
            url = other_fetch_url(base, endpoint)
        if self.other_family:
            url = other_family_url(base, endpoint, receipt.id) or url
        return encode_poll(url, asked, base64=large)

    def _switch(self) -> None:
        """
        Ask in the other form from now on.
        """
        self.other_form = not self.other_form
        self._call = None


def _endpoint_of(receipt: Receipt) -> Endpoint:
    """
    Where a job was asked for.

    Raises:
        ConfigurationError: We know no such endpoint.
    """
    kind = SPECS.get(receipt.endpoint)
    if kind is None:
        words = f"of an endpoint that is not known: {receipt.endpoint!r}"
        raise ConfigurationError(words)
    return kind.endpoint


def _no_such_route(heard: CallResult) -> bool:
    match heard:
        case Refusal(http=404 | 405, topics=topics):
            return Topic.NOT_FOUND not in topics
        case Unreadable(http=404 | 405):
            return True
    return False
