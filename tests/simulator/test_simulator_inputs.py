"""
The pictures that come with a request, and what is done to them.
"""

from __future__ import annotations

import asyncio
import base64
import io

from typing import Any

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer
from asking import Asker, asking, opened, png, uri
from PIL import Image, ImageChops, ImageDraw

from modelslab_async.simulator import Edit, Simulator
from modelslab_async.simulator._inputs import picture_size


pytestmark = pytest.mark.asyncio

REPAINT = "v6/realtime/inpaint"
CUT_OUT = "v6/image_editing/removebg_mask"
ENLARGE = "v6/image_editing/super_resolution"


def person(size: int = 128, form: str = "PNG") -> bytes:
    """
    Somebody in red before a light ground.
    """
    image = Image.new("RGB", (size, size), (210, 215, 220))
    draw = ImageDraw.Draw(image)
    share = size / 8
    draw.ellipse((3 * share, share, 5 * share, 3 * share), fill=(190, 30, 40))
    draw.rectangle((2 * share, 3 * share, 6 * share, size), fill=(190, 30, 40))
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def half_mask(size: int = 128) -> bytes:
    """
    The right half is white.
    """
    image = Image.new("L", (size, size))
    image.paste(255, (size // 2, 0, size, size))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def changed(image: Image.Image, box: tuple[int, int, int, int]) -> float:
    """
    How much of a part differs clearly from the person before.
    """
    before = opened(person()).convert("RGB")
    apart = ImageChops.difference(image.convert("RGB"), before).convert("L")
    part = apart.crop(box)
    return sum(part.histogram()[40:]) / (part.width * part.height)


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    """
    The colour of one.
    """
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


async def made(asker: Asker, path: str, **body: Any) -> Image.Image:
    """
    What an endpoint makes, as a picture.
    """
    reply = await asker.ask(path, **body)
    assert reply.body["status"] == "success", reply.body
    return opened((await asker.get(reply.body["output"][0])).body)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_sizes_are_read(form: str) -> None:
    """
    The size of any usual picture is known without opening it.
    """
    file = io.BytesIO()
    Image.new("RGB", (90, 50)).save(file, form)

    assert picture_size(file.getvalue()) == (90, 50)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif"}])
async def test_sizes_of_webp(options: dict[str, Any]) -> None:
    """
    So with the other two kinds of WebP.
    """
    file = io.BytesIO()
    Image.new("RGB", (90, 50)).save(file, "WEBP", **options)

    assert picture_size(file.getvalue()) == (90, 50)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WEBPVP"],
)
async def test_no_picture_has_no_size(data: bytes) -> None:
    """
    What is no picture, or only begins like one, has no size.
    """
    assert picture_size(data) is None


@pytest.mark.parametrize(
    "source",
    [
        "",
        "data:image/png;base64,%%%",
        "data:image/png,plain",
        uri(b"no picture"),
        "no picture either",
        uri(png())[:-40].replace("data:image/png;base64,iVB", "data:x,"),
    ],
)
async def test_no_picture(source: str) -> None:
    """
    What is no picture is refused as the documentation says, and no job is
    begun.
    """
    async with asking() as asker:
        reply = await asker.ask(CUT_OUT, image=source)

    assert reply.body["status"] == "error"
    assert asker.simulator.books.jobs == {}
    expected = "Unable to fetch image from provided URL"
    if source:
        assert reply.body["message"] == expected
        assert asker.simulator.books.refusals == {"image": 1}


@pytest.mark.parametrize(
    "source", [uri(person()), base64.b64encode(person()).decode()]
)
async def test_text_is_decoded(source: str) -> None:
    """
    A picture can come as a data URI, or as bare base64.
    """
    async with asking() as asker:
        image = await made(asker, CUT_OUT, image=source)

    assert image.size == (128, 128)


async def test_own_result_is_taken() -> None:
    """
    What the service made can be given to it again, and is no download.
    """
    async with asking() as asker:
        reply = await asker.submit(width=320, height=192)
        link = reply.body["output"][0]

        image = await made(asker, ENLARGE, init_image=link, scale=2)

    assert image.size == (640, 384)
    first, _ = asker.simulator.books.jobs.values()
    assert first.downloads == 0


async def test_own_result_that_is_not_there() -> None:
    """
    A link of the service's own that leads nowhere is refused.
    """
    async with asking(latency=1e6, slots=9) as asker:
        link = (await asker.submit()).body["future_links"][0]
        early = await asker.ask(CUT_OUT, image=link)
        origin = asker.simulator.origin
        never = await asker.ask(CUT_OUT, image=f"{origin}/nowhere.png")

    assert early.body["status"] == never.body["status"] == "error"


async def test_elsewhere_on_this_machine() -> None:
    """
    A picture of another server on loopback is fetched; what that server does
    not have is refused.
    """

    async def picture(request: web.Request) -> web.Response:
        return web.Response(body=person(96), content_type="image/png")

    app = web.Application()
    app.router.add_get("/person.png", picture)
    async with TestServer(app) as server, asking() as asker:
        image = await made(
            asker, CUT_OUT, image=str(server.make_url("/person.png"))
        )
        missing = await asker.ask(
            CUT_OUT, image=str(server.make_url("/other.png"))
        )

    assert image.size == (96, 96)
    assert missing.body["status"] == "error"


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9", "localhost:9"])
async def test_nobody_is_there(host: str) -> None:
    """
    Where nobody answers there is no picture.
    """
    async with asking() as asker:
        reply = await asker.ask(CUT_OUT, image=f"http://{host}/a.png")

    assert reply.body["status"] == "error"


async def test_the_world_is_left_alone() -> None:
    """
    A link into the world is taken for some picture: nobody is asked.
    """
    async with asking(pictures="drawn") as asker:
        image = await made(
            asker, CUT_OUT, image="https://somewhere.example/cat.jpg"
        )

    assert image.size == (768, 512)


async def test_the_slots_come_first() -> None:
    """
    With no slot left nobody looks at the pictures.
    """
    async with asking(slots=1, latency=1e6) as asker:
        await asker.submit()

        reply = await asker.ask(CUT_OUT, image="no picture")

    assert "queued requests" in reply.body["message"]


async def test_removed_background() -> None:
    """
    The background is seen through, and grey for who looks without alpha; the
    subject is what it was.
    """
    async with asking(pictures="drawn") as asker:
        image = await made(asker, CUT_OUT, image=uri(person()))

    assert (image.format, image.mode) == ("PNG", "RGBA")
    *colour, alpha = pixel(image, 4, 4)
    assert alpha == 0
    assert max(colour) - min(colour) < 6
    assert image.getpixel((64, 90)) == (190, 30, 40, 255)


async def test_mask_of_the_background() -> None:
    """
    Only the mask can be had, and the other way round.
    """
    async with asking(pictures="drawn") as asker:
        source = uri(person())
        mask = await made(asker, CUT_OUT, image=source, only_mask=True)
        other = await made(
            asker, CUT_OUT, image=source, only_mask=True, inverse_mask=True
        )

    assert mask.mode == "RGB"
    assert mask.getpixel((64, 90)) == other.getpixel((4, 4)) == (255,) * 3
    assert mask.getpixel((4, 4)) == other.getpixel((64, 90)) == (0,) * 3


@pytest.mark.parametrize("pictures", ["drawn", "plain"])
@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({}, 192),
        ({"scale": 2}, 128),
        ({"scale": 3, "model_id": "RealESRGAN_x4plus"}, 256),
        ({"scale": 3, "model_id": "RealESRGAN_x2plus"}, 128),
        ({"scale": 99}, 512),
    ],
)
async def test_enlarged(
    pictures: str, body: dict[str, Any], size: int
) -> None:
    """
    A super resolution is larger by what was asked for, or by what its model
    rules; meta says by how much.
    """
    async with asking(pictures=pictures) as asker:
        source = uri(person(64))
        reply = await asker.ask(ENLARGE, init_image=source, **body)
        link = reply.body["output"][0]
        image = opened((await asker.get(link)).body)

    assert image.size == (size, size)
    assert reply.body["meta"]["upscale_factor"] == size // 64
    assert link.endswith("_out.png")


