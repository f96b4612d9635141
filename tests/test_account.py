"""
What an account has, in whatever form the service tells it.
"""

from __future__ import annotations

import json

from collections.abc import Callable
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async import Balance, ModelsLab, RemoveBackground
from modelslab_async._protocol.account import (
    read_balance,
    read_processing_count,
)
from modelslab_async._protocol.replies import Reply
from modelslab_async.errors import (
    AuthenticationError,
    ClientClosedError,
    InvalidRequestError,
    RateLimitedError,
)
from modelslab_async.simulator import Fault, KeyState, Simulator
from modelslab_async.simulator import Reply as Answer


PNG = b"\x89PNG\r\n\x1a\n" + bytes(50) + b"IEND\xaeB`\x82"


@pytest.mark.asyncio
async def test_the_balance(simulator: Simulator, lab: ModelsLab) -> None:
    """
    The balance is what the service says, before and after.
    """
    simulator.change(balance=43.6)

    assert await lab.balance() == Balance(43.6, "USD")


@pytest.mark.asyncio
async def test_jobs_under_way(simulator: Simulator, lab: ModelsLab) -> None:
    """
    All jobs of the account count, also those of others.
    """
    simulator.occupy("a-key", 3)

    assert await lab.processing_count() == 3


@pytest.mark.asyncio
async def test_counting_often_asks_seldom(
    simulator: Simulator, lab: ModelsLab
) -> None:
    """
    However often it is asked, the service is asked 30 times a minute.
    """
    simulator.change(counts_a_minute=1)
    found = {await lab.processing_count() for _ in range(50)}

    assert found == {0}


@pytest.mark.asyncio
async def test_no_is_an_error(simulator: Simulator, lab: ModelsLab) -> None:
    """
    A key that is no good is told as for any other call.
    """
    simulator.change(keys={"a-key": KeyState.BLOCKED})

    with pytest.raises(AuthenticationError):
        await lab.balance()


@pytest.mark.asyncio
async def test_asked_again_where_it_failed(
    simulator: Simulator, lab: ModelsLab
) -> None:
    """
    A question costs nothing, so it is repeated.
    """
    simulator.next("call", Fault.BAD_GATEWAY, times=2)

    assert (await lab.balance()).currency == "USD"


@pytest.mark.asyncio
async def test_refused_for_long(simulator: Simulator, lab: ModelsLab) -> None:
    """
    Not for ever, though.
    """
    simulator.next("call", Answer(429, {"status": "error"}), times=50)

    with pytest.raises(RateLimitedError):
        await lab.processing_count()


@pytest.mark.asyncio
async def test_closed(lab: ModelsLab) -> None:
    """
    A closed client asks nobody.
    """
    await lab.aclose()

    with pytest.raises(ClientClosedError):
        await lab.balance()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"data": {"balance": 1, "currency": "EUR"}}, Balance(1.0, "EUR")),
        ({"data": {"balance": "2.50"}}, Balance(2.5)),
        ({"balance": 3}, Balance(3.0)),
        ({"data": {"balance": -4.5}}, Balance(-4.5)),
        ({"data": {"balance": "-4.5"}}, Balance(-4.5)),
        ({"data": {"balance": 0}}, Balance(0.0)),
        ({"data": {"balance": True}}, None),
        ({"data": {"balance": None}}, None),
        ({"data": []}, None),
        ({"status": "error", "message": "no"}, None),
        ([], None),
    ],
)
def test_forms_of_a_balance(body: Any, told: Balance | None) -> None:
    """
    A number is a number, however it is told; else there is none.
    """
    assert read_balance(Reply(200, json.dumps(body).encode())) == told


@pytest.mark.parametrize(
    ("before", "behind"),
    [("", "\0"), ("<b>Notice</b>: {x} in x.php\n", ""), ("", "<br/>")],
)
def test_a_balance_among_notices(before: str, behind: str) -> None:
    """
    What stands around an answer hides no money.
    """
    body = f'{before}{{"status":"success","balance":3}}{behind}'

    assert read_balance(Reply(200, body.encode())) == Balance(3.0)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["data", "balance", "processing_count", "x"]),
                inner,
            )
        ),
    ).map(lambda found: json.dumps(found).encode())
)
def test_any_answer_is_read_or_not(body: bytes) -> None:
    """
    Whatever comes, it is a number or none.
    """
    for status in (200, 500):
        balance = read_balance(Reply(status, body))
        count = read_processing_count(Reply(status, body))
        assert balance is None or isinstance(balance.amount, float)
        assert count is None or count >= 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "call",
    [
        lambda lab: lab.generate(RemoveBackground("https://a.example/a.png")),
        lambda lab: lab.processing_count(),
        lambda lab: lab.upload(PNG),
    ],
    ids=["generate", "count", "upload"],
)
@pytest.mark.parametrize("path", ["", "/api"], ids=["page", "json"])
async def test_an_address_that_is_not_whole(
    simulator: Simulator, path: str, call: Callable[[ModelsLab], Any]
) -> None:
    """
    Where a page answers, or a route is not there, the address is doubted;
    and not where the service knows what it was asked.
    """
    async with ModelsLab("a-key", base_url=simulator.origin + path) as lab:
        with pytest.raises(InvalidRequestError, match="ends in /api/v6"):
            await call(lab)

    simulator.next("submit", Answer(404, {"message": "no such thing"}))
    async with ModelsLab("a-key", base_url=simulator.url) as lab:
        with pytest.raises(InvalidRequestError) as known:
            await lab.generate(RemoveBackground("https://a.example/a.png"))
    assert known.value.hint == ""
