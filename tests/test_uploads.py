"""
Local pictures are uploaded just before their requests, and once.
"""

from __future__ import annotations

import asyncio
import json

from contextlib import suppress
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path

import attrs
import pytest

from PIL import Image
from test_endpoints import SAMPLES

from modelslab_async import (
    Generation,
    ImageToImage,
    Model,
    ModelsLab,
    RemoveBackground,
    RetryPolicy,
    TextToImage,
    Timeouts,
    Upload,
)
from modelslab_async.errors import (
    AuthenticationError,
    ClientClosedError,
    JournalError,
    ProtocolError,
    ServerError,
    SpecError,
    TransportError,
    UnsafeUrlError,
)
from modelslab_async.events import Event, FileUploaded
from modelslab_async.simulator import Edit, Fault, KeyState, Latency, Simulator
from modelslab_async.specs import SPECS, Spec, from_dict, picture_parameters


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
PNG = b"\x89PNG\r\n\x1a\n"


def picture(number: int = 0) -> bytes:
    """
    A picture that no other equals.
    """
    file = BytesIO()
    Image.new("RGB", (64, 64), (number, 99, 99)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """
    A picture on this machine.
    """
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    path.write_bytes(picture())
    return path


def restyled(path: Path, number: int = 0) -> ImageToImage:
    """
    A request about a local picture.
    """
    return ImageToImage(
        f"an oil painting {number}",
        model_id="flux",
        init_image=path,
        seed=number,
    )


def client(simulator: Simulator, **options: object) -> ModelsLab:
    """
    A client of the simulator, as fast.
    """
    timeouts = Timeouts().faster(SPEED, silence=5.0)
    given: dict[str, object] = {"timeouts": timeouts} | options
    return ModelsLab("a-key", base_url=simulator.url, **given)  # type: ignore[arg-type]


async def test_once_for_each_content(
    lab: ModelsLab, simulator: Simulator, png: Path
) -> None:
    """
    However many requests and files have it, a content goes up once.
    """
    twin = png.with_name("b.png")
    twin.write_bytes(png.read_bytes())
    specs = [restyled(png, 1), restyled(png, 2), restyled(twin, 3)]

    generations = await asyncio.gather(*map(lab.generate, specs))

    (upload,) = simulator.books.uploads
    assert all(one.images for one in generations)
    assert {
        entry.spec["init_image"] for entry in simulator.books.accepted
    } == {upload.url}
    assert lab.stats().uploads == 1
    assert [entry.remarks for entry in simulator.books.accepted] == [()] * 3


async def test_nothing_local_nothing_uploaded(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    URLs go out as they are.
    """
    await lab.generate(RemoveBackground("https://i.example/a.png"))

    assert simulator.books.uploads == []


async def test_again_before_its_url_dies(
    simulator: Simulator, png: Path
) -> None:
    """
    A URL that is about to die is not sent.
    """
    short = attrs.evolve(
        Timeouts().faster(SPEED, silence=5.0), upload_used=0.0
    )
    async with client(simulator, timeouts=short) as lab:
        first = await lab.upload(png)
        second = await lab.upload(png)

    assert len(simulator.books.uploads) == 2
    assert first.url != second.url


async def test_another_client_uploads_for_itself(
    simulator: Simulator, png: Path
) -> None:
    """
    What one client has uploaded, another does not know.
    """
    for _ in range(2):
        async with client(simulator) as lab:
            await lab.generate(restyled(png))

    assert len(simulator.books.uploads) == 2


async def test_changed_meanwhile(
    lab: ModelsLab, simulator: Simulator, png: Path
) -> None:
    """
    A file that is not what it was is told, and nothing is paid for.
    """
    spec = restyled(png)
    png.write_bytes(picture(7))

    with pytest.raises(SpecError, match="has changed"):
        await lab.generate(spec)

    assert (simulator.books.accepted, simulator.books.uploads) == ([], [])
    assert (await lab.generate(restyled(png))).images


async def test_gone_meanwhile(
    lab: ModelsLab, simulator: Simulator, png: Path
) -> None:
    """
    A file that is gone fails its request, and no slot stays taken.
    """
    spec = restyled(png)
    png.unlink()

    for call in (lab.generate, lab.submit):
        with pytest.raises(SpecError, match="cannot be read"):
            await call(spec)

    assert simulator.books.accepted == []
    assert (lab.stats().slots_held, lab.stats().waiting) == (0, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.BAD_GATEWAY,
        Fault.UNAVAILABLE,
        Fault.SERVER_ERROR,
        Fault.TORN,
        Fault.HTML,
    ],
)
async def test_repeated_on_failure(
    lab: ModelsLab, simulator: Simulator, png: Path, fault: Fault
) -> None:
    """
    An upload costs nothing, so it is tried again whatever happened.
    """
    simulator.next("upload", fault, times=2)

    generation = await lab.generate(restyled(png))

    assert generation.images
    assert len(simulator.books.accepted) == 1


async def test_never_reached(
    lab: ModelsLab, simulator: Simulator, png: Path
) -> None:
    """
    In the end it is told, and says that nothing was asked for.
    """
    simulator.next("upload", Fault.RESET_BEFORE, times=99)

    with pytest.raises(TransportError, match=r"upload of .*a\.png") as caught:
        await lab.generate(restyled(png))

    assert not caught.value.sent
    assert simulator.books.accepted == []
    assert lab.jobs() == ()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"output": ["http://i.example/a.png"]}, UnsafeUrlError),
        ({"output": ["https://10.0.0.1/a.png"]}, UnsafeUrlError),
        ({"output": ["https://0x7f.1/a.png"]}, UnsafeUrlError),
        ({"output": []}, ProtocolError),
        ({"output": ["file:///etc/passwd"]}, UnsafeUrlError),
    ],
)
async def test_unsafe_links(
    lab: ModelsLab,
    simulator: Simulator,
    png: Path,
    fields: dict[str, object],
    error: type[Exception],
) -> None:
    """
    A link that leads where no picture may lie is not handed on.
    """
    simulator.next("upload", Edit(fields), times=99)

    with pytest.raises(error):
        await lab.generate(restyled(png))

    assert simulator.books.accepted == []


async def test_refused(simulator: Simulator, png: Path) -> None:
    """
    A key that is refused fails the call as a submit's refusal does.
    """
    simulator.change(keys={"another": KeyState.GOOD})
    async with client(simulator) as lab:
        with pytest.raises(AuthenticationError):
            await lab.generate(restyled(png))
        with pytest.raises(AuthenticationError):
            await lab.upload(png)


async def test_takes_no_slot(png: Path) -> None:
    """
    While all slots are taken, the next request's picture goes up.
    """
    async with (
        Simulator(
            speed=1.0, slots=1, latency=Latency.constant(1.0), pictures="plain"
        ) as simulator,
        client(
            simulator, slots=1, timeouts=Timeouts().faster(SPEED, silence=5)
        ) as lab,
    ):
        first = await lab.submit(TextToImage("a cat", model_id="sdxl"))
        waiting = asyncio.create_task(lab.generate(restyled(png)))
        while not simulator.books.uploads:
            await asyncio.sleep(0.01)

        stats = lab.stats()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await first

    assert (stats.slots_held, stats.uploads) == (1, 1)


async def test_told_in_the_callers_context(
    simulator: Simulator, png: Path
) -> None:
    """
    Observers hear of it where the call was made.
    """
    caller = ContextVar("caller", default="nobody")
    heard: list[tuple[str, Event]] = []
    async with client(
        simulator,
        observers=[lambda event: heard.append((caller.get(), event))],
    ) as lab:
        caller.set("me")
        upload = await lab.upload(png)

    ((who, event),) = heard
    assert isinstance(event, FileUploaded)
    assert (who, event.path, event.sha256, event.size_bytes) == (
        "me",
        str(png),
        upload.sha256,
        png.stat().st_size,
    )


async def test_upload(lab: ModelsLab, simulator: Simulator, png: Path) -> None:
    """
    What is uploaded by hand can be used by any spec.
    """
    by_path = await lab.upload(png)
    by_text = await lab.upload(str(png))
    by_bytes = await lab.upload(png.read_bytes())

    generation = await lab.generate(RemoveBackground(by_path.url))

    assert isinstance(by_path, Upload)
    assert by_path == by_text == by_bytes
    assert by_path.expires_at > simulator.books.uploads[0].at
    assert generation.images
    assert len(simulator.books.uploads) == 1


@pytest.mark.parametrize(
    "file", [b"", b"<html>", PNG + bytes(5_000_000), 5, None, "/no/such", "/"]
)
async def test_no_upload(
    lab: ModelsLab, simulator: Simulator, file: object
) -> None:
    """
    What is no picture is told, and not sent.
    """
    with pytest.raises(SpecError):
        await lab.upload(file)  # type: ignore[arg-type]

    assert simulator.books.uploads == []


async def test_closed_meanwhile(simulator: Simulator, png: Path) -> None:
    """
    Closing gives up what is under way, and says so to who waits.
    """
    simulator.next("upload", Fault.SILENCE, times=9)
    lab = client(simulator)
    async with lab:
        upload = asyncio.create_task(lab.upload(png))
        asked = asyncio.create_task(lab.generate(restyled(png)))
        await asyncio.sleep(0.05)

    for waiting in (upload, asked):
        with pytest.raises(ClientClosedError):
            await waiting
    assert simulator.books.accepted == []


async def test_one_of_two_who_wait_goes_away(
    lab: ModelsLab, simulator: Simulator, png: Path
) -> None:
    """
    An upload that another wants goes on.
    """
    simulator.next("upload", Fault.RESET_BEFORE)
    one = asyncio.create_task(lab.generate(restyled(png, 1)))
    other = asyncio.create_task(lab.generate(restyled(png, 2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    one.cancel()

    assert (await other).images
    assert len(simulator.books.accepted) == 1


async def test_two_files_of_one_content(
    lab: ModelsLab, simulator: Simulator, png: Path
) -> None:
    """
    Where one of them is gone, the other is uploaded.
    """
    twin = png.with_name("b.png")
    twin.write_bytes(png.read_bytes())
    gone, there = restyled(png, 1), restyled(twin, 2)
    png.unlink()

    failed, done = await asyncio.gather(
        lab.generate(gone), lab.generate(there), return_exceptions=True
    )

    assert isinstance(failed, SpecError)
    assert isinstance(done, Generation)


async def test_a_few_at_once(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    However many are wanted, a few go up at once: each takes memory.
    """
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(number))
    simulator.next("upload", Fault.SILENCE, times=8)

    waiting = [asyncio.create_task(lab.upload(path)) for path in paths]
    await asyncio.sleep(0.3)

    assert len(simulator.books.uploads) <= 8
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


# Batches


async def test_a_batch_of_files(
    lab: ModelsLab, simulator: Simulator, png: Path, tmp_path: Path
) -> None:
    """
    A batch uploads what it needs; run again, it needs nothing.
    """
    specs = [restyled(png, number) for number in range(6)]
    out = tmp_path / "out"

    outcomes = await lab.batch(specs, output=out)
    again = await lab.batch(specs, output=out)

    assert all(outcome.unwrap().images for outcome in outcomes)
    assert [outcome.paths for outcome in again] == [
        outcome.paths for outcome in outcomes
    ]
    assert len(simulator.books.accepted) == 6
    assert len(simulator.books.uploads) == 1
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    assert line["spec"]["init_image"] == {
        "path": str(png),
        "sha256": simulator.books.uploads[0].sha256,
    }


async def test_a_batch_whose_inputs_moved(
    lab: ModelsLab, simulator: Simulator, png: Path, tmp_path: Path
) -> None:
    """
    The same picture in another place is the same item.
    """
    out = tmp_path / "out"
    await lab.batch([restyled(png)], output=out)
    moved = png.rename(tmp_path / "moved.png")

    (outcome,) = await lab.batch([restyled(moved)], output=out)

    assert outcome.paths
    assert len(simulator.books.accepted) == 1


async def test_a_batch_whose_inputs_changed(
    lab: ModelsLab, simulator: Simulator, png: Path, tmp_path: Path
) -> None:
    """
    Another picture under the same item key is told before any request.
    """
    out = tmp_path / "out"
    await lab.batch([restyled(png)], output=out, items=["mine"])
    png.write_bytes(picture(9))

    with pytest.raises(JournalError) as caught:
        await lab.batch([restyled(png)], output=out, items=["mine"])

    assert caught.value.reason == "mismatch"
    assert len(simulator.books.accepted) == 1


async def test_a_paid_job_needs_its_input_no_more(
    simulator: Simulator, png: Path, tmp_path: Path
) -> None:
    """
    A job that was accepted is fetched, though its picture is gone.
    """
    out = tmp_path / "out"
    simulator.change(latency=Latency.constant(30.0))
    async with client(simulator) as lab:
        batch = lab.batch([restyled(png)], output=out)
        async with batch:
            while not simulator.books.accepted:
                await asyncio.sleep(0.01)
    spec = restyled(png)
    png.unlink()
    simulator.change(latency=Latency.constant(1.0))

    async with client(simulator) as lab:
        (outcome,) = await lab.batch([spec], output=out)

    assert outcome.unwrap().images
    assert len(simulator.books.accepted) == 1


async def test_a_bad_file_fails_its_item_only(
    lab: ModelsLab, simulator: Simulator, png: Path, tmp_path: Path
) -> None:
    """
    One file that is gone is one outcome; put back, it is asked for.
    """
    other = png.with_name("b.png")
    other.write_bytes(picture(3))
    specs = [restyled(png, 1), restyled(other, 2), restyled(png, 3)]
    data = other.read_bytes()
    other.unlink()

    outcomes = await lab.batch(specs, output=tmp_path / "out")
    other.write_bytes(data)
    again = await lab.batch(specs, output=tmp_path / "out")

    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        SpecError,
        type(None),
    ]
    assert all(outcome.unwrap().images for outcome in again)
    assert len(simulator.books.accepted) == 3