async def test_repainted_where_the_mask_is() -> None:
    """
    Inpainting changes what is white in the mask, and nothing else but the
    words on the lower edge.
    """
    async with asking(pictures="drawn") as asker:
        image = await made(
            asker,
            REPAINT,
            prompt="sea",
            init_image=uri(person()),
            mask_image=uri(half_mask()),
        )

    assert changed(image, (0, 0, 52, 70)) < 0.01
    assert changed(image, (76, 0, 128, 70)) > 0.5


@pytest.mark.parametrize("strength", [0.0, 1.0])
async def test_strength(strength: float) -> None:
    """
    With no strength a picture stays as it is, with all of it little is left.
    """
    async with asking(pictures="drawn") as asker:
        image = await made(
            asker,
            "v6/realtime/img2img",
            prompt="fire",
            strength=strength,
            init_image=uri(person()),
            seed=3,
        )

    share = changed(image, (0, 0, 128, 70))
    assert (share < 0.01) is (strength == 0.0)


async def test_face_put_on() -> None:
    """
    A face swap puts the other picture where the face is, and its watermark
    can be left out.
    """
    async with asking(pictures="drawn") as asker:
        body = {
            "init_image": uri(png(256, 256, "white")),
            "target_image": uri(png(256, 256, "green")),
        }
        path = "v6/faceswap/multiple_face_swap"
        marked = await made(asker, path, **body)
        clean = await made(asker, path, **body, watermark=False)

    assert clean.format == "JPEG"
    red, green, _ = pixel(clean, 128, 97)
    assert red < 40
    assert green > 100
    assert clean.getpixel((128, 16)) == (255, 255, 255)
    assert marked.crop((40, 8, 216, 26)).getcolors() != [
        (176 * 18, (255, 255, 255))
    ]


