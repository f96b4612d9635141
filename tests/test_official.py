"""
Somebody else's client against the simulator: it was not written to please
ours.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import re

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from modelslab_async import ModelsLab, TextToImage
from modelslab_async._protocol.encode import api_url
from modelslab_async.simulator import KeyState, Latency, Simulator


pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20"
)

CAT: dict[str, Any] = {
    "prompt": "a cat",
    "model_id": "flux",
    "width": 256,
    "height": 256,
    "samples": 2,
    "seed": 7,
}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """
    What their package has, which takes a while to import.
    """
    return importlib.import_module("official_client")


def test_it_generates_and_fetches(
    theirs: Any, modelslab_simulator: Simulator
) -> None:
    """
    The official client gets its pictures: the simulator speaks as the
    service does, not as our client expects.
    """
    modelslab_simulator.change(latency=Latency.constant(5.0), hold=0.0)
    community = theirs.official(modelslab_simulator)

    accepted = community.text_to_image(theirs.Text2Image(**CAT))
    fetched = community.fetch(str(accepted["id"]))
    picture = requests.get(fetched["output"][0], timeout=5)

    assert accepted["status"] == "processing"
    assert accepted["fetch_result"].endswith(f"/fetch/{accepted['id']}")
    assert fetched["status"] == "success"
    assert len(fetched["output"]) == 2
    assert picture.content.startswith(b"\x89PNG")


def test_it_is_answered_at_once(
    theirs: Any, modelslab_simulator: Simulator
) -> None:
    """
    A job that ends while its submit is held needs no fetch.
    """
    modelslab_simulator.change(instant=1.0)
    community = theirs.official(modelslab_simulator)

    done = community.text_to_image(theirs.Text2Image(**CAT))

    assert done["status"] == "success"
    assert done["meta"]["seed"] == 7
    assert modelslab_simulator.books.polls == 0


def test_its_own_async_way(
    theirs: Any, modelslab_simulator: Simulator
) -> None:
    """
    Its asyncio half is served as its blocking half is.
    """
    modelslab_simulator.change(instant=1.0)

    async def generate() -> tuple[dict[str, Any], dict[str, Any]]:
        client = theirs.Client("a-key", fetch_timeout=20)
        client.base_url = f"{modelslab_simulator.origin}/api/"
        async with client:
            community = theirs.Community(client)
            done = await community.async_text_to_image(
                theirs.Text2Image(**CAT)
            )
            return done, await community.async_fetch(str(done["id"]))

    done, fetched = asyncio.run(generate())

    assert fetched["output"] == done["output"]


def test_it_is_refused(theirs: Any, modelslab_simulator: Simulator) -> None:
    """
    A no comes with HTTP 200 in the older dialect, and as 401 in the
    documented one, which it can only raise.
    """
    modelslab_simulator.change(keys={"good": KeyState.GOOD})
    community = theirs.official(modelslab_simulator, "bad")

    classic = community.text_to_image(theirs.Text2Image(**CAT))
    modelslab_simulator.change(profile="documented")
    with pytest.raises(Exception, match="401"):
        community.text_to_image(theirs.Text2Image(**CAT))

    assert classic["status"] == "error"
    assert classic["message"] == "Invalid Api Key"


def test_both_get_the_same_pictures(
    theirs: Any,
    modelslab_simulator: Simulator,
    modelslab: ModelsLab,
    tmp_path: Path,
) -> None:
    """
    The same request and seed give the same bytes, whoever asks.
    """
    modelslab_simulator.change(instant=1.0)

    async def ours() -> list[bytes]:
        async with modelslab as lab:
            generation = await lab.generate(TextToImage(**CAT))
            return [await lab.read(image) for image in generation.images]

    done = theirs.official(modelslab_simulator).text_to_image(
        theirs.Text2Image(**CAT)
    )

    assert asyncio.run(ours()) == [
        requests.get(link, timeout=5).content for link in done["output"]
    ]


# The page for who comes from there


GUIDE = Path(__file__).parent.parent / "docs" / "from-modelslab-py.md"


def _its_calls(theirs: Any) -> Iterator[tuple[str, str, str]]:
    """
    Each call of its classes, and what it asks.
    """
    rooms = [
        importlib.import_module(f"{theirs.apis.__name__}.{one.name}")
        for one in pkgutil.iter_modules(theirs.apis.__path__)
    ]
    classes = [
        thing
        for room in rooms
        for thing in vars(room).values()
        if inspect.isclass(thing) and thing.__module__ == room.__name__
    ]
    classes += [
        getattr(theirs.providers, name) for name in theirs.providers.__all__
    ]
    for kind in {*classes, theirs.Client}:
        for name, call in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith(("_", "async_", "get_model_ids")):
                yield kind.__name__, name, inspect.getsource(call)


def test_the_guide_has_each_of_its_calls(theirs: Any) -> None:
    """
    Every class of theirs is on the page, and every call of one that makes
    pictures: beside ours, or said not to be here.
    """
    guide = GUIDE.read_text()
    calls = list(_its_calls(theirs))
    far = {"Audio", "Video", "Three_D"}
    elsewhere = re.compile(r"v7/(video-fusion|voice)/")

    assert len(calls) > 150
    assert {kind for kind, *_ in calls} - {"BaseAPI"} <= set(
        re.findall(r"\w+", guide)
    )
    assert {
        name
        for kind, name, source in calls
        if kind not in far and not elsewhere.search(source)
    } <= set(re.findall(r"\w+", guide))


@pytest.mark.parametrize("number", [0, 1])
def test_the_guides_code_of_before(
    number: int,
    theirs: Any,
    modelslab_simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    What the page shows as code for their package is such.
    """
    before = re.findall(
        r"^```text\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL
    )
    monkeypatch.chdir(tmp_path)

    exec(
        before[number],
        {
            "community": theirs.official(modelslab_simulator),
            "Text2Image": theirs.Text2Image,
            "Path": Path,
            "requests": requests,
            "time": SimpleNamespace(sleep=lambda _: None),
        },
    )

    (entry,) = modelslab_simulator.books.accepted
    assert entry.spec["prompt"] == "a lighthouse"
    assert len(list(tmp_path.iterdir())) == 1 - number
    assert modelslab_simulator.books.downloads == 1 - number


def test_the_guides_enterprise_server(theirs: Any) -> None:
    """
    The base URL that the page names leads where their package asks.
    """
    (base_url,) = re.findall(
        r'ModelsLab\(base_url="(.*?)"\)', GUIDE.read_text()
    )
    client = theirs.Client("a-key")
    server = theirs.Community(client, enterprise=True).base_url

    ours = api_url(base_url, TextToImage.endpoint.path)

    assert ours == f"{server}text2img"
