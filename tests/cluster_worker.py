"""
A process that is one worker of a cluster, to be killed:
``python cluster_worker.py URL DSN OUTPUT SPEED NAME STALLED``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from pathlib import Path

from modelslab_async import ModelsLab, Timeouts
from modelslab_async.cluster import Worker, WorkerOptions


async def main(
    url: str, dsn: str, output: str, speed: str, name: str, stalled: str
) -> None:
    timeouts = Timeouts().faster(float(speed), silence=5.0)
    options = WorkerOptions(
        Path(output) if output else None,
        name,
        concurrency=20,
        stalled=float(stalled),
        grace=5.0,
    )
    async with ModelsLab("a-key", base_url=url, timeouts=timeouts) as lab:
        working = asyncio.ensure_future(Worker(lab, dsn, options).run())
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, working.cancel
        )
        with contextlib.suppress(asyncio.CancelledError):
            await working


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
