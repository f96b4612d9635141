"""
A process that runs one batch, to be killed: ``python worker.py URL DIR N``.

Item n asks for "picture n" with seed n.  It prints ``begun`` when the batch
is open, and then a line for each outcome.
"""

from __future__ import annotations

import asyncio
import sys

from modelslab_async import ModelsLab, TextToImage
from modelslab_async._policy.timeouts import Timeouts


async def main(url: str, output: str, items: str, speed: str) -> None:
    timeouts = Timeouts().faster(float(speed))
    specs = (
        TextToImage(f"picture {number}.", model_id="sdxl", seed=number)
        for number in range(int(items))
    )
    async with (
        ModelsLab("a-key", base_url=url, timeouts=timeouts) as lab,
        lab.batch(specs, output=output) as batch,
    ):
        say("begun")
        async for outcome in batch:
            say(f"{outcome.index} {type(outcome.error).__name__}")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is all that is heard of it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