@pytest.mark.parametrize(
    ("path", "body", "size"),
    [
        ("v6/image_editing/outpaint", {"image": uri(png())}, (1280, 720)),
        (
            "v7/images/text-to-image",
            {"prompt": "a", "aspect_ratio": "9:16"},
            (576, 1024),
        ),
        (
            "v7/images/text-to-image",
            {"prompt": "a", "aspect_ratio": "wide"},
            (1024, 1024),
        ),
        (
            "v7/images/text-to-image",
            {"prompt": "a", "width": 768, "height": 512},
            (768, 512),
        ),
        (
            "v6/interior/make",
            {"prompt": "a", "init_image": uri(png(2048, 1024))},
            (1024, 512),
        ),
        (
            "v6/images/img2img",
            {
                "prompt": "a",
                "model_id": "flux",
                "init_image": uri(png(200, 300)),
                "height": 256,
            },
            (200, 256),
        ),
        ("v6/realtime/text2img", {"prompt": "a"}, (512, 512)),
        (
            "v6/image_editing/qwen_edit",
            {"prompt": "a", "init_image": [uri(png())]},
            (1024, 1024),
        ),
    ],
)
async def test_sizes(
    path: str, body: dict[str, Any], size: tuple[int, int]
) -> None:
    """
    A result is as large as was asked for, as its input, or as its endpoint
    makes them.
    """
    async with asking() as asker:
        image = await made(asker, path, **body)

    assert image.size == size


async def test_broken_picture_is_painted_over() -> None:
    """
    A picture whose head is right and whose rest is not stops nothing.
    """
    broken = person()[:200]
    async with asking(pictures="drawn") as asker:
        image = await made(asker, CUT_OUT, image=uri(broken))

    assert image.size == (128, 128)


async def test_same_input_same_bytes() -> None:
    """
    The same pictures, prompt and seed give the same bytes; another picture
    gives others.
    """
    async with asking(pictures="drawn") as asker:
        files = []
        for size in (128, 128, 96):
            reply = await asker.ask(
                "v6/realtime/img2img",
                prompt="fire",
                init_image=uri(person(size)),
                width=128,
                height=128,
                seed=3,
            )
            files.append((await asker.get(reply.body["output"][0])).body)

    assert files[0] == files[1] != files[2]


async def test_pictures_are_short_in_the_books() -> None:
    """
    A picture in a request is its beginning and its hash in the books.
    """
    data = uri(person(256))
    async with asking() as asker:
        await asker.ask(
            "v6/image_editing/qwen_edit", prompt="a", init_image=[data] * 2
        )

    (entry,) = asker.simulator.books.entries
    assert len(entry.body) < 400 < len(data)
    pictures: Any = entry.spec["init_image"]
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith("data:image/png;base64,iVBOR")


