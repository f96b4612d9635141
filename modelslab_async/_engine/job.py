"""
A job as its owner sees it, and the watch behind it.

A `Watch` is written by the poller and its hearing, and by submitter and sender
until the service has answered; a `Job` only shows it.
"""

from __future__ import annotations

import asyncio

from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
)
from contextvars import Context
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._policy.numbers import timeout_faults
from .._policy.tickets import Ticket
from .._protocol.job_ids import fetch_result_id
from ..errors import ConfigurationError, JobUnfinishedError, ModelsLabError
from ..results import Generation, JobState, JobUpdate, Receipt
from ..specs import Spec
from .inquiry import Inquiry
from .receipts import packed, unfinished
from .runtime import Runtime
from .waiters import Waiters, afresh


if TYPE_CHECKING:
    # Only where somebody listens.
    from ..events import Event


#: Sees that a job is watched where the client is open now, and asked for at
#: once if so wanted; gives the watch that it has there.
TakeUp: TypeAlias = "Callable[[Watch, bool], Watch]"


# There may be 100,000: no slot is wasted, no waiters are made for nobody.
@attrs.define(eq=False, repr=False, weakref_slot=False)
class Watch:
    """
    What is known of one job, for all who hold it.

    What changes: what the service has told of it, and who waits.

    Attributes:
        receipt: What acceptance told; its id is None before.

        runtime: Where it is watched; None where it never was.

        job: What its owners hold, while it is watched.

        context: In whose name its events are told.

        since: When it was accepted or taken up, on the clock of the loop.

        elapsed: Seconds until it was last seen to run, or to end.

        end: What came of it, once that is known.

        ticket: The slot that it holds.

        inquiry: How it is asked for.
    """

    receipt: Receipt
    spec: Spec | None = None
    runtime: Runtime | None = None
    job: Job | None = None
    context: Context | None = None
    state: JobState = JobState.PROCESSING
    eta: float | None = attrs.field(
        default=attrs.Factory(lambda self: self.receipt.eta, takes_self=True)
    )
    message: str | None = None
    since: float = 0.0
    elapsed: float = 0.0
    end: Generation | ModelsLabError | None = None
    ticket: Ticket | None = None
    inquiry: Inquiry = attrs.field(factory=Inquiry)
    _over: Waiters | None = None
    _news: Waiters | None = None

    @property
    def over(self) -> Waiters:
        """
        Who waits for its end.
        """
        self._over = self._over or Waiters()
        return self._over

    @property
    def news(self) -> Waiters:
        """
        Who waits until it was asked for once more.
        """
        self._news = self._news or Waiters()
        return self._news

    def names(self) -> frozenset[str]:
        """
        The ids that an answer of its own may name.
        """
        receipt = self.receipt
        linked = fetch_result_id(receipt.fetch_result)
        names = {receipt.id, receipt.track_id, linked}
        return frozenset(name for name in names if name is not None)

    @property
    def ended(self) -> bool:
        """
        Whether nothing more is to come; we may have stopped too early.
        """
        return self.end is not None and self.state is not JobState.UNFINISHED

    def outcome(self) -> Generation:
        """
        Its pictures.

        Raises:
            ModelsLabError: Why there are none.
        """
        if isinstance(self.end, Generation):
            return self.end
        if self.end is None:
            raise unfinished(self.receipt)
        raise afresh(self.end) from self.end.__cause__

    def update(self) -> JobUpdate:
        """
        How it stands.
        """
        elapsed = self.elapsed
        if self.since and self.end is None:
            elapsed = asyncio.get_running_loop().time() - self.since
        return JobUpdate(
            self.state, self.eta, elapsed, self.inquiry.polls, self.message
        )

    def kind(self) -> object:
        """
        Jobs of one kind take about the same time.
        """
        return self.receipt.endpoint if self.spec is None else self.spec.kind

    def wake(self, error: ModelsLabError | None = None) -> None:
        """
        Wake all who wait: with *error*, or to see how it ended.
        """
        if self._over is not None:
            self._over.wake(error)
        self.wake_news(error)

    def wake_news(self, error: ModelsLabError | None = None) -> None:
        """
        Wake those who wait until it was asked for.
        """
        if self._news is not None:
            self._news.wake(error)

    def tell(self, event: Event) -> None:
        """
        Tell those who watch the client.
        """
        if self.runtime is not None:
            self.runtime.observers.tell(event, self.context)

    def about(self) -> dict[str, str | None]:
        """
        What every event of it tells.
        """
        spec = self.spec
        return {
            "endpoint": self.receipt.endpoint,
            "model_id": None if spec is None else spec.given_model,
        }

    def redact(self, text: object) -> str:
        """
        Anything as text that does not repeat the prompt.
        """
        words = str(text)
        return words if self.spec is None else self.spec.redact(words)

    def unfinished(self, now: float) -> JobUnfinishedError:
        """
        What those hear who wait for it when it is not watched any more.
        """
        waited = now - self.since if self.since else 0.0
        return unfinished(self.receipt, waited)

    def expect(self, urls: tuple[str, ...]) -> None:
        """
        Its pictures will lie there.
        """
        self.receipt = attrs.evolve(self.receipt, expected_urls=urls)

    def learn(self, other: Receipt) -> None:
        """
        Add what another receipt of the same job knows, and this one lacks.
        """
        ours = self.receipt
        if ours != other:
            self.receipt = attrs.evolve(
                ours,
                track_id=ours.track_id or other.track_id,
                fetch_result=ours.fetch_result or other.fetch_result,
                eta=other.eta if ours.eta is None else ours.eta,
                seed=other.seed if ours.seed is None else ours.seed,
                expected_urls=ours.expected_urls or other.expected_urls,
                meta_json=other.meta_json
                if ours.meta_json == b"{}"
                else ours.meta_json,
                generation_time=other.generation_time
                if ours.generation_time is None
                else ours.generation_time,
            )


