"""
The pictures: where they are, when, and what is in them.
"""

from __future__ import annotations

import base64
import io

from typing import Any

import attrs
import pytest

from asking import BRIEF, asking
from PIL import Image

from modelslab_async.simulator import drawing
from modelslab_async.simulator._picture import Picture


pytestmark = pytest.mark.asyncio

LIGHTHOUSE = Picture(
    prompt="a lighthouse at dusk",
    negative_prompt="",
    model_id="flux",
    width=128,
    height=64,
    seed=7,
    index=0,
)
_PROMPTS = (
    "hill",
    "sea",
    "city",
    "space",
    "flower",
    "wind",
    "pattern",
    "lantern",
    "nothing that is known",
    "猫と灯台の夜",
    "\ud83d half a pair",
    "\x00\x1b[31m",
    "",
    "averylongwordwithoutanyspacesinit" * 9,
    "many words " * 90,
)


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("prompt", _PROMPTS)
@pytest.mark.parametrize("size", [(64, 64), (128, 72), (72, 200)])
async def test_any_prompt_is_drawn(prompt: str, size: tuple[int, int]) -> None:
    """
    Whatever the prompt, the picture can be opened and has the size that was
    asked for.
    """
    width, height = size
    subject = attrs.evolve(
        LIGHTHOUSE, prompt=prompt, width=width, height=height
    )

    image = _opened(drawing.drawn(subject))

    assert image.size == size
    assert len(set(image.convert("RGB").resize((8, 8)).tobytes())) > 8


async def test_same_request_same_bytes() -> None:
    """
    The same request and seed give the same bytes.
    """
    first = drawing.drawn(LIGHTHOUSE)

    second = drawing.drawn(attrs.evolve(LIGHTHOUSE))

    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a lighthouse at dawn"},
        {"negative_prompt": "fog"},
        {"model_id": "sdxl"},
        {"seed": 8},
        {"index": 1},
    ],
)
async def test_other_request_other_picture(change: dict[str, Any]) -> None:
    """
    Whatever differs in the request, the picture differs.
    """
    one = _opened(drawing.drawn(LIGHTHOUSE)).convert("RGB")

    other = drawing.drawn(attrs.evolve(LIGHTHOUSE, **change))

    assert one.tobytes() != _opened(other).convert("RGB").tobytes()


async def test_formats() -> None:
    """
    Most pictures are JPEG, some PNG, and the extension says which.
    """
    subjects = [attrs.evolve(LIGHTHOUSE, seed=seed) for seed in range(40)]

    formats = [_opened(drawing.drawn(each)).format for each in subjects]

    said = [each.extension.replace("jpg", "jpeg") for each in subjects]
    assert [each.lower() for each in formats if each] == said
    assert formats.count("JPEG") > formats.count("PNG") > 0


@pytest.mark.parametrize(
    ("how", "colours"),
    [
        ("black", range(1, 2)),
        ("sensitive_content_text", range(2, 300)),
        ("pixelate", range(20, 145)),
        ("blur", range(300, 9000)),
    ],
)
async def test_hidden(how: str, colours: range) -> None:
    """
    What is not safe to see is black, blank with a word on it, coarse or
    blurred.
    """
    subject = attrs.evolve(LIGHTHOUSE, hidden=how)

    image = _opened(drawing.drawn(subject))

    found = image.getcolors(maxcolors=128 * 64)
    assert found is not None
    assert len(found) in colours
    assert image.format == "PNG"


async def test_plain() -> None:
    """
    A plain picture is a PNG of one colour, made without Pillow.
    """
    image = _opened(drawing.plain(LIGHTHOUSE))

    assert image.size == (128, 64)
    assert image.getcolors() == [(128 * 64, image.getpixel((0, 0)))]


