"""
What generations, pictures and batches look like in a notebook.
"""

from __future__ import annotations

import ast
import base64
import json
import pickle
import re
import struct
import zlib

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from modelslab_async import (
    FailedOutcome,
    FinishedOutcome,
    Generation,
    Image,
    ModelsLab,
    Outcome,
    TextToImage,
    media_type,
)
from modelslab_async.errors import (
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
)
from modelslab_async.simulator import Simulator


ROOT = Path(__file__).parent.parent
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
CAT = TextToImage("a cat", model_id="flux", seed=3)


def html_of(shown: Any) -> str:
    """
    What a notebook asks for.
    """
    text = shown._repr_html_()
    assert isinstance(text, str)
    return text


def test_a_picture_is_shown_by_its_link() -> None:
    """
    A link is shown as it is, and cannot leave its attribute.
    """
    link = 'https://a.example/x.png?a=1&b="><script>'

    assert 'src="https://a.example/x.png?a=1&amp;b=&quot;&gt;' in html_of(
        Image(0, link)
    )


def test_a_picture_that_came_with_the_answer() -> None:
    """
    What the service sent itself needs no link.
    """
    coded = base64.b64encode(PNG).decode()

    assert f"data:image/png;base64,{coded}" in html_of(
        Image(0, None, data=PNG)
    )


def test_a_picture_that_is_nowhere() -> None:
    """
    Where there is nothing to show, that is said.
    """
    assert "Image(" in html_of(Image(0, None))
    assert "<img" not in html_of(Image(0, "https://a.example/x.base64"))


@pytest.mark.parametrize(
    ("data", "suffix", "kind"),
    [
        (PNG, ".png", "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 9, ".jpg", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", ".webp", "image/webp"),
        (b"GIF89a" + b"\0" * 9, ".gif", "image/gif"),
        (b"hello", None, None),
        (None, None, None),
    ],
)
def test_what_a_picture_is(
    data: bytes | None, suffix: str | None, kind: str | None
) -> None:
    """
    Its bytes tell, also alone; a link tells nothing.
    """
    image = Image(0, "https://a.example/x.png", data=data)

    assert (image.suffix, image.media_type) == (suffix, kind)
    assert media_type(data or b"") == kind


def test_a_generation_shows_its_pictures() -> None:
    """
    All pictures, and the seed to ask for them again.
    """
    images = (Image(0, "https://a/0.png"), Image(1, "https://a/1.png"))
    shown = html_of(Generation("17", None, images, seed=9))

    assert shown.count("<img") == 2
    assert "job 17 · seed 9" in shown
    assert "None" not in html_of(Generation(None, None, images))


@pytest.mark.asyncio
async def test_a_batch_shows_how_it_stands(lab: ModelsLab) -> None:
    """
    A bar, and the counts beside it.
    """
    endless = html_of(lab.batch(one for one in [CAT]))
    async with lab.batch([CAT]) as batch:
        before = html_of(batch)
        async for _ in batch:
            pass

    assert "<progress></progress>" in endless
    assert '<progress value="0" max="1">' in before
    assert '<progress value="1" max="1"></progress> Batch 1 done' in html_of(
        batch
    )


@pytest.mark.asyncio
async def test_a_picture_for_pillow(lab: ModelsLab) -> None:
    """
    A picture as Pillow has it, of the size that was asked for.
    """
    generation = await lab.generate(CAT)
    picture = await lab.pil(generation.images[0])

    assert isinstance(picture, PIL.Image.Image)
    assert picture.size == (512, 512)


@pytest.mark.asyncio
async def test_what_pillow_cannot_read(lab: ModelsLab) -> None:
    """
    A file that ends as a picture does, and is none inside, is told by an
    error of ours.
    """
    size = struct.pack(">II", 8, 8) + b"\x08\2\0\0\0"
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", size),
            (b"IDAT", b"no zlib"),
            (b"IEND", b""),
        )
    )

    with pytest.raises(DownloadError, match="Pillow cannot read it"):
        await lab.pil(Image(0, None, data=data))


@pytest.mark.asyncio
async def test_without_pillow(
    lab: ModelsLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where there is no Pillow, what to install is said before anything is
    loaded.
    """
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)

    with pytest.raises(ConfigurationError, match="pip install pillow"):
        await lab.pil(Image(0, "https://a.example/x.png"))


@pytest.mark.asyncio
async def test_an_outcome_is_one_of_two(
    simulator: Simulator, lab: ModelsLab
) -> None:
    """
    What has pictures, and what has none, are two classes of one; they survive
    a pickle.
    """
    simulator.change(failing="a dog")
    dog = TextToImage("a dog", model_id="flux")
    good, bad = await lab.batch([CAT, dog])

    assert (type(good), type(bad)) == (FinishedOutcome, FailedOutcome)
    assert isinstance(good, Outcome)
    assert (good.ok, bad.ok) == (True, False)
    assert pickle.loads(pickle.dumps(good)) == good
    assert pickle.loads(pickle.dumps(bad)).index == bad.index
    match bad:
        case FailedOutcome(error=error):
            assert isinstance(error, GenerationFailedError)


@pytest.mark.asyncio
async def test_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The example notebook runs from top to bottom, and each last line that has
    a look of its own shows it.
    """
    text = (ROOT / "examples" / "notebook.ipynb").read_text()
    monkeypatch.chdir(tmp_path)

    shown = await _run(
        "".join(cell["source"])
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "code"
    )

    assert len(list((tmp_path / "notebook" / "images").iterdir())) == 2
    assert ["<img" in shown[0], "<progress" in shown[1]] == [True, True]


@pytest.mark.asyncio
async def test_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    So do the cells of the page about notebooks.
    """
    text = (ROOT / "docs" / "notebook.md").read_text()
    monkeypatch.chdir(tmp_path)

    shown = await _run(
        re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    )

    assert len(list((tmp_path / "notebook" / "images").iterdir())) == 3
    assert ["<img" in one for one in shown] == [True, False, True]
    assert "<progress" in shown[1]


async def _run(cells: Iterable[str]) -> list[str]:
    """
    What a notebook shows of these that has a look of its own.
    """
    names: dict[str, Any] = {}
    shown: list[str] = []
    for cell in cells:
        fast = cell.replace("speed=20", "speed=100")
        found = await _run_cell(fast, names)
        if hasattr(found, "_repr_html_"):
            shown.append(html_of(found))
    return shown


async def _run_cell(source: str, names: dict[str, Any]) -> Any:
    """
    What a notebook makes of a cell: the value of its last line.
    """
    tree = ast.parse(source)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        target = ast.Name("_", ast.Store())
        tree.body[-1] = ast.Assign([target], last.value)
        ast.fix_missing_locations(tree)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(tree, "cell", "exec", flags)
    names["_"] = None
    running = eval(code, names)
    if running is not None:
        await running
    return names["_"]
