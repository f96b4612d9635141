"""
What the page on the house says of it is so.
"""

from __future__ import annotations

import functools
import re
import sys
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import attrs
import pytest

from modelslab_async import ModelsLab, TextToImage
from modelslab_async.simulator import Latency, Simulator


ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "modelslab_async"
PAGE = (ROOT / "docs" / "architecture.md").read_text()

JOB = "A job's way"
ITEM = "A batch item's way"
CAT = TextToImage("a cat", model_id="sdxl", seed=1)


def part(title: str) -> str:
    """
    What stands below a title of the page.
    """
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@attrs.frozen
class Station:
    """
    A line of one of the lists.

    Attributes:
        giver: The file that hands on, as the line has it; empty: not said.

        name: File, class and method, the class or the method left out where
            the page does so.
    """

    number: int
    giver: str
    name: str

    def is_met_by(self, file: str, function: str) -> bool:
        """
        Whether a call of that function is what the line tells.
        """
        wanted, *names = self.name.split(".")
        if wanted == "journal":
            wanted, *names = names
        parts = function.split(".")
        return (
            file.lstrip("_") == wanted.lstrip("_")
            and set(names) <= set(parts)
            # A class alone: it is made.
            and parts[-1] in {names[-1], "__init__"}
        )


def stations(title: str) -> list[Station]:
    """
    The numbered lines below a title.
    """
    lines = re.findall(
        r"^(\d+)\. (?:(\w+)? ?→ )?`?([\w.]+)`?(.*)",
        part(title),
        re.MULTILINE,
    )
    return [
        Station(int(number), "" if "by way of" in more else giver, name)
        for number, giver, name, more in lines
    ]


@attrs.frozen
class Met:
    """
    A call of a function of ours, in whichever thread.

    Attributes:
        giver: The file of ours that called, empty where a loop or a thread
            did.
    """

    giver: str
    file: str
    function: str


def file_of(frame: FrameType | None) -> str:
    """
    The file of ours whose code that is; empty for anybody else's.
    """
    return "" if frame is None else stem_of(frame.f_code.co_filename)


@functools.cache
def stem_of(path: str) -> str:
    ours = path.startswith(str(PACKAGE)) and "simulator" not in path
    return Path(path).stem if ours else ""


@contextmanager
def walked() -> Iterator[list[Met]]:
    """
    All calls of functions of ours meanwhile, the simulator's left out.
    """
    met: list[Met] = []

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (file := file_of(frame)):
            function = frame.f_code.co_qualname
            met.append(Met(file_of(frame.f_back), file, function))

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield met
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def missed(title: str, met: list[Met]) -> list[Station]:
    """
    The stations of a list that a walk does not come to, one after the other.
    """
    rest, lost = iter(met), []
    for one in stations(title):
        if not any(
            one.is_met_by(call.file, call.function)
            and ("" in {one.giver, call.giver} or one.giver == call.giver)
            for call in rest
        ):
            lost.append(one)
            break
    return lost


@pytest.mark.asyncio
async def test_a_job_goes_that_way(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A job comes to all stations of its list, in that order.
    """
    simulator.change(hold=0.0, latency=Latency.constant(20.0))

    with walked() as met:
        await lab.generate(CAT)

    assert missed(JOB, met) == []


@pytest.mark.asyncio
async def test_an_item_goes_that_way(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    An item is handed on as its list says, in that order, and by those.
    """
    simulator.change(hold=0.0, latency=Latency.constant(20.0))

    with walked() as met:
        await lab.batch([CAT], output=tmp_path)

    assert missed(ITEM, met) == []


def test_the_lists_are_short() -> None:
    """
    As many stations as the page says, and no more than the house allows
    itself: 18 for a job, 40 for an item to its file.
    """
    job, item = stations(JOB), stations(ITEM)
    there = "disk.TemporaryFile.keep"
    to_the_file = [one.number for one in item if one.name == there]

    assert [one.number for one in job] == list(range(1, 18))
    assert [one.number for one in item] == list(range(1, 42))
    assert to_the_file == [35]
    assert "Seventeen, and the return." in PAGE
    assert "Thirty-five to its file, and six to who waits for it." in PAGE


def drawing() -> str:
    return part("The rooms").split("```text\n")[1].split("```")[0]


def test_all_rooms_are_drawn() -> None:
    """
    Each folder and file at the top of the package is in the drawing.
    """
    drawn = set(re.findall(r"\w+/?", drawing()))
    rooms = {
        f"{one.name}/" if one.is_dir() else one.stem
        for one in PACKAGE.iterdir()
        if one.suffix == ".py" or (one / "__init__.py").exists()
    }

    assert rooms - drawn == {"_version"}


def test_what_is_drawn_is_there() -> None:
    """
    Each file that the drawing, or a rule, names is in the house.
    """
    there = {one.stem for one in PACKAGE.rglob("*.py")}
    there |= {one.name for one in PACKAGE.rglob("*") if one.is_dir()}
    drawn = re.findall(r"(?<=[·→←─] )(\w+)|(\w+)(?= [·→←─])", drawing())
    rules = [
        name
        for line in part("The rules at the doors").split("\n\n")[0].split("\n")
        if line.startswith("| `")
        for name in re.findall(r"`([\w/]+)`", line.split("|")[1])
    ]

    named = {name for pair in drawn for name in pair if name}
    named |= {name.rstrip("/").rpartition("/")[2] for name in rules}
    words = set(map(str, range(11)))
    assert named - there - words == set()


def test_functions_are_called_as_they_are() -> None:
    """
    What the page calls a class or a function of ours is one.
    """
    known = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(
            r"^ *(?:class|(?:async )?def) (\w+)",
            path.read_text(),
            re.MULTILINE,
        )
    }
    called = {
        name.removesuffix("()").rpartition(".")[2]
        for name in re.findall(r"`([\w.]+(?:\(\))?)`", PAGE)
        if name.endswith("()") or re.search(r"(?:^|\.)_?[A-Z][a-z]", name)
    }

    assert len(called) > 20
    assert called - known == set()
