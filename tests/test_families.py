"""
Each family of endpoints has its own ways: where jobs are found, what an eta
is worth, and how it refuses.
"""

from __future__ import annotations

import pickle

from pathlib import Path

import attrs
import pytest

from modelslab_async import (
    FaceSwap,
    Image,
    Interior,
    ModelsLab,
    QwenEdit,
    RealtimeTextToImage,
    RemoveBackground,
    TextToImage,
    TextToImageV7,
)
from modelslab_async.errors import (
    InvalidRequestError,
    JobNotFoundError,
    JobUnfinishedError,
)
from modelslab_async.simulator import Latency, Simulator
from modelslab_async.specs import Spec


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

A = "https://i.example/a.png"
SWAP = FaceSwap(A, target_image=A, reference_image=A)


@pytest.mark.parametrize(
    "spec", [SWAP, Interior("a room", init_image=A), RealtimeTextToImage("x")]
)
async def test_an_eta_that_says_nothing(
    lab: ModelsLab, simulator: Simulator, spec: Spec
) -> None:
    """
    An eta of ten minutes for a job of two seconds makes nobody wait.
    """
    simulator.change(latency=Latency.constant(200.0), hold=0.0)

    job = await lab.submit(spec)
    await job
    (record,) = simulator.books.jobs.values()

    assert job.eta is not None
    # A tenth of its time and the least pause, in the simulator's seconds.
    assert record.unnoticed is not None
    assert record.unnoticed * 100 < 0.1 * 200 + 25


@pytest.mark.parametrize(
    "spec",
    [
        SWAP,
        Interior("a room", init_image=A),
        RemoveBackground(A),
        QwenEdit("x", init_image=A),
        TextToImageV7("x", model_id="imagen-4"),
    ],
    ids=lambda spec: spec.endpoint.name,
)
async def test_found_in_another_family(
    lab: ModelsLab, simulator: Simulator, spec: Spec
) -> None:
    """
    A job that its own family does not know is asked for in another.
    """
    simulator.change(families="other", latency=Latency.constant(5.0), hold=0.0)

    generation = await lab.generate(spec)

    assert generation.images
    assert len(simulator.books.accepted) == 1


@pytest.mark.parametrize(
    "spec",
    [SWAP, Interior("a room", init_image=A), RemoveBackground(A)],
    ids=lambda spec: spec.endpoint.name,
)
async def test_fresh_links_of_another_family(
    lab: ModelsLab, simulator: Simulator, spec: Spec, tmp_path: Path
) -> None:
    """
    Pictures whose links have aged are asked for where their job is known.
    """
    known = await lab.generate(spec)
    aged = Image(0, f"{simulator.url}/gone/0.png")
    old = pickle.loads(pickle.dumps(attrs.evolve(known, images=(aged,))))

    (path,) = await lab.download(old, tmp_path)

    assert old.endpoint == spec.endpoint.name
    assert path.stat().st_size > 0


async def test_found_nowhere_else(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    Where no other family is known to have such jobs, none is asked.
    """
    simulator.change(families="other", latency=Latency.constant(5.0), hold=0.0)

    with pytest.raises(JobNotFoundError):
        await lab.generate(TextToImage("x", model_id="sdxl"))


@pytest.mark.parametrize(
    "endpoint",
    ["remove_background", "remove-background", "RemoveBackground"],
)
async def test_taken_up_by_what_the_error_tells(
    simulator: Simulator, endpoint: str
) -> None:
    """
    An unfinished job is taken up elsewhere by its handle, or by its id and
    its endpoint, as the error says.
    """
    simulator.change(latency=Latency.constant(20.0), hold=0.0)

    async with ModelsLab.simulated(simulator.url, speed=100) as lab:
        job = await lab.submit(RemoveBackground(A))
        with pytest.raises(JobUnfinishedError, match="remove_background") as e:
            await job.result(timeout=0.0)
        await job

    error = e.value
    assert error.handle is not None
    assert error.job_id is not None
    assert f'"{error.job_id}", endpoint="{error.endpoint}"' in str(error)
    async with ModelsLab.simulated(simulator.url, speed=100) as elsewhere:
        named = elsewhere.job(error.job_id, endpoint=endpoint)
        assert (await named).images
        again = await elsewhere.job(error.handle)
    assert again.track_id == error.track_id


async def test_what_is_not_found_may_be_of_another_endpoint(
    simulator: Simulator,
) -> None:
    """
    Whoever takes up a job by its id alone hears what to say besides.
    """
    simulator.change(latency=Latency.constant(5.0), hold=0.0)
    async with ModelsLab.simulated(simulator.url, speed=100) as lab:
        done = await lab.generate(RemoveBackground(A))
    async with ModelsLab.simulated(simulator.url, speed=100) as elsewhere:
        with pytest.raises(JobNotFoundError, match="endpoint=") as got:
            await elsewhere.job(str(done.id))

    assert got.value.endpoint == "text2img"
    assert got.value.handle is not None


async def test_refused_by_a_family(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A picture that the service cannot fetch fails its request.
    """
    gone = f"{simulator.url.removesuffix('/api/v6')}/generations/none.png"

    with pytest.raises(InvalidRequestError, match="fetch image"):
        await lab.generate(RemoveBackground(gone))


async def test_slots_are_the_accounts(simulator: Simulator) -> None:
    """
    All endpoints together have the account's slots.
    """
    simulator.change(slots=2, latency=Latency.constant(50.0), hold=0.0)
    specs: list[Spec] = [
        RealtimeTextToImage("a"),
        RemoveBackground(A),
        TextToImageV7("b", model_id="imagen-4"),
        TextToImage("c", model_id="sdxl"),
        SWAP,
        Interior("d", init_image=A),
    ]
    async with ModelsLab.simulated(simulator.url, speed=100) as lab:
        outcomes = await lab.batch(specs)

        stats = lab.stats()

    assert all(outcome.unwrap().images for outcome in outcomes)
    assert simulator.books.peak <= 2
    assert stats.accepted == len(specs)
