"""
Uses of the public surface that a strict type checker must accept.

Never run; `mypy` reads it with the tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from modelslab_async import (
    Batch,
    BatchProgress,
    Generation,
    Image,
    Job,
    JobState,
    JobUpdate,
    ModelsLab,
    Outcome,
    PollSchedule,
    RetryPolicy,
    Scheduler,
    Stats,
    TextToImage,
    errors,
)


async def calls(lab: ModelsLab, spec: TextToImage) -> None:
    """
    What calls give.
    """
    async with ModelsLab("key", slots=5, retry=RetryPolicy(attempts=2)) as own:
        assert_type(own, ModelsLab)
    generation = await lab.generate(spec, timeout=60, priority=1)
    assert_type(generation, Generation)
    assert_type(generation.images, tuple[Image, ...])
    assert_type(generation.seed, int | None)
    assert_type(generation.nsfw, bool | None)
    job = await lab.submit(spec)
    assert_type(job, Job)
    assert_type(job.state, JobState)
    assert_type(job.handle, str)
    assert_type(await job, Generation)
    assert_type(await job.result(timeout=1.5), Generation)
    assert_type(await job.refresh(), JobUpdate)
    async for update in job.updates():
        assert_type(update, JobUpdate)
    assert_type(lab.job("134701497"), Job)
    assert_type(lab.job(134701497, endpoint=TextToImage), Job)
    assert_type(lab.jobs(), tuple[Job, ...])
    assert_type(lab.stats(), Stats)


async def pictures(lab: ModelsLab, generation: Generation) -> None:
    """
    What pictures give.
    """
    assert_type(await lab.download(generation, "out"), tuple[Path, ...])
    assert_type(await lab.save(generation.images[0], Path("a.png")), Path)
    assert_type(await lab.read(generation.images[0]), bytes)


async def several() -> AsyncIterator[TextToImage]:
    """
    Specs as they come.
    """
    yield TextToImage("a cat", model_id="flux", scheduler="DDIMScheduler")
    yield TextToImage("a dog", model_id="flux", scheduler=Scheduler.DDIM)


async def batches(lab: ModelsLab, specs: list[TextToImage]) -> None:
    """
    What batches give.
    """
    assert_type(lab.batch(specs), Batch)
    assert_type(await lab.batch(tuple(specs), max_jobs=3), list[Outcome])
    async with lab.batch(several(), output="out", items=["a"]) as batch:
        assert_type(batch.progress, BatchProgress)
        assert_type(batch.stopped, errors.ModelsLabError | None)
        async for outcome in batch:
            assert_type(outcome.error, errors.ModelsLabError | None)
            assert_type(outcome.generation, Generation | None)
            assert_type(outcome.paths, tuple[Path, ...])
            assert_type(outcome.unwrap(), Generation)


def facts(error: errors.RateLimitedError) -> None:
    """
    What errors carry.
    """
    assert_type(error.retry_after, float | None)
    assert_type(error.limit, int | None)
    assert_type(error.status, int)
    assert_type(PollSchedule.fixed(2.0), PollSchedule)
