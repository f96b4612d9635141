"""
Both tables of what follows an answer, played out over a real socket.

With ``-s`` the run prints them: what was sent how often, as the simulator's
books have it, and what the caller was told.
"""

from __future__ import annotations

import asyncio
import ssl

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import pytest
import trustme

from waiting import Clock

from modelslab_async import (
    ModelsLab,
    PollSchedule,
    RetryPolicy,
    TextToImage,
    Timeouts,
)
from modelslab_async._policy.verdicts import PollVerdict, SubmitVerdict
from modelslab_async.errors import (
    AuthenticationError,
    GenerationFailedError,
    InvalidRequestError,
    JobNotFoundError,
    JobUnfinishedError,
    ModelNotFoundError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from modelslab_async.events import CallRetried, Event
from modelslab_async.simulator import Edit, Fault, Latency, Reply, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 2000.0
KEY = "a-key"
CAT = TextToImage("a cat", model_id="flux", seed=7)
HTML = "<html><h1>it is not me</h1></html>"
TIPS = (
    "you are sending same request multiple times, spam filter is enabled, "
    "please wait for 0.03 seconds and try again"
)
#: Also where a busy machine makes the submit outlast its job.
TAKEN = Edit({"status": "processing", "output": []}, without=["proxy_links"])
#: As long as life takes, divided; silence is the network's, and is not, but
#: where it is what a test waits for.
TIMEOUTS = Timeouts().faster(SPEED, silence=5.0)
#: No busy machine makes a test last until the next probe.
SELDOM = attrs.evolve(TIMEOUTS, account_probe=60.0)
SLOW = {Fault.SILENCE, Fault.SLOW_HEADERS}
SILENT = attrs.evolve(TIMEOUTS, submit_read=0.15, submit=0.2, poll=0.15)


def no(message: str, http: int = 200, **more: object) -> Reply:
    """
    A refusal in the service's own JSON.
    """
    return Reply(http, {"status": "error", "message": message, **more})


def counts(sent: int | range) -> range:
    """
    The numbers that are right.
    """
    return range(sent, sent + 1) if isinstance(sent, int) else sent


def times(count: int, answer: Reply | Edit | Fault) -> tuple[Any, ...]:
    """
    The same answer so often.
    """
    return (answer,) * count


@attrs.frozen(eq=False)
class Case:
    """
    Something that happens to a request, and what should come of it.

    Attributes:
        answers: What the first requests (for polls: the first polls) get;
            after them the service is well.

        sent: How many there are then.

        told: The error's class; None: pictures.

        paid: How many jobs were begun.

        pauses: Seconds between tries, as they would be in life.

        batch: What differs for a batch: *sent* and *told*.

        accepted: How the answer to the submit differs, for polls.
    """

    row: SubmitVerdict | PollVerdict
    what: str
    answers: tuple[Reply | Edit | Fault, ...]
    sent: int | range
    told: type[ModelsLabError] | None = None
    paid: int | None = attrs.field(default=None, kw_only=True)
    pauses: tuple[float, ...] | None = attrs.field(default=None, kw_only=True)
    batch: tuple[int, type[ModelsLabError] | None] | None = attrs.field(
        default=None, kw_only=True
    )
    accepted: Edit = attrs.field(default=TAKEN, kw_only=True)
    settings: dict[str, Any] = attrs.field(factory=dict, kw_only=True)
    policy: RetryPolicy = attrs.field(default=RetryPolicy(), kw_only=True)

    @property
    def id(self) -> str:
        return f"{self.row.name.lower()}: {self.what}"


@attrs.frozen
class Played:
    """
    What came of it.
    """

    submits: int
    paid: int
    polls: int
    told: ModelsLabError | None
    pauses: tuple[float, ...]

    @property
    def words(self) -> str:
        return type(self.told).__name__ if self.told else "pictures"


@asynccontextmanager
async def played(
    case: Case, slots: int | None = None, timeouts: Timeouts = TIMEOUTS
) -> AsyncIterator[tuple[Simulator, ModelsLab, list[Event]]]:
    """
    A service that gives the answers of *case*, and its client.
    """
    settings: dict[str, Any] = {
        "speed": SPEED,
        "pictures": "plain",
        "hold": 0.0,
        "latency": Latency.constant(10.0),
        **case.settings,
    }
    seen: list[Event] = []
    faults = {one for one in case.answers if isinstance(one, Fault)}
    async with (
        Simulator(**settings) as service,
        ModelsLab(
            KEY,
            base_url=service.url,
            timeouts=SILENT if faults & SLOW else timeouts,
            slots=slots,
            retry=case.policy,
            # Every job is over when it is first asked for.
            polling=PollSchedule.fixed(15.0),
            observers=[seen.append],
        ) as lab,
    ):
        polls = isinstance(case.row, PollVerdict)
        if polls:
            service.next("submit", case.accepted, times=9)
        for answer in case.answers:
            # Slow is slower than anybody waits.
            service.next("fetch" if polls else "submit", answer, seconds=1e6)
        yield service, lab, seen


async def by_call(lab: ModelsLab) -> ModelsLabError | None:
    """
    What a call is told; None: pictures.
    """
    try:
        await lab.generate(CAT)
    except ModelsLabError as error:
        return error
    return None


async def by_batch(lab: ModelsLab) -> ModelsLabError | None:
    """
    What a batch of one item is told.
    """
    async with lab.batch([CAT]) as batch:
        errors = [outcome.error async for outcome in batch]
    return errors[0] if errors else batch.stopped


def noted(
    service: Simulator, seen: list[Event], told: ModelsLabError | None
) -> Played:
    """
    What the books say.
    """
    books = service.books
    return Played(
        len(books.entries),
        len(books.accepted),
        books.polls,
        told,
        tuple(
            round(event.pause * SPEED, 3)
            for event in seen
            if isinstance(event, CallRetried)
        ),
    )


@pytest.fixture(scope="module")
def page() -> Iterator[dict[tuple[Case, str], Played]]:
    """
    The tables as they were played, printed in the end.
    """
    played: dict[tuple[Case, str], Played] = {}
    yield played
    for title, cases in (("submit", UNSENT + SUBMITS), ("poll", POLLS)):
        print(f"\n\nwhat happened to a {title}: sent, paid, polls -> told")  # noqa: T201
        for case in cases:
            for who in ("call", "batch"):
                one = played.get((case, who))
                if one is None:
                    continue
                print(  # noqa: T201
                    f"  {case.row.name:<12} {case.what:<58} {who:<5} "
                    f"{one.submits:>2} {one.paid:>2} {one.polls:>2} -> "
                    f"{one.words}"
                )


# The first table: submits.


ROW = SubmitVerdict
SUBMITS = [
    # The answer did not come whole.
    *(
        Case(ROW.CUT, str(fault), (fault,), 1, OutcomeUnknownError, paid=paid)
        for fault, paid in (
            (Fault.RESET_BEFORE, 0),
            (Fault.RESET_AFTER, 1),
            (Fault.SILENCE, 1),
            (Fault.SLOW_HEADERS, 1),
            (Fault.TORN, 1),
            (Fault.GZIP_BOMB, 1),
        )
    ),
    Case(
        ROW.CUT,
        "reset twice, and the user said: again",
        times(2, Fault.RESET_AFTER),
        3,
        paid=3,
        policy=RetryPolicy(resubmit_unknown=2),
    ),
    Case(
        ROW.CUT,
        "reset twice, and the user said: again, once",
        times(2, Fault.RESET_AFTER),
        2,
        OutcomeUnknownError,
        paid=2,
        policy=RetryPolicy(resubmit_unknown=1),
    ),
    # Accepted, at any code.
    Case(ROW.ACCEPTED, "processing", (), 1),
    Case(ROW.ACCEPTED, "processing at 500", (Edit(status=500),), 1),
    Case(ROW.ACCEPTED, "processing at 503", (Edit(status=503),), 1),
    Case(ROW.ACCEPTED, "processing at 429", (Edit(status=429),), 1),
    Case(ROW.ACCEPTED, "processing at 401", (Edit(status=401),), 1),
    Case(ROW.ACCEPTED, "PROCESSING", (Edit({"status": "PROCESSING "}),), 1),
    Case(ROW.ACCEPTED, "success", (), 1, settings={"instant": 1.0}),
    Case(
        ROW.ACCEPTED,
        "success at 502",
        (Edit(status=502),),
        1,
        settings={"instant": 1.0},
    ),
    Case(
        ROW.ACCEPTED,
        "success with an id, no picture yet",
        (Edit({"status": "success", "output": []}),),
        1,
    ),
    Case(
        ROW.ACCEPTED,
        "a picture, no id",
        (
            Reply(
                200,
                {"status": "success", "output": ["https://x.example/0.png"]},
            ),
        ),
        1,
        paid=0,
    ),
    Case(
        ROW.ACCEPTED,
        "called text/plain",
        (Fault.WRONG_TYPE,),
        1,
    ),
    # The same request: its words win over "Rate limit exceeded".
    Case(
        ROW.SAME_REQUEST,
        "once",
        (no("Rate limit exceeded", tips=TIPS),),
        2,
        pauses=(0.03 * SPEED,),
    ),
    Case(
        ROW.SAME_REQUEST,
        "thrice, at 429",
        times(3, no("Rate limit exceeded", 429, tips=TIPS)),
        2,
        RateLimitedError,
        batch=(4, None),
    ),
    Case(
        ROW.SAME_REQUEST,
        "for a day",
        (no("Rate limit exceeded", tips=TIPS, retry_after=86400),),
        1,
        RateLimitedError,
        batch=(2, None),
    ),
    Case(
        ROW.UNKNOWN,
        "same request at 500",
        (no("Rate limit exceeded", 500, tips=TIPS),),
        1,
        OutcomeUnknownError,
    ),
    # Bans.
    Case(ROW.BAN, "429 HTML", (Reply(429, HTML),), 2, pauses=(30.0,)),
    Case(
        ROW.BAN,
        "429 HTML, Retry-After: 0.02",
        (Reply(429, HTML, headers={"Retry-After": "0.02"}),),
        2,
        pauses=(0.02 * SPEED,),
    ),
    Case(
        ROW.BAN,
        "429 JSON without a status word",
        (Reply(429, {"message": "Too Many Attempts."}),),
        2,
    ),
    Case(
        ROW.BAN,
        "429 HTML, longer than a call waits",
        (Reply(429, HTML, headers={"Retry-After": "0.1"}),),
        1,
        RateLimitedError,
        batch=(2, None),
    ),
    Case(
        ROW.BAN,
        "429 HTML five times: longer in all than a call waits",
        times(5, Reply(429, HTML)),
        5,
        RateLimitedError,
        batch=(6, None),
    ),
    Case(
        ROW.BAN,
        '"try again in 0.02 seconds" at 200',
        (no("Too many requests, please try again in 0.02 seconds"),),
        2,
        pauses=(0.02 * SPEED,),
    ),
    # The queue is full: no attempt is used up.
    *(
        Case(ROW.QUEUE_FULL, f"{words!r} at {http}", times(8, reply), 9)
        for words, http, reply in (
            (words, http, no(words, http))
            for words, http in (
                (
                    "Rate limit exceeded. Maximum 5 queued requests allowed.",
                    429,
                ),
                (
                    "Rate limit exceeded. Maximum 5 queued requests allowed.",
                    200,
                ),
                ("Rate limit exceeded", 200),
                ("The queue is full", 500),
                ("slow down", 429),
            )
        )
    ),
    # The account says no.
    *(
        Case(ROW.ACCOUNT, what, (reply,), 1, told, batch=(1, told))
        for what, reply, told in (
            ("401", no("no", 401), AuthenticationError),
            ("402", no("no", 402), PaymentRequiredError),
            ("401 HTML", Reply(401, HTML), AuthenticationError),
            (
                "401, success without anything",
                Reply(401, {"status": "success"}),
                AuthenticationError,
            ),
            ("key, at 200", no("Invalid Api Key"), AuthenticationError),
            ("key, at 403", no("Invalid Api Key", 403), AuthenticationError),
            (
                "credit, at 200",
                no("Insufficient credits"),
                PaymentRequiredError,
            ),
            (
                "the plan's quota, at 200",
                no("Your monthly limit exceeded, upgrade subscription"),
                PaymentRequiredError,
            ),
        )
    ),
    Case(
        ROW.UNKNOWN,
        "credit, at 500",
        (no("Insufficient credits", 500),),
        1,
        OutcomeUnknownError,
    ),
    # A model is loading.
    Case(
        ROW.LOADING,
        '"Try Again", four times',
        (),
        5,
        pauses=(10.0, 30.0, 60.0, 120.0),
        settings={"loading": {"flux": 4}},
    ),
    Case(
        ROW.LOADING,
        '"Failed, Try Again" without an id, five times',
        (),
        5,
        ServerError,
        settings={
            "loading": {"flux": 5},
            "loading_text": "Failed, Try Again",
        },
    ),
    Case(
        ROW.REFUSED,
        '"Failed, Try Again" with an id',
        (
            Reply(
                200,
                {"status": "failed", "id": 7, "message": "Failed, Try Again"},
            ),
        ),
        1,
        GenerationFailedError,
    ),
    Case(
        ROW.REFUSED,
        '"failed" with an id, and the user said: again',
        (Reply(200, {"status": "failed", "id": 7, "message": "no"}),),
        2,
        policy=RetryPolicy(resubmit_failed=1),
    ),
    Case(
        ROW.UNKNOWN,
        '"Try Again" at 500',
        (no("Try Again", 500),),
        1,
        OutcomeUnknownError,
    ),
    # Not able to, and nothing begun.
    Case(ROW.UNAVAILABLE, "503 JSON twice", times(2, Fault.UNAVAILABLE), 3),
    Case(
        ROW.UNAVAILABLE,
        "503 JSON eight times",
        times(8, Fault.UNAVAILABLE),
        5,
        ServerError,
        batch=(9, None),
    ),
    Case(
        ROW.UNAVAILABLE,
        "503 JSON eight times, budget for one retry",
        times(8, Fault.UNAVAILABLE),
        2,
        ServerError,
        batch=(9, None),
        policy=RetryPolicy(budget=10),
    ),
    Case(
        ROW.UNAVAILABLE,
        "503 JSON, retry_after 0.04",
        (no("later", 503, retry_after=0.04),),
        2,
        pauses=(0.04 * SPEED,),
    ),
    Case(
        ROW.UNAVAILABLE,
        "503 JSON, retry_after a day",
        (no("later", 503, retry_after=86400),),
        2,
        pauses=(120.0,),
    ),
    *(
        Case(ROW.UNAVAILABLE, f"{http} HTML", (Reply(http, HTML),), 2)
        for http in (521, 523, 525, 526, 530)
    ),
    # Elsewhere.
    *(
        Case(
            ROW.REDIRECT,
            str(http),
            (Reply(http, headers={"Location": "/elsewhere"}),),
            1,
            ProtocolError,
        )
        for http in (301, 302, 303, 307, 308)
    ),
    # Refused for what it is.
    Case(ROW.REFUSED, "400", (no("no", 400),), 1, InvalidRequestError),
    Case(ROW.REFUSED, "403", (no("no", 403),), 1, PermissionDeniedError),
    Case(
        ROW.REFUSED,
        "needs a subscription, at 200",
        (no("This feature requires a premium subscription"),),
        1,
        PermissionDeniedError,
    ),
    Case(ROW.REFUSED, "404 HTML", (Fault.MISSING,), 1, InvalidRequestError),
    Case(
        ROW.REFUSED,
        "no such model, at 200",
        (),
        1,
        ModelNotFoundError,
        settings={"unknown_models": {"flux"}},
    ),
    Case(
        ROW.REFUSED,
        "422 in Laravel's words",
        (Reply(422, {"message": "no", "errors": {"width": ["no"]}}),),
        1,
        InvalidRequestError,
    ),
    Case(ROW.REFUSED, "error, at 200", (no("no"),), 1, InvalidRequestError),
    # All else may have been bought.
    *(
        Case(ROW.UNKNOWN, what, (answer,), 1, OutcomeUnknownError, paid=paid)
        for what, answer, paid in (
            ("408 HTML", Reply(408, HTML), 0),
            ("500 JSON", Fault.SERVER_ERROR, 0),
            ("500 HTML", Reply(500, HTML), 0),
            ("502 HTML", Fault.BAD_GATEWAY, 0),
            ("503 HTML", Reply(503, HTML), 0),
            ("504 HTML", Fault.GATEWAY_TIMEOUT, 1),
            ("520 HTML", Reply(520, HTML), 0),
            ("522 HTML", Reply(522, HTML), 0),
            ("524 HTML", Fault.CLOUDFLARE_TIMEOUT, 1),
            ("200 HTML", Fault.HTML, 1),
            ("half of the JSON, well sent", Fault.HALF_BODY, 1),
            ("half of the JSON, no length", Fault.UNSIZED, 1),
            ("empty", Reply(200, b""), 0),
            ("a list", Reply(200, []), 0),
            ("an object of nothing", Reply(200, {}), 0),
            ("success of nothing", Reply(200, {"status": "success"}), 0),
            ("processing of nothing", Reply(200, {"status": "queued"}), 0),
        )
    ),
    Case(
        ROW.UNKNOWN,
        "502 HTML, and the user said: again",
        (Fault.BAD_GATEWAY,),
        2,
        policy=RetryPolicy(resubmit_unknown=1),
    ),
]


@pytest.mark.parametrize("case", SUBMITS, ids=lambda case: case.id)
async def test_a_call_meets_a_row(
    case: Case, page: dict[tuple[Case, str], Played]
) -> None:
    """
    A call sends its request as often as the row allows, no more, and is told
    what the row says.
    """
    async with played(case) as (service, lab, seen):
        told = await by_call(lab)

        one = page[case, "call"] = noted(service, seen, told)

    paid = (case.told is None) if case.paid is None else case.paid
    assert (one.submits, type(one.told)) == (
        case.sent,
        case.told or type(None),
    )
    assert one.paid == paid
    assert case.pauses in {None, one.pauses}
    assert service.books.strays == []


@pytest.mark.parametrize("case", SUBMITS, ids=lambda case: case.id)
async def test_a_batch_meets_a_row(
    case: Case, page: dict[tuple[Case, str], Played]
) -> None:
    """
    A batch waits where a call fails, and is told the same where it does not.
    """
    async with played(case) as (service, lab, seen):
        told = await by_batch(lab)

        one = page[case, "batch"] = noted(service, seen, told)

    sent, kind = case.batch or (case.sent, case.told)
    assert (one.submits, type(one.told)) == (sent, kind or type(None))


async def test_every_row_is_played() -> None:
    """
    No row of the two tables is left out; "not sent" has tests of its own.
    """
    assert {case.row for case in SUBMITS} == set(ROW) - {ROW.NOT_SENT}
    assert {case.row for case in POLLS} == set(PollVerdict)


# The second table: polls.


SEEN = PollVerdict
LOST = Reply(
    200, {"status": "failed", "id": "", "message": "Request not found"}
)
NOWHERE = Edit({"output": [], "proxy_links": None})
POLLS = [
    # The first terminal answer wins.
    Case(SEEN.DONE, "success", (), 1),
    Case(SEEN.DONE, "success at 500", (Edit(status=500),), 1),
    Case(
        SEEN.DONE,
        "an unknown word beside a picture",
        (Edit({"status": "finished"}),),
        1,
    ),
    # Success, but where?
    Case(SEEN.EMPTY, "three times", times(3, NOWHERE), 4),
    Case(SEEN.EMPTY, "for good; links were foretold", times(9, NOWHERE), 4),
    Case(
        SEEN.EMPTY,
        "for good; nothing was foretold",
        times(9, NOWHERE),
        4,
        GenerationFailedError,
        accepted=attrs.evolve(
            TAKEN, without=("proxy_links", "future_links", "meta")
        ),
    ),
    # "Request not found".
    Case(SEEN.NOT_FOUND, "twice", times(2, LOST), 3),
    Case(
        SEEN.NOT_FOUND,
        "for 30 s",
        times(99, LOST),
        range(3, 25),
        JobNotFoundError,
    ),
    Case(
        SEEN.NOT_FOUND,
        "by the id in fetch_result; its own is known",
        (),
        range(4, 25),
        settings={"fetch_result": "wrong"},
    ),
    Case(
        SEEN.NOT_FOUND,
        "by neither id",
        times(99, LOST),
        range(4, 25),
        JobNotFoundError,
        settings={"fetch_result": "wrong"},
    ),
    Case(
        SEEN.DONE,
        "by the id in fetch_result; its own is not known",
        (),
        1,
        settings={"fetch_result": "other"},
    ),
    # The account says no: those who wait are told, the job goes on.
    *(
        Case(SEEN.ACCOUNT, what, (answer,), 1, told)
        for what, answer, told in (
            ("401", no("no", 401), AuthenticationError),
            ("401 HTML", Reply(401, HTML), AuthenticationError),
            ("402 HTML", Reply(402, HTML), PaymentRequiredError),
            ("key, at 200", no("Invalid Api Key"), AuthenticationError),
            ("credit", no("Insufficient credits"), PaymentRequiredError),
        )
    ),
    # Another job's answer.
    *(
        Case(SEEN.OTHER_JOB, what, times(2, answer), 3)
        for what, answer in (
            ("another's pictures", Edit({"id": 99})),
            ("another's end", Reply(200, {"status": "failed", "id": 99})),
            ("another runs", Reply(200, {"status": "processing", "id": "99"})),
        )
    ),
    # The service gave up on it.
    Case(
        SEEN.FAILED,
        '"Failed, Try Again"',
        (),
        1,
        GenerationFailedError,
        settings={"failing": "cat"},
    ),
    *(
        Case(SEEN.FAILED, what, (answer,), 1, GenerationFailedError)
        for what, answer in (
            ("error, at 200", no("NSFW content")),
            ("error, at 400", no("no", 400)),
        )
    ),
    Case(
        SEEN.FAILED,
        "and the user said: again",
        (no("no"),),
        2,
        paid=2,
        policy=RetryPolicy(resubmit_failed=1),
    ),
    # All else says nothing of the job.
    *(
        Case(SEEN.AGAIN, f"{what}, twice", times(2, answer), 3)
        for what, answer in (
            ("reset", Fault.RESET_AFTER),
            ("torn", Fault.TORN),
            ("half of the JSON", Fault.HALF_BODY),
            ("a bomb", Fault.GZIP_BOMB),
            ("502 HTML", Fault.BAD_GATEWAY),
            ("503 JSON", Fault.UNAVAILABLE),
            ("500 JSON", Fault.SERVER_ERROR),
            ("524 HTML", Fault.CLOUDFLARE_TIMEOUT),
            ("307", Fault.REDIRECT),
            ("200 HTML", Fault.HTML),
            ("429 HTML", Reply(429, HTML)),
            ("Rate limit exceeded, at 429", no("Rate limit exceeded", 429)),
            ("error of the server", no("Server is busy")),
            ("same request", no("same request multiple times")),
            ("key, at 500", no("Invalid Api Key", 500)),
            ("failed, at 500", Reply(500, {"status": "failed"})),
            ("an unknown word", Edit({"status": "queued", "output": []})),
            ("nothing", Reply(200, {})),
        )
    ),
    Case(SEEN.AGAIN, "silence", (Fault.SILENCE,), 2),
    Case(SEEN.AGAIN, "slow headers", (Fault.SLOW_HEADERS,), 2),
    Case(SEEN.AGAIN, "404 HTML in both forms", times(2, Fault.MISSING), 3),
    # The other form of fetch.
    *(
        Case(
            SEEN.DONE,
            f"{http} in the form of the link; the other answers",
            (),
            2,
            settings={"fetch": "body", "unserved": http},
        )
        for http in (404, 405)
    ),
    Case(
        SEEN.DONE,
        "404 with an error's word; the other form answers",
        (no("Not Found", 404),),
        2,
    ),
]


@pytest.mark.parametrize("case", POLLS, ids=lambda case: case.id)
@pytest.mark.parametrize("who", [by_call, by_batch])
async def test_a_job_meets_a_row(
    case: Case,
    who: Callable[[ModelsLab], Awaitable[ModelsLabError | None]],
    page: dict[tuple[Case, str], Played],
) -> None:
    """
    A paid job is asked for until its end is known, and never bought again.
    """
    async with played(case) as (service, lab, seen):
        told = await who(lab)

        one = noted(service, seen, told)
        page[case, who.__name__.removeprefix("by_")] = one

    assert type(one.told) is (case.told or type(None))
    assert one.polls in counts(case.sent)
    assert one.paid == (1 if case.paid is None else case.paid)
    assert service.books.strays == []


# What needs more than an answer.


UNSENT = [
    Case(ROW.NOT_SENT, "refused", (), 0, TransportError),
    Case(ROW.NOT_SENT, "refused; a batch waits on", (), 1),
    Case(ROW.NOT_SENT, "a bad certificate", (), 0, TransportError),
    Case(ROW.NOT_SENT, "a proxy that wants a password", (), 0, TransportError),
]


class Away:
    """
    A service that is away until it was tried *tries* times.
    """

    def __init__(self, service: Simulator, tries: int) -> None:
        self.service = service
        self.tries = tries
        self.seen: list[Event] = []
        self.missed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.seen.append(event)
        if len(self.retries) >= self.tries:
            self.missed.set()

    @property
    def retries(self) -> list[CallRetried]:
        return [one for one in self.seen if isinstance(one, CallRetried)]

    async def comes_back(self, port: int) -> None:
        await self.missed.wait()
        await self.service.start(port)


@asynccontextmanager
async def away(
    tries: int, retry: RetryPolicy | None = None
) -> AsyncIterator[tuple[Away, ModelsLab]]:
    """
    Such a service, and its client.
    """
    service = Simulator(speed=SPEED, pictures="plain")
    await service.start()
    port = int(service.origin.rpartition(":")[2])
    await service.stop()
    missed = Away(service, tries)
    returns = asyncio.create_task(missed.comes_back(port))
    async with ModelsLab(
        KEY,
        base_url=service.url,
        timeouts=TIMEOUTS,
        retry=retry or RetryPolicy(),
        observers=[missed],
    ) as lab:
        yield missed, lab
    returns.cancel()
    await asyncio.wait({returns})
    await service.stop()


@pytest.mark.parametrize(
    ("retry", "tries"),
    [
        (RetryPolicy(), 5),
        (RetryPolicy(attempts=2), 2),
        (RetryPolicy(patience=0.0), 1),
    ],
)
async def test_what_never_left_is_tried_again(
    retry: RetryPolicy, tries: int, page: dict[tuple[Case, str], Played]
) -> None:
    """
    A refused connection costs nothing: 5 tries, then the caller knows that
    nothing was sent.
    """
    async with away(99, retry) as (missed, lab):
        told = await by_call(lab)

    assert isinstance(told, TransportError)
    assert told.sent is False
    assert [one.reason for one in missed.retries] == ["NOT_SENT"] * (tries - 1)
    page[UNSENT[0], "call"] = noted(missed.service, missed.seen, told)


async def test_a_batch_waits_for_the_service_to_come_back(
    page: dict[tuple[Case, str], Played],
) -> None:
    """
    An item that could not be sent more often than a call would try is not
    lost.
    """
    async with away(8) as (missed, lab):
        told = await by_batch(lab)

    assert told is None
    assert len(missed.retries) >= 8
    assert len(missed.service.books.accepted) == 1
    page[UNSENT[1], "batch"] = noted(missed.service, missed.seen, told)


async def test_patience_begins_with_the_first_try() -> None:
    """
    Time in the queue is no time without a service: who has waited there for
    long is tried as often.
    """
    async with away(99, RetryPolicy(patience=0.4)) as (missed, lab):
        queue = lab._lifetime.open().queue
        tickets = [queue.adopt() for _ in range(5)]
        call = asyncio.create_task(by_call(lab))
        loop = asyncio.get_running_loop()
        for ticket in tickets:
            loop.call_later(0.45, queue.finished, ticket)

        told = await call

    assert isinstance(told, TransportError)
    assert len(missed.retries) == 4


@pytest.mark.parametrize("who", [by_call, by_batch])
async def test_a_bad_certificate_is_not_tried_again(
    who: Callable[[ModelsLab], Awaitable[ModelsLabError | None]],
    page: dict[tuple[Case, str], Played],
) -> None:
    """
    What cannot get better is told at once, and nothing was sent.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    asked: list[bytes] = []

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    seen: list[Event] = []
    async with (
        server,
        ModelsLab(
            KEY,
            base_url=f"https://127.0.0.1:{port}/api/v6",
            timeouts=TIMEOUTS,
            observers=[seen.append],
        ) as lab,
    ):
        told = await who(lab)

    assert isinstance(told, TransportError)
    assert told.sent is False
    assert "certificate" in str(told).lower()
    assert (asked, [e for e in seen if isinstance(e, CallRetried)]) == ([], [])
    page[UNSENT[2], who.__name__.removeprefix("by_")] = Played(
        0, 0, 0, told, ()
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_not_tried_again(
    scheme: str, page: dict[tuple[Case, str], Played]
) -> None:
    """
    A proxy's 407 is no answer of the service: told at once, as not sent.
    """
    asked: list[bytes] = []

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(await reader.readline())
        writer.write(
            b"HTTP/1.1 407 Proxy Authentication Required\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        ModelsLab(
            KEY,
            base_url=f"{scheme}://127.0.0.1:9/api/v6",
            proxy=f"http://127.0.0.1:{port}",
            timeouts=TIMEOUTS,
        ) as lab,
    ):
        told = await by_call(lab)

    assert isinstance(told, TransportError)
    assert told.sent is False
    assert len(asked) == 1
    page[UNSENT[3], "call"] = Played(0, 0, 0, told, ())


async def test_a_refused_account_is_tried_by_a_probe() -> None:
    """
    After a 401 nothing is sent for 30 s; then one call goes, and if the
    service takes it all may go.
    """
    case = Case(ROW.ACCOUNT, "401 twice", times(2, no("no", 401)), 1)
    clock = Clock.of_this_loop()
    async with played(case, timeouts=SELDOM) as (service, lab, _):
        first = await by_call(lab)
        at_once = [await by_call(lab) for _ in range(3)]
        sent = [len(service.books.entries)]
        clock.ahead += SELDOM.account_probe
        probe = await by_call(lab)
        after_probe = await by_call(lab)
        sent.append(len(service.books.entries))
        clock.ahead += SELDOM.account_probe
        second_probe = await by_call(lab)
        rest = [await by_call(lab) for _ in range(3)]
        sent.append(len(service.books.entries))

    told = [first, *at_once, probe, after_probe]
    assert [type(one) for one in told] == [AuthenticationError] * 6
    assert [second_probe, *rest] == [None] * 4
    assert sent == [1, 2, 6]


async def test_there_is_one_probe() -> None:
    """
    While a probe is under way nobody else goes, also when somebody who had
    waited for a reason of his own is sent home.
    """
    case = Case(ROW.ACCOUNT, "401, and one who waits", (), 1)
    filtered = no("Rate limit exceeded", retry_after=0.1, tips=TIPS)
    patient = attrs.evolve(SELDOM, ban_call=1.0)
    clock = Clock.of_this_loop()
    async with played(case, timeouts=patient) as (service, lab, _):
        service.next("submit", filtered, prompt="dog")
        dog = TextToImage("a dog", model_id="flux")
        waiting = asyncio.create_task(lab.generate(dog))
        while not service.books.entries:
            await asyncio.sleep(0)
        service.next("submit", no("no", 401))
        closed = await by_call(lab)
        clock.ahead += SELDOM.account_probe
        service.next("submit", Fault.SILENCE)
        probe = asyncio.create_task(by_call(lab))
        with pytest.raises(AuthenticationError):
            await waiting

        after = [await by_call(lab) for _ in range(3)]
        sent = len(service.books.entries)
        probe.cancel()

    assert isinstance(closed, AuthenticationError)
    assert [type(one) for one in after] == [AuthenticationError] * 3
    assert sent == 3


async def test_a_probe_may_wait_for_a_slot() -> None:
    """
    A probe that finds the queue full goes back into the queue as any other:
    the account is not refused.
    """
    case = Case(ROW.ACCOUNT, "401", (no("no", 401),), 1)
    clock = Clock.of_this_loop()
    async with played(case, timeouts=SELDOM) as (service, lab, _):
        closed = await by_call(lab)
        clock.ahead += SELDOM.account_probe
        service.next("submit", no("The queue is full"), times=2)

        probe = await by_call(lab)
        after = await by_call(lab)

    assert isinstance(closed, AuthenticationError)
    assert [probe, after] == [None, None]
    assert len(service.books.entries) == 5


async def test_who_gives_up_is_told_what_is_not_known() -> None:
    """
    A call whose first request got no verdict, and whose second is in
    the queue when time is up, is not told that nothing was asked for.
    """
    case = Case(
        ROW.CUT,
        "reset, then the queue is full",
        (Fault.RESET_AFTER,),
        1,
        policy=RetryPolicy(resubmit_unknown=1),
    )
    slow = attrs.evolve(TIMEOUTS, unknown_slot=60.0)
    async with played(case, slots=1, timeouts=slow) as (service, lab, _):
        with pytest.raises(OutcomeUnknownError) as caught:
            await lab.generate(CAT, timeout=0.3)

    assert caught.value.track_id == service.books.entries[0].track_id
    assert len(service.books.entries) == 1


async def test_those_in_the_queue_are_told_of_a_closed_account() -> None:
    """
    One 402 sends all away who wait for a slot, with their own copy of it.
    """
    case = Case(ROW.ACCOUNT, "402", (no("no", 402),), 1)
    async with played(case, slots=1) as (service, lab, _):
        told = await asyncio.gather(*(by_call(lab) for _ in range(4)))

    assert [type(one) for one in told] == [PaymentRequiredError] * 4
    assert len({id(one) for one in told}) == 4
    assert len(service.books.entries) == 1


async def test_a_request_that_waits_holds_no_slot() -> None:
    """
    While one request waits for its model, another has the only slot.
    """
    answer = no("Rate limit exceeded", retry_after=0.2, tips=TIPS)
    case = Case(ROW.SAME_REQUEST, "one of two", (), 2)
    patient = attrs.evolve(TIMEOUTS, ban_call=1.0)
    async with played(case, timeouts=patient) as (service, lab, _):
        service.next("submit", answer, prompt="cat")
        service.change(slots=1)
        timeouts = asyncio.create_task(by_call(lab))
        while not service.books.entries:
            await asyncio.sleep(0)

        await lab.generate(TextToImage("a dog", model_id="flux"))
        dog_came_first = not timeouts.done()
        told = await timeouts

    assert dog_came_first
    assert told is None


async def test_a_job_outlives_the_accounts_no() -> None:
    """
    A poll's 401 is told to those who wait now; the job is paid for, and its
    pictures come when the account is good again.
    """
    case = Case(SEEN.ACCOUNT, "401", (no("no", 401),), 1)
    async with played(case) as (service, lab, _):
        job = await lab.submit(CAT)
        with pytest.raises(AuthenticationError):
            await job.result()
        closed = await by_call(lab)
        watched = lab.jobs()

        generation = await job.result()

    assert isinstance(closed, AuthenticationError)
    assert watched == (job,)
    assert generation.images
    assert len(service.books.entries) == 1


@pytest.mark.parametrize(
    "answer",
    [Reply(502, HTML), no("no", 401), LOST, Fault.RESET_AFTER],
    ids=["502", "401", "not found", "reset"],
)
async def test_a_job_is_given_up_at_its_deadline(
    answer: Reply | Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Whatever the polls are told, asking ends with *job_timeout*; the job may
    run on, and is named.
    """
    async with (
        Simulator(speed=SPEED, pictures="plain", latency=1e6) as service,
        ModelsLab(
            KEY,
            base_url=service.url,
            timeouts=attrs.evolve(TIMEOUTS, not_found=60.0),
            job_timeout=0.1,
        ) as lab,
    ):
        service.next("fetch", answer, times=10_000)
        job = await lab.submit(CAT)
        while lab.jobs():
            with suppress(AuthenticationError):
                await job.refresh()
            await asyncio.sleep(0.01)
        with pytest.raises(JobUnfinishedError):
            await job.result(0)

    assert job.id is not None
    assert job.handle in caplog.text


async def test_a_refused_account_is_asked_for_every_30_seconds() -> None:
    """
    Polls that meet a 401 come no faster than once in 30 s, also when the
    job's time is up.
    """
    async with (
        Simulator(speed=SPEED, pictures="plain", latency=1e6) as service,
        ModelsLab(
            KEY, base_url=service.url, timeouts=TIMEOUTS, job_timeout=0.1
        ) as lab,
    ):
        service.next("fetch", no("no", 401), times=10_000)
        await lab.submit(CAT)
        while lab.jobs():
            await asyncio.sleep(0)

    assert service.books.polls <= 0.1 / TIMEOUTS.account_probe + 2


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"retry_after": 7}, {}, 7.0),
        ({"retry_after": "7"}, {"Retry-After": "9"}, 7.0),
        ({}, {"Retry-After": "9"}, 9.0),
        ({"message": "Too many, try again in 30 minutes"}, {}, 1800.0),
        (
            {},
            {
                "Date": "Mon, 01 Jan 2001 00:00:00 GMT",
                "Retry-After": "Mon, 01 Jan 2001 00:00:20 GMT",
            },
            20.0,
        ),
        ({"retry_after": float("nan")}, {"Retry-After": "-1"}, None),
        ({}, {}, None),
    ],
)
async def test_how_long_to_wait_is_told(
    body: dict[str, object], headers: dict[str, str], seconds: float | None
) -> None:
    """
    Seconds come from the body, else its words, else the header; a date is
    held against the answer's own Date, not our clock.
    """
    answer = Reply(429, {"message": "no"} | body, headers=headers)
    case = Case(ROW.BAN, "told", times(9, answer), 1)
    async with played(case) as (_, lab, _):
        told = await by_call(lab)

    assert isinstance(told, RateLimitedError)
    assert told.retry_after == seconds
