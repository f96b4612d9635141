"""
What observers are told of a request and its job.

Nothing is built where nobody listens, nor are the events themselves imported:
they are many classes.  No prompt is told: the service may
repeat it in its words, so these are redacted.
"""

from __future__ import annotations

import logging

from .._policy.breakers import OutageBreaker
from .._policy.tickets import Ticket
from .._policy.verdicts import PollVerdict, SubmitVerdict
from ..errors import ModelsLabError, OutcomeUnknownError
from ..results import Generation, JobState
from .job import Watch
from .waits import Waited, trouble


_log = logging.getLogger("modelslab_async")


def _heard(watch: Watch) -> object:
    runtime = watch.runtime
    return runtime is not None and runtime.observers.functions


def tell_queued(watch: Watch, priority: int) -> None:
    if _heard(watch):
        from ..events import JobQueued

        name = watch.receipt.track_id
        watch.tell(JobQueued(name, priority, **watch.about()))


def tell_submitted(watch: Watch, tries: int, ticket: Ticket) -> None:
    if _heard(watch):
        from ..events import JobSubmitted

        name, queued = watch.receipt.track_id, ticket.queued or 0.0
        watch.tell(JobSubmitted(name, tries, queued, **watch.about()))


def tell_queue_full(watch: Watch, limit: int | None, held: int) -> None:
    if _heard(watch):
        from ..events import QueueFull

        name = watch.receipt.track_id
        watch.tell(QueueFull(name, limit, held, **watch.about()))


def tell_retried(
    watch: Watch, row: SubmitVerdict, tries: int, pause: float, cause: str
) -> None:
    if _heard(watch):
        from ..events import CallRetried

        watch.tell(
            CallRetried(
                watch.receipt.track_id,
                row.name,
                tries,
                pause,
                watch.redact(cause),
                **watch.about(),
            )
        )


def tell_unknown(watch: Watch, error: OutcomeUnknownError) -> None:
    if _heard(watch):
        from ..events import OutcomeUnknown

        name, reason = watch.receipt.track_id, watch.redact(error.reason)
        watch.tell(OutcomeUnknown(name, reason, error.phase, **watch.about()))


def tell_outage(watch: Watch, breaker: OutageBreaker) -> None:
    """
    Say, once, that a batch is held back by an outage, or not any more.
    """
    opened = breaker.take_news()
    if opened:
        cause = watch.redact(breaker.error or "")
        _log.warning("held back by an outage, but for probes: %s", cause)
        if _heard(watch):
            from ..events import BreakerOpened

            watch.tell(BreakerOpened(None, "outage", cause))
    elif opened is not None:
        _log.info("the outage is over")
        if _heard(watch):
            from ..events import BreakerClosed

            watch.tell(BreakerClosed(None, "outage"))


def tell_accepted(watch: Watch, ticket: Ticket, now: float) -> None:
    if _heard(watch):
        from ..events import JobAccepted

        receipt, since = watch.receipt, ticket.admitted_at
        watch.tell(
            JobAccepted(
                receipt.track_id,
                receipt.id,
                receipt.eta,
                ticket.queued,
                None if since is None else now - since,
                **watch.about(),
            )
        )


def tell_resumed(watch: Watch) -> None:
    if _heard(watch) and not watch.inquiry.again:
        from ..events import JobResumed

        receipt = watch.receipt
        watch.tell(JobResumed(receipt.track_id, receipt.id, **watch.about()))


def tell_polled(
    watch: Watch, verdict: PollVerdict, asked: float | None, now: float
) -> None:
    if _heard(watch):
        from ..events import JobPolled

        receipt = watch.receipt
        watch.tell(
            JobPolled(
                receipt.track_id,
                receipt.id,
                watch.inquiry.polls,
                now - watch.since,
                verdict.name,
                None if asked is None else now - asked,
                **watch.about(),
            )
        )


def tell_poll_retried(
    watch: Watch, error: ModelsLabError, pause: float
) -> None:
    if _heard(watch):
        from ..events import PollRetried

        receipt, fails = watch.receipt, watch.inquiry.fails
        cause = watch.redact(error)
        watch.tell(
            PollRetried(
                receipt.track_id,
                receipt.id,
                cause,
                fails,
                pause,
                **watch.about(),
            )
        )


def tell_finished(
    watch: Watch,
    end: Generation | ModelsLabError,
    state: JobState,
    ticket: Ticket | None,
    now: float,
) -> None:
    """
    Say how a job ended; its watch still knows when it was last seen to run.
    """
    if not _heard(watch) or watch.inquiry.again:
        return
    receipt, inquiry = watch.receipt, watch.inquiry
    elapsed = now - watch.since if watch.since else 0.0
    running = noticed = None
    if receipt.id is not None and state is not JobState.UNFINISHED:
        running, noticed = watch.elapsed, elapsed - watch.elapsed
        if inquiry.bell is not None and inquiry.bell.rung:
            noticed = min(noticed, now - inquiry.bell.asked)
    failed = isinstance(end, ModelsLabError)
    from ..events import JobFinished

    watch.tell(
        JobFinished(
            receipt.track_id,
            receipt.id,
            state,
            inquiry.polls,
            elapsed,
            None if ticket is None else ticket.queued,
            running,
            noticed,
            receipt.eta,
            type(end).__name__ if failed else None,
            watch.redact(end) if failed else "",
            **watch.about(),
        )
    )


def row_in_words(
    row: SubmitVerdict, said: str, watch: Watch
) -> tuple[Waited, str]:
    """
    What a request that is sent again waits for, and in words.
    """
    match row:
        case SubmitVerdict.BAN:
            return Waited.BAN, f"the end of a ban ({said})"
        case SubmitVerdict.SAME_REQUEST:
            return Waited.BAN, f"the same-request filter ({said})"
        case SubmitVerdict.LOADING:
            model = watch.about()["model_id"] or watch.receipt.endpoint
            return Waited.LOADING, f"the model {model} to be loaded ({said})"
        case SubmitVerdict.NOT_SENT:
            return Waited.SERVICE, f"the service: not reached ({said})"
        case SubmitVerdict.UNAVAILABLE:
            return Waited.SERVICE, f"the service: not available ({said})"
    return Waited.REFUSED, f"the service: it refuses all ({said})"


def held_in_words(breaker: OutageBreaker) -> tuple[Waited, str]:
    """
    What a request waits for that its batch holds back, and in words.
    """
    if breaker.is_open and breaker.error:
        return trouble(breaker.error)
    return Waited.BAN, "the end of a ban"
