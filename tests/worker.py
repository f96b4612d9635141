"""
A process that runs one batch, to be killed: ``python worker.py URL DIR N``.

Item n asks for "picture n" with seed n; with a picture at the end of the
command line, of ten kinds of endpoints in turn.  It prints ``begun`` when the
batch is open, and then a line for each outcome.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from collections.abc import Sequence
from pathlib import Path

from modelslab_async import ModelsLab, TextToImage, Timeouts
from modelslab_async.journal import (
    Entry,
    Identity,
    Request,
    SqliteJournal,
    Step,
)
from modelslab_async.specs import Spec, from_dict


#: Ten kinds of endpoints that take a prompt and a seed.
KINDS: list[dict[str, str]] = [
    {"endpoint": "text2img", "model_id": "sdxl"},
    {"endpoint": "realtime_text2img"},
    {"endpoint": "img2img", "model_id": "flux", "init_image": "picture"},
    {"endpoint": "realtime_inpaint", "init_image": "picture",
     "mask_image": "picture"},
    {"endpoint": "text2img_v7", "model_id": "imagen-4"},
    {"endpoint": "qwen_edit", "init_image": "picture"},
    {"endpoint": "controlnet", "model_id": "sdxl",
     "controlnet_model": "canny", "control_image": "picture"},
    {"endpoint": "interior", "init_image": "picture"},
    {"endpoint": "face_gen", "face_image": "picture"},
    {"endpoint": "outpaint", "image": "picture"},
]  # fmt: skip


class DeadlyJournal(SqliteJournal):
    """
    A journal that kills its process just before, or just after, a step is
    committed; steps are the names of states, ``begin`` and ``plan``.
    """

    __slots__ = ()

    where = ""

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        self._die_at("begin:before")
        await super().begin(identity, new_key=new_key)
        self._die_at("begin:after")

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        self._die_at("plan:before")
        planned = await super().plan(items)
        self._die_at("plan:after")
        return planned

    async def move(self, index: int, step: Step) -> Entry:
        name = type(step).__name__.lower()
        self._die_at(f"{name}:before")
        moved = await super().move(index, step)
        self._die_at(f"{name}:after")
        return moved

    def _die_at(self, here: str) -> None:
        if here == self.where:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(
    url: str,
    output: str,
    items: str,
    speed: str,
    where: str = "",
    picture: str = "",
) -> None:
    DeadlyJournal.where = where
    timeouts = Timeouts().faster(float(speed))
    specs = (asked(number, picture) for number in range(int(items)))
    Path(output).mkdir(exist_ok=True)
    journal = await DeadlyJournal.open(Path(output) / "journal.sqlite")
    async with (
        ModelsLab("a-key", base_url=url, timeouts=timeouts) as lab,
        lab.batch(specs, output=output, journal=journal) as batch,
    ):
        say("begun")
        async for outcome in batch:
            say(f"{outcome.index} {type(outcome.error).__name__}")
    await journal.aclose()


def asked(number: int, picture: str) -> Spec:
    """
    What item *number* asks for.
    """
    if not picture:
        return TextToImage(f"picture {number}.", model_id="sdxl", seed=number)
    kind: dict[str, object] = {
        name: Path(picture) if value == "picture" else value
        for name, value in KINDS[number % len(KINDS)].items()
    }
    return from_dict(kind | {"prompt": f"picture {number}.", "seed": number})


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is all that is heard of it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