class Job:
    """
    A request that was accepted, or is about to be.

    Await it, or `result`, for its `Generation`; it goes on being watched
    when whoever waits goes away.
    """

    __slots__ = ("_take_up", "_watch")

    def __init__(self, watch: Watch, take_up: TakeUp) -> None:
        self._watch = watch
        self._take_up = take_up

    def __repr__(self) -> str:
        return f"<Job {self.id or self.track_id} {self.state.value}>"

    @property
    def id(self) -> str | None:
        """
        The service's id; None until it has answered.
        """
        return self._watch.receipt.id

    @property
    def track_id(self) -> str | None:
        """
        The name of the request.
        """
        return self._watch.receipt.track_id

    @property
    def receipt(self) -> Receipt:
        """
        All that was told when it was accepted.
        """
        return self._watch.receipt

    @property
    def spec(self) -> Spec | None:
        """
        What was asked for; None for jobs taken up by their id.
        """
        return self._watch.spec

    @property
    def state(self) -> JobState:
        """
        How it stands, as far as we know.
        """
        return self._watch.state

    @property
    def eta(self) -> float | None:
        """
        Seconds that the service guessed last.
        """
        return self._watch.eta

    @property
    def expected_urls(self) -> tuple[str, ...]:
        """
        Where the pictures will lie; answers 404 until then.
        """
        return self._watch.receipt.expected_urls

    @property
    def handle(self) -> str:
        """
        A text to store: `ModelsLab.job()` takes the job up from it, in any
        process, with its seed, its track_id and where its pictures will lie.

        Handles are logged, so the echo of the request is not in it: a
        `Generation` from a handle has no *meta* but what polls tell.
        """
        return packed(self._watch.receipt)

    def __await__(self) -> Generator[object, None, Generation]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> Generation:
        """
        Wait for the pictures.

        Args:
            timeout: Seconds to wait; None waits until the client's
                *job_timeout* after the job's acceptance.

        Raises:
            GenerationFailedError: The service gave up on it.

            JobNotFoundError: The service does not know it.

            JobUnfinishedError: Time is up; the job goes on.

            OutcomeUnknownError: Its request got no verdict.

            ApiError: The account was refused while we waited.
        """
        if faults := list(timeout_faults(timeout)):
            raise ConfigurationError("; ".join(faults))
        watch = self._watch
        if not watch.ended:
            watch = self._taken_up()
            started = asyncio.get_running_loop().time()
            if not await watch.over.wait(timeout) and watch.end is None:
                waited = asyncio.get_running_loop().time() - started
                raise unfinished(self.receipt, waited)
        return watch.outcome()

    async def refresh(self) -> JobUpdate:
        """
        Ask the service now, once; give how the job stands.

        Raises:
            ApiError: The account was refused.
        """
        if not self._watch.ended:
            await self._taken_up(now=True).news.wait()
        return self._watch.update()

    async def updates(self) -> AsyncIterator[JobUpdate]:
        """
        Give how the job stands, now and after each poll, until it ends.

        Raises:
            ApiError: The account was refused while we waited.
        """
        update = self._watch.update()
        yield update
        # A reader who was slow still gets the last state.
        while update.state is JobState.PROCESSING:
            if self._watch.end is None:
                await self._taken_up().news.wait()
            update = self._watch.update()
            yield update

    def _taken_up(self, *, now: bool = False) -> Watch:
        """
        Its watch where the client is open now; two jobs of one id share one.
        """
        watch = self._watch = self._take_up(self._watch, now)
        if watch.job is None:
            watch.job = self
        return watch