async def test_all_links_where_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the settings say so, links into the world are followed.
    """
    asked = []

    async def fetched(self: object, url: str) -> bytes | None:
        asked.append(url)
        return person()

    reader = "modelslab_async.simulator._inputs.InputReader._fetched"
    monkeypatch.setattr(reader, fetched)
    async with asking(inputs="fetch") as asker:
        await made(asker, CUT_OUT, image="https://somewhere.example/a.png")

    assert asked == ["https://somewhere.example/a.png"]
    assert isinstance(asker.simulator, Simulator)


async def test_a_picture_is_kept_once() -> None:
    """
    Many jobs with the same picture keep it once.
    """
    source = uri(person())
    async with asking(pictures="drawn", slots=9) as asker:
        for seed in range(3):
            await asker.ask(CUT_OUT, image=source, seed=seed)

        jobs = asker.simulator._jobs._jobs.values()
        kept = {id(job.inputs["image"][0]) for job in jobs}

    assert len(kept) == 1


async def test_orders_while_pictures_are_fetched() -> None:
    """
    An order for one request is met by one, also while pictures are waited
    for; one that is refused anyhow leaves it for the next.
    """
    source = uri(person())
    async with asking(slots=9) as asker:
        asker.simulator.next("submit", Edit({"eta": "soon"}))
        refused = await asker.ask(CUT_OUT, image="no picture")
        replies = await asyncio.gather(
            *(asker.ask(CUT_OUT, image=source) for _ in range(5))
        )

    assert refused.body["status"] == "error"
    etas = [reply.body.get("eta") for reply in replies]
    assert etas.count("soon") == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("v6/images/img2img", {"prompt": "wind", "model_id": "flux"}),
        ("v5/controlnet", {"model_id": "flux", "controlnet_model": "canny"}),
        ("v6/interior/make", {"prompt": "sea", "strength": 7}),
        ("v6/image_editing/outpaint", {"prompt": "hill"}),
        ("v6/image_editing/object_removal", {}),
        ("v6/image_editing/fashion", {"cloth_type": "dresses"}),
        ("v6/image_editing/face_gen", {"prompt": "city", "style": "comic"}),
        ("v6/image_editing/head_shot", {"prompt": "city"}),
        ("v6/image_editing/inpaint", {"prompt": "rose"}),
        ("v6/faceswap/single_face_swap", {}),
        ("v7/images/inpaint", {"prompt": "space"}),
    ],
)
async def test_every_deed_is_seen(path: str, body: dict[str, Any]) -> None:
    """
    Whatever an endpoint does to a picture can be seen on it.
    """
    names = (
        "init_image",
        "image",
        "face_image",
        "target_image",
        "reference_image",
        "cloth_image",
    )
    pictures = dict.fromkeys(names, uri(person()))
    async with asking(pictures="drawn") as asker:
        image = await made(
            asker, path, **pictures, **body, mask_image=uri(half_mask())
        )

    assert changed(image.resize((128, 128)), (0, 0, 128, 80)) > 0.02


@pytest.mark.parametrize(
    "path", ["v5/controlnet", "v6/image_editing/removebg_mask"]
)
async def test_stand_in(path: str) -> None:
    """
    Where nobody looks at a link, some picture is painted in its place; with
    none at all, the prompt alone.
    """
    body = {"model_id": "flux", "controlnet_model": "canny", "prompt": "sea"}
    link = {"init_image": "https://a.example/", "image": "https://a.example/"}
    async with asking(pictures="drawn") as asker:
        image = await made(asker, path, **body, **link)
        alone = await made(asker, "v5/controlnet", **body)

    colours = image.convert("RGB").resize((16, 16)).getcolors()
    assert colours is not None
    assert len(colours) > 8
    assert alone.size == (512, 512)


async def test_many_pictures_are_shown() -> None:
    """
    Further pictures are set into the upper edge.
    """
    green, red = uri(png(64, 64, "green")), uri(png(64, 64, "red"))
    async with asking(pictures="drawn") as asker:
        image = await made(
            asker,
            "v6/image_editing/qwen_edit",
            prompt="put them together",
            init_image=[uri(person()), green, red],
            width=256,
            height=256,
        )

    near, far = pixel(image, 256 - 30, 30), pixel(image, 256 - 90, 30)
    assert near[1] > 90 > near[0]
    assert far[0] > 200 > far[1]
