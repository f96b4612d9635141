"""
A job by itself: who waits for it, by whatever name it is taken up.
"""

from __future__ import annotations

import asyncio
import sys

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import anyio
import attrs
import pytest
import pytest_asyncio

from waiting import until

from modelslab_async import Generation, JobState, ModelsLab, TextToImage
from modelslab_async._retrying import Waits
from modelslab_async.errors import (
    AuthenticationError,
    JobUnfinishedError,
    OutcomeUnknownError,
)
from modelslab_async.simulator import (
    Edit,
    Fault,
    Latency,
    Reply,
    Simulator,
)


pytestmark = pytest.mark.asyncio

SPEED = 100.0
WAITS = Waits().faster(SPEED, silence=5)
CAT = TextToImage("a cat", model_id="sdxl", seed=7)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Simulator]:
    """
    Submits are held for 0.1 s; pictures come 0.15 s after acceptance.
    """
    async with Simulator(
        speed=SPEED,
        pictures="plain",
        hold=10.0,
        latency=Latency.constant(25.0),
    ) as running:
        yield running


def client(service: Simulator, **options: Waits) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=service.url,
        slots=1,
        **{"waits": WAITS} | options,
    )


# By a handle, or an id


async def test_a_handle_carries_a_seed_of_zero(service: Simulator) -> None:
    """
    Zero is a seed as any other, though it is false.
    """
    service.change(hold=0.0)
    async with client(service) as lab, client(service) as elsewhere:
        job = await lab.submit(attrs.evolve(CAT, seed=0))

        generation = await elsewhere.job(job.handle)

    assert generation.seed == 0