async def test_a_batch_waits_for_its_uploads(
    simulator: Simulator, png: Path
) -> None:
    """
    An outage of uploads fails no item of a batch.
    """
    simulator.next("upload", Fault.UNAVAILABLE, times=4)
    policy = RetryPolicy(attempts=2)

    async with client(simulator, retry=policy) as lab:
        outcomes = await lab.batch([restyled(png, n) for n in range(3)])

    assert all(outcome.unwrap().images for outcome in outcomes)


async def test_a_batch_uploads_a_few_ahead(tmp_path: Path) -> None:
    """
    While slots are taken, the pictures of the next few items go up, no more.

    Four or five: uploads overtake each other, and the feeder waits for the
    first item, which need not be the one that took the slot.
    """
    async with (
        Simulator(
            slots=1, latency=Latency.constant(60.0), pictures="plain"
        ) as simulator,
        client(simulator, slots=1) as lab,
    ):
        specs = []
        for number in range(9):
            path = tmp_path / f"{number}.png"
            path.write_bytes(picture(number))
            specs.append(restyled(path))
        async with lab.batch(specs) as batch:
            while len(simulator.books.uploads) < 4 or not (
                simulator.books.accepted
            ):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)

            progress = batch.progress

    assert len(simulator.books.uploads) in {4, 5}
    assert progress.in_flight <= 5
    assert len(simulator.books.accepted) == 1


