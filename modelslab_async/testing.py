"""
Fixtures for pytest, to test code that uses `ModelsLab` without a key, a cent
or a network.

Opt in with ``pytest_plugins = ["modelslab_async.testing"]`` in the
``conftest.py`` at the root of your tests.  The fixtures are synchronous, so
that any plugin for async tests works with them.
"""

from __future__ import annotations

import asyncio
import threading

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from ._client import ModelsLab
from ._policy.timeouts import Timeouts
from .simulator import Settings, Simulator


__all__ = ["modelslab", "modelslab_settings", "modelslab_simulator"]


#: What the simulator divides durations by, where the settings don't say.
SPEED = 100.0


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    How the simulator is to behave; override it with your own.

    By default a hundred times as fast as life, with plain pictures.
    """
    return Settings(speed=SPEED, pictures="plain")


@pytest.fixture
def modelslab_simulator(modelslab_settings: Settings) -> Iterator[Simulator]:
    """
    A local ModelsLab for one test, in a thread with a loop of its own.

    Give its `Simulator.url` to your code, tell it what to do with
    `Simulator.next()` and `Simulator.change()`, and look into its `books`.
    Its jobs have the same ids each time, unless the settings say otherwise.
    """
    settings = modelslab_settings
    simulator = Simulator(settings, seed=settings.seed or 0)
    with _served(simulator):
        yield simulator


@pytest.fixture
def modelslab(modelslab_simulator: Simulator) -> Iterator[ModelsLab]:
    """
    A client of `modelslab_simulator`, as fast as it.

    It opens at its first use in the test, and is taken down after it; ``async
    with`` works, and is not needed.
    """
    speed = modelslab_simulator.settings.speed
    lab = ModelsLab(
        "simulated",
        base_url=modelslab_simulator.url,
        timeouts=Timeouts().faster(speed, silence=5.0),
    )
    yield lab
    # The test's loop may be closed by now: nothing can be awaited there.
    lab.abandon()


@contextmanager
def _served(simulator: Simulator) -> Iterator[None]:
    """
    Run *simulator* in a thread meanwhile.
    """
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        try:
            async with simulator:
                started.set_result((asyncio.get_running_loop(), over))
                await over.wait()
        except Exception as exc:
            if started.done():
                raise
            started.set_exception(exc)

    thread = threading.Thread(
        target=asyncio.run, args=(serve(),), name="simulator", daemon=True
    )
    thread.start()
    loop, over = started.result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
