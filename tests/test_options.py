"""
The options of a client: what cannot be is told when it is made, all of it.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async import (
    ModelsLab,
    PollSchedule,
    RetryPolicy,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import ConfigurationError


CAT = TextToImage("a cat", model_id="flux")


def client(**options: Any) -> ModelsLab:
    return ModelsLab("a-key", **options)


NUMBERS: list[tuple[Callable[..., object], str]] = [
    *((RetryPolicy, field.name) for field in attrs.fields(RetryPolicy)),
    *((PollSchedule, field.name) for field in attrs.fields(PollSchedule)),
    *((Timeouts, field.name) for field in attrs.fields(Timeouts)),
    *((client, name) for name in ("slots", "job_timeout", "max_downloads")),
]


@pytest.mark.parametrize(
    "value", ["5", b"5", True, math.nan, -1, [5], {}, object(), 5j]
)
@pytest.mark.parametrize(
    ("make", "name"), NUMBERS, ids=lambda one: getattr(one, "__name__", one)
)
def test_what_is_no_number(
    make: Callable[..., object], name: str, value: Any
) -> None:
    """
    Whatever stands where a number belongs, it is called by its name.
    """
    with pytest.raises(ConfigurationError, match=rf"\b{name}: "):
        make(**{name: value})


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *(one for one in NUMBERS if one[1] not in {"slots", "budget"}),
        (RetryPolicy, "budget"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_none_is_no_number(make: Callable[..., object], name: str) -> None:
    """
    None stands for something only where it says so.
    """
    with pytest.raises(ConfigurationError, match=rf"\b{name}: "):
        make(**{name: None})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"attempts": 0}, "attempts: a whole number from 1"),
        ({"attempts": 2.5}, "attempts: a whole number from 1"),
        ({"resubmit_failed": 1.0}, "resubmit_failed: a whole number from 0"),
    ],
)
def test_how_often_is_whole(options: Any, told: str) -> None:
    """
    Tries are counted.
    """
    with pytest.raises(ConfigurationError, match=told):
        RetryPolicy(**options)


@pytest.mark.parametrize("most", [0, 1, 0.5, math.inf])
def test_how_long_is_any_number(most: float) -> None:
    """
    Seconds and tokens may be none, or without end.
    """
    policy = RetryPolicy(patience=most, budget=most)

    assert (policy.patience, policy.budget) == (most, most)


@pytest.mark.parametrize(
    "loading", [10.0, [10.0], ("10",), (10.0, -1.0), (math.nan,), "10", None]
)
def test_pauses_of_a_model_are_a_tuple(loading: Any) -> None:
    """
    A pause for each try.
    """
    with pytest.raises(ConfigurationError, match="model_loading: a tuple"):
        Timeouts(model_loading=loading)


@pytest.mark.parametrize("times", [None, "2", True, 0, -1, math.nan, [2]])
def test_what_is_no_speed(times: Any) -> None:
    """
    Faster by a number above 0.
    """
    with pytest.raises(ConfigurationError, match="above 0"):
        Timeouts().faster(times)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"polling": 2}, "polling: a PollSchedule"),
        ({"polling": PollSchedule}, "polling: a PollSchedule"),
        ({"retry": 5}, "retry: a RetryPolicy"),
        ({"retry": None}, "retry: a RetryPolicy"),
        ({"timeouts": 30}, "timeouts: a Timeouts"),
        ({"observers": 5}, "observers: functions of one event"),
        ({"observers": None}, "observers: functions of one event"),
        ({"observers": [print, "x"]}, "observers: .*'x'"),
        ({"base_url": "modelslab.com"}, "base_url: an http"),
        ({"base_url": 5}, "base_url: an http"),
        ({"trusted_hosts": None}, "trusted_hosts: "),
        ({"trusted_hosts": [5]}, "trusted_hosts: "),
    ],
)
def test_what_is_no_option(options: Any, told: str) -> None:
    """
    Anything but what an option is made of.
    """
    with pytest.raises(ConfigurationError, match=told):
        client(**options)


def test_one_where_there_may_be_many() -> None:
    """
    One function, or one host, needs no list around it.
    """
    lab = client(observers=print, trusted_hosts="media.example:8080")

    assert repr(lab).endswith("not open>")


def test_all_faults_at_once() -> None:
    """
    Nobody has to come back five times.
    """
    with pytest.raises(ConfigurationError) as retry:
        RetryPolicy(*["x"] * 5)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError) as lab:
        ModelsLab(
            base_url="x",
            slots=0,
            job_timeout="x",  # type: ignore[arg-type]  # that is the point
            polling=None,  # type: ignore[arg-type]  # that is the point
        )

    assert len(re.findall(r"\w+: a (?:whole )?number", str(retry.value))) == 5
    for name in ("api_key", "base_url", "slots", "job_timeout", "polling"):
        assert f"{name}: " in str(lab.value)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.floats(), max_size=2),
    st.tuples(st.floats(), st.floats()),
)


KINDS: list[tuple[Any, ...]] = [
    (kind, *(field.name for field in attrs.fields(kind)))
    for kind in (RetryPolicy, PollSchedule, Timeouts)
]


@given(kind=st.sampled_from(KINDS), data=st.data())
def test_nothing_but_our_own_error(
    kind: tuple[Any, ...], data: st.DataObject
) -> None:
    """
    Whatever is given for all of them, it is taken, or refused in our words.
    """
    make, *names = kind

    with suppress(ConfigurationError):
        make(**{name: data.draw(ANYTHING) for name in names})


class Unwritable:
    """
    A value of the caller's own, whose class has a bug.
    """

    def __repr__(self) -> str:
        raise RuntimeError("a bug")


async def of_a_client(call: Callable[[ModelsLab], Any]) -> None:
    """
    Call a client that is never asked for anything.
    """
    async with client(base_url="http://127.0.0.1:1/v6") as lab:
        found = call(lab)
        if inspect.isawaitable(found):
            await found


CALLS: list[Callable[[Any], Any]] = [
    lambda value: client(slots=value),
    lambda value: client(job_timeout=value),
    lambda value: client(base_url=value),
    lambda value: client(observers=[value]),
    lambda value: client(trusted_hosts=[value]),
    lambda value: RetryPolicy(attempts=value),
    lambda value: RetryPolicy(patience=value),
    lambda value: PollSchedule(longest=value),
    lambda value: Timeouts(connect=value),
    lambda value: Timeouts().faster(value),
    lambda value: client().batch(value),
    lambda value: client().batch([], items=value),
    lambda value: client().batch([], output=value),
    lambda value: client().batch([], max_jobs=value),
    *(
        lambda value, call=call: asyncio.run(
            of_a_client(lambda lab: call(lab, value))
        )
        for call in (
            lambda lab, value: lab.generate(value),
            lambda lab, value: lab.generate(CAT, timeout=value),
            lambda lab, value: lab.generate(CAT, priority=value),
            lambda lab, value: lab.job(value),
            lambda lab, value: lab.read(value),
            lambda lab, value: lab.unknown(value),
        )
    ),
]


@pytest.mark.parametrize(
    "value", [-(10**5000), -(10**400), Unwritable()], ids=range(3)
)
@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_what_cannot_be_shown(call: Callable[[Any], Any], value: Any) -> None:
    """
    A number that Python does not write, or a class that cannot show itself,
    is refused like any other, where it is not taken.
    """
    with pytest.raises(ConfigurationError):
        call(value)