@pytest.mark.parametrize("uploads", [True, False])
async def test_slow_uploads_hold_up_nobody(
    simulator: Simulator, tmp_path: Path, uploads: bool
) -> None:
    """
    A picture that does not go up idles no slot: the items behind it pass,
    with pictures of their own or without.
    """
    paths = [tmp_path / f"{number}.png" for number in range(30)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(number))
    slow = [restyled(path) for path in paths[:3]]
    others: list[Spec] = [restyled(path) for path in paths[3:]]
    if not uploads:
        others = [
            TextToImage(f"a cat {number}", model_id="flux")
            for number in range(27)
        ]
    simulator.next("upload", Fault.SILENCE, times=3)

    async with (
        client(simulator, slots=2) as lab,
        lab.batch([*slow, *others]) as batch,
    ):
        outcomes = [await anext(batch) for _ in others]

    # Whichever three uploads came first.
    assert len({outcome.index for outcome in outcomes}) == 27
    assert all(outcome.ok for outcome in outcomes)


# Every endpoint


@pytest.mark.parametrize("kind", SPECS.values(), ids=list(SPECS))
async def test_every_endpoint(
    lab: ModelsLab, simulator: Simulator, png: Path, kind: type[Spec]
) -> None:
    """
    A local picture goes in, a picture comes out, and nothing is remarked.
    """
    sample: dict[str, object] = next(
        body for name, _, _, body in SAMPLES if name == kind.__name__
    )
    inputs = {
        name: [png] if isinstance(sample[name], list) else png
        for name in picture_parameters(kind)
        if name in sample
    }
    spec = from_dict({"endpoint": kind.endpoint.name} | sample | inputs)

    generation = await lab.generate(spec, timeout=30)
    data = await lab.read(generation.images[0])

    (entry,) = simulator.books.accepted
    assert Image.open(BytesIO(data)).width > 0
    # The page's own sample has a step more than its table allows.
    assert [one for one in entry.remarks if not one.startswith("steps")] == []
    assert entry.endpoint == kind.endpoint.path
    assert len(simulator.books.uploads) == bool(inputs)


# Models


async def test_closed_before_it_is_read(lab: ModelsLab, png: Path) -> None:
    """
    An upload that has not begun when its client closes says so.
    """
    uploading = asyncio.create_task(lab.upload(png))
    await asyncio.sleep(0)
    await lab.aclose()

    with pytest.raises(ClientClosedError):
        await uploading


async def test_models(lab: ModelsLab, simulator: Simulator) -> None:
    """
    The public models, asked for once, and searched here.
    """
    models = await lab.models()
    flux = await lab.models("FLUX")
    none = await lab.models("no such model")

    assert all(isinstance(model, Model) for model in models)
    assert {"flux", "sdxl"} <= {model.model_id for model in models}
    assert flux
    assert all("flux" in str(model.raw).casefold() for model in flux)
    assert none == ()
    assert sum(simulator.books.calls.values()) == 1


async def test_models_refused(simulator: Simulator) -> None:
    """
    A list that cannot be had is an error of ours, and asked for again.
    """
    simulator.next("call", Fault.UNAVAILABLE, times=5)
    async with client(simulator) as lab:
        with pytest.raises(ServerError):
            await lab.models()

        assert await lab.models("flux")
