"""
Somebody else's client against the simulator: the service's own program for
the shell, which asks version 7 for everything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from collections.abc import Callable
from pathlib import Path

import pytest

from waiting import look_until

from modelslab_async.simulator import Latency, Simulator


pytest.importorskip(
    "modelslab_cli", reason="there is one for Linux on x86-64 alone"
)

Run = Callable[..., str]


@pytest.fixture
def run(modelslab_simulator: Simulator, tmp_path: Path) -> Run:
    """
    Types a command, and gives what it printed.
    """
    env = os.environ | {
        "HOME": str(tmp_path),
        "NO_COLOR": "1",
        "MODELSLAB_API_KEY": "a-key",
        "MODELSLAB_BASE_URL": modelslab_simulator.origin,
    }

    def typed(*words: str) -> str:
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "modelslab_cli",
                "--no-update-check",
                *words,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=env,
            cwd=tmp_path,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout + ran.stderr

    return typed


def saved(folder: Path) -> list[bytes]:
    """
    The first bytes of all that was downloaded.
    """
    files = sorted((folder / "generated").iterdir())
    return [file.read_bytes()[:8] for file in files]


PNG = b"\x89PNG\r\n\x1a\n"


def test_it_generates_transforms_and_inpaints(
    run: Run, modelslab_simulator: Simulator, tmp_path: Path
) -> None:
    """
    Its pictures are made, from words and from one another, and saved.
    """
    modelslab_simulator.change(instant=1.0)
    model = ("--model", "flux", "--prompt", "a red fox")
    said = run("generate", "image", *model)
    link = re.findall(r"http\S+", said)[-1]
    run("generate", "image-to-image", "--init-image", link, *model)
    run(
        *("generate", "inpaint", "--init-image", link),
        *("--mask-image", link, *model),
    )

    paths = [each.endpoint for each in modelslab_simulator.books.accepted]
    assert paths == [
        "v7/images/text-to-image",
        "v7/images/image-to-image",
        "v7/images/inpaint",
    ]
    remarks = [each.remarks for each in modelslab_simulator.books.accepted]
    assert remarks == [(), (), ()]
    assert set(saved(tmp_path)) == {PNG}
    assert modelslab_simulator.books.downloads == 3
    assert modelslab_simulator.books.strays == []


def test_it_fetches(
    run: Run, modelslab_simulator: Simulator, tmp_path: Path
) -> None:
    """
    It asks for a job under version 7, and finds it.
    """
    # Not over with the first answer.
    modelslab_simulator.change(latency=Latency.constant(10.0), hold=0.0)
    model = ("--model", "flux", "--prompt", "a red fox")
    run("generate", "image", "--no-wait", *model)
    ((job_id, job),) = modelslab_simulator.books.jobs.items()
    look_until(lambda: job.ended is not None)

    run("generate", "fetch", "--id", str(job_id))

    assert saved(tmp_path) == [PNG]
    assert modelslab_simulator.books.polls == 1
    assert modelslab_simulator.books.strays == []