async def test_pillow_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without Pillow the simulator does not start, and says what to install.
    """
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)

    with pytest.raises(ImportError, match=r"modelslab-async\[simulator\]"):
        async with asking(pictures="drawn"):
            pass


async def test_downloaded() -> None:
    """
    Each of the pictures can be had from its link and from its proxy link,
    drawn, with the type that it is.
    """
    async with asking(pictures="drawn", proxy_links="list") as asker:
        body = (await asker.submit(samples=4, width=64, height=64)).body
        files = [await asker.get(link) for link in body["output"]]
        proxies = [await asker.get(link) for link in body["proxy_links"]]

    kinds = [
        f"image/{str(_opened(each.body).format).lower()}" for each in files
    ]
    assert [each.kind for each in files] == kinds
    assert [each.body for each in proxies] == [each.body for each in files]
    assert len({each.body for each in files}) == 4


async def test_link_before_the_end() -> None:
    """
    A foretold link is a page of HTML until its job has ended.
    """
    async with asking(latency=1e6) as asker:
        body = (await asker.submit()).body

        reply = await asker.get(body["future_links"][0])

    assert (reply.status, reply.kind) == (404, "text/html")


async def test_link_of_failed_job() -> None:
    """
    A failed job has no file.
    """
    async with asking(failures=1, **BRIEF) as asker:
        body = (await asker.submit()).body
        await asker.ended(body["id"])

        reply = await asker.get(body["future_links"][0])

    assert reply.status == 404


async def test_late_link() -> None:
    """
    A late link is missing for its time after success, and then there.
    """
    async with asking(late_links=30) as asker:
        link = (await asker.submit()).body["output"][0]

        early = await asker.get(link)
        asker.simulator.change(late_links=0)
        late = await asker.get(link)

    assert (early.status, late.status) == (404, 200)


@pytest.mark.parametrize(("speed", "status"), [(1, 200), (1e9, 404)])
async def test_temporary_file(speed: float, status: int) -> None:
    """
    A temporary file lies under /temp/ and is gone after a day of the
    simulator's.
    """
    async with asking(speed=speed) as asker:
        link = (await asker.submit(temp="yes")).body["output"][0]

        reply = await asker.get(link)

    assert "/temp/" in link
    assert reply.status == status


@pytest.mark.parametrize(
    "change",
    [
        ("generations/0-", "generations/7-"),
        ("generations/0-", "generations/x-"),
        ("generations/", "temp/"),
        ("/0-", "/0-0"),
    ],
)
async def test_wrong_link(change: tuple[str, str]) -> None:
    """
    A link that was never given leads nowhere.
    """
    async with asking() as asker:
        link = (await asker.submit()).body["output"][0]

        reply = await asker.get(link.replace(*change))

    assert reply.status == 404


@pytest.mark.parametrize("style", ["link", "link-uri"])
async def test_base64_link(style: str) -> None:
    """
    base64 gives the link of a text file: plain, or a data URI.
    """
    async with asking(base64=style) as asker:
        link = (await asker.submit(base64="yes")).body["output"][0]
        reply = await asker.get(link)

    assert link.endswith("-0.base64")
    assert reply.kind == "text/plain"
    head, _, text = reply.body.rpartition(b",")
    assert bool(head) is (style == "link-uri")
    assert _opened(base64.b64decode(text)).format == "PNG"


@pytest.mark.parametrize("style", ["inline", "inline-uri"])
async def test_base64_inline(style: str) -> None:
    """
    base64 can also give the text itself.
    """
    async with asking(base64=style) as asker:
        text = (await asker.submit(base64=True)).body["output"][0]

    head, _, rest = text.rpartition(",")
    expected = "data:image/png;base64" if style == "inline-uri" else ""
    assert head == expected
    assert _opened(base64.b64decode(rest)).format == "PNG"


@pytest.mark.parametrize(
    ("flagged", "checker", "flag"),
    [(True, "yes", True), (False, "yes", None), (True, "no", False)],
)
async def test_nsfw(flagged: bool, checker: str, flag: bool | None) -> None:
    """
    The reply says that pictures were blanked, unless it is told not to, or
    the request switched the checker off.
    """
    async with asking(nsfw="cat", nsfw_flag=flagged) as asker:
        reply = await asker.submit("a cat", safety_checker=checker)

    assert reply.body.get("nsfw_content_detected") is flag


async def test_nsfw_fetched() -> None:
    """
    A fetch says that pictures were blanked, though it says little else.
    """
    async with asking(nsfw="cat", **BRIEF) as asker:
        job_id = (await asker.submit("a cat")).body["id"]

        reply = await asker.ended(job_id)

    assert reply.body["nsfw_content_detected"] is True


async def test_few_pictures_kept() -> None:
    """
    Not all pictures are kept, and one that was dropped is made again alike.
    """
    async with asking(slots=100) as asker:
        links = [
            (await asker.submit(seed=seed)).body["output"][0]
            for seed in range(40)
        ]
        first = await asker.get(links[0])
        for link in links:
            await asker.get(link)
        again = await asker.get(links[0])

    assert again.body == first.body
    assert len(asker.simulator._files._drawn) == 32
