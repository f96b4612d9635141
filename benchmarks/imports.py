"""
How long does it take until one can write `ModelsLab()`?

    python benchmarks/imports.py [--runs N]

Fresh interpreters in turn: our import, that of the four packages it rests on,
and our import with a client, which loads the rest of what a job needs.
Bytecode and files are in the cache. Figures are medians of processor time
(wall time beside it) less that of an interpreter that imports nothing. To
reach: 1.25 x the four packages by the import.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

from polling_virtual import table


NOTHING = "pass"
FOUR = "import aiohttp, anyio, attrs, cattrs"
OURS = "from modelslab_async import ModelsLab"
MADE = f'{OURS}; ModelsLab("a key")'


def cost(code: str) -> tuple[float, float]:
    """
    Milliseconds of processor and wall time of an interpreter that runs it.
    """
    ours = {"PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_START"}
    rest = {
        name: text for name, text in os.environ.items() if name not in ours
    }
    began, worked = time.perf_counter(), spent()
    subprocess.run([sys.executable, "-c", code], check=True, env=rest)
    return 1e3 * (spent() - worked), 1e3 * (time.perf_counter() - began)


def spent() -> float:
    """
    Seconds of processor time that child processes have taken so far.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=31)
    options = parser.parse_args()
    codes = (NOTHING, FOUR, OURS, MADE)
    found: dict[str, list[tuple[float, float]]] = {code: [] for code in codes}
    # The first run only writes bytecode and warms up.
    for run in range(1 + options.runs):
        for code in codes:
            one = cost(code)
            if run:
                found[code].append(one)

    def middle(code: str, which: int) -> float:
        return statistics.median(one[which] for one in found[code])

    def row(code: str) -> tuple[str, ...]:
        figures = []
        for which in (0, 1):
            none = middle(NOTHING, which)
            mine = middle(code, which) - none
            times = mine / (middle(FOUR, which) - none)
            figures += [f"{mine:.0f}", f"{times:.2f}"]
        return code, *figures

    table(
        "Imports",
        ["code", "CPU ms", "x the four", "wall ms", "x the four "],
        map(row, (FOUR, OURS, MADE)),
    )


if __name__ == "__main__":
    main()
