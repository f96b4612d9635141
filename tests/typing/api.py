"""
Uses of the public surface that a strict type checker must accept.

Never run; `mypy` reads it with the tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, assert_type

import attrs

from modelslab_async import (
    Batch,
    BatchProgress,
    ControlNet,
    FaceSwap,
    Generation,
    Image,
    ImageToImage,
    Job,
    JobState,
    JobUpdate,
    Model,
    ModelsLab,
    Outcome,
    Outpaint,
    PollSchedule,
    RealtimeTextToImage,
    RemoveBackground,
    RetryPolicy,
    Scheduler,
    Stats,
    TextToImage,
    TryOn,
    Upload,
    errors,
)
from modelslab_async.specs import Spec, from_dict, to_dict


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


async def inputs(lab: ModelsLab, path: Path, upload: Upload) -> None:
    """
    What stands for a picture, and what can be uploaded.
    """
    specs: list[Spec] = [
        RealtimeTextToImage("a cat", samples=2),
        ImageToImage("a cat", model_id="flux", init_image=path),
        ImageToImage("a cat", model_id="flux", init_image=["https://a", path]),
        RemoveBackground(upload.url, only_mask=True),
        FaceSwap(path, target_image=path, reference_image="https://a"),
        ControlNet(
            "a cat", model_id="x", controlnet_model="canny", init_image=path
        ),
        TryOn(init_image=path, cloth_image=path, cloth_type="dresses"),
        Outpaint(image=path),
        from_dict({"endpoint": "img2img"}),
    ]
    for spec in specs:
        assert_type(await lab.generate(spec), Generation)
        assert_type(attrs.evolve(spec, track_id="7"), Spec)
        assert_type(to_dict(spec), dict[str, Any])
    assert_type(attrs.evolve(Outpaint(image=path), seed=1), Outpaint)
    assert_type(await lab.upload(path), Upload)
    assert_type(await lab.upload(b"..."), Upload)
    assert_type(await lab.models("flux"), tuple[Model, ...])


async def misuse(lab: ModelsLab, path: Path) -> None:
    """
    What a type checker must not accept: each complaint is wanted.
    """
    RealtimeTextToImage("a cat", model_id="flux")  # type: ignore[call-arg]
    RealtimeTextToImage("a cat", "a dog")  # type: ignore[call-arg]
    RealtimeTextToImage()  # type: ignore[call-arg]
    ImageToImage("a cat", model_id="flux")  # type: ignore[call-arg]
    ImageToImage("a cat", model_id="flux", init_image=b"x")  # type: ignore[arg-type]
    ImageToImage("a cat", model_id="flux", init_image=None)  # type: ignore[arg-type]
    RemoveBackground(5)  # type: ignore[arg-type]
    RemoveBackground(path, only_mask="yes")  # type: ignore[arg-type]
    FaceSwap(path, target_image=path)  # type: ignore[call-arg]
    Outpaint("a cat")  # type: ignore[call-arg]
    TextToImage("a cat", model_id="flux", widht=512)  # type: ignore[call-arg]
    TextToImage("a cat", model_id="flux", width="512")  # type: ignore[arg-type]
    attrs.evolve(Outpaint(image=path), wdith=512)  # type: ignore[call-arg]
    Outpaint(image=path).width = 512  # type: ignore[misc]
    await lab.generate("a cat")  # type: ignore[arg-type]
    await lab.generate(TextToImage)  # type: ignore[arg-type]
    await lab.upload(5)  # type: ignore[arg-type]


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
