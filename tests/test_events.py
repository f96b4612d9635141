"""
Who watches is told, and breaks nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging

import attrs
import pytest

from modelslab_async._observing import Observers
from modelslab_async.events import (
    Event,
    FileSaved,
    JobAccepted,
    JobPolled,
)
from modelslab_async.results import Generation, Image


ACCEPTED = JobAccepted("17", "1", 2.5)


def test_every_observer_is_told() -> None:
    """
    Two watchers see the same fact, in their order.
    """
    seen: list[tuple[str, Event]] = []
    observers = Observers(
        [lambda e: seen.append(("a", e)), lambda e: seen.append(("b", e))]
    )

    observers.tell(ACCEPTED)

    assert seen == [("a", ACCEPTED), ("b", ACCEPTED)]


def test_one_that_raises_is_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    It is logged once; the others go on being told.
    """
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("a bug of the watcher's")

    observers = Observers([broken, seen.append])
    caplog.set_level(logging.ERROR)

    observers.tell(ACCEPTED)
    observers.tell(ACCEPTED)

    assert seen == [ACCEPTED, ACCEPTED]
    assert caplog.text.count("switched off") == 1


def test_it_is_told_in_the_context_of_the_call() -> None:
    """
    A watcher finds the request's own context variables.
    """
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who")
    who.set("the caller")
    context = contextvars.copy_context()
    who.set("somebody else")
    seen: list[str] = []

    Observers([lambda _: seen.append(who.get())]).tell(ACCEPTED, context)

    assert seen == ["the caller"]


@pytest.mark.parametrize(
    "raised",
    [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError],
)
def test_whatever_a_watcher_raises_it_is_switched_off(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """
    It ends no loop, cancels no task and exits nothing.
    """
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise raised

    observers = Observers([broken, seen.append])
    observers.tell(ACCEPTED)
    observers.tell(ACCEPTED)

    assert seen == [ACCEPTED, ACCEPTED]
    assert caplog.text.count("switched off") == 1


def test_nobody_is_told_where_nobody_listens() -> None:
    """
    An empty audience is false, so that nothing is built for it.
    """
    assert not Observers()


def test_pictures_on_disk_are_told_of() -> None:
    """
    A saved file names its job and its path.
    """
    seen: list[Event] = []

    Observers([seen.append]).saved("17", "1", "out/1-0.png")

    assert seen == [FileSaved("17", "1", "out/1-0.png")]


def test_facts_cannot_be_changed() -> None:
    """
    One watcher cannot lie to the next.
    """
    event = JobPolled("17", "1", 1, 0.5)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.polls = 2  # type: ignore[misc]  # that is the point


def test_meta_and_raw_are_parsed_afresh() -> None:
    """
    Who changes what they were given changes nobody else's.
    """
    generation = Generation(
        "1",
        "2",
        (Image(0, "https://x.example/0.png"),),
        meta_json=b'{"seed":7}',
        raw_json=b"[1]",
    )

    generation.meta["seed"] = 8

    assert generation.meta == {"seed": 7}
    assert generation.raw == {}
    assert "seed" not in repr(generation).replace("seed=None", "")
