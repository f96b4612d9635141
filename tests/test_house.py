"""
What the house promises of itself.
"""

from __future__ import annotations

import ast
import subprocess
import sys

from importlib.metadata import version
from pathlib import Path

import pytest

from modelslab_async._version import __version__


ROOT = Path(__file__).parent.parent
ROOMS = sorted((ROOT / "modelslab_async").rglob("*.py"))


def _imported(statement: str) -> set[str]:
    """
    The top names that a fresh interpreter has after *statement*.
    """
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{statement}\nimport sys\nprint(*sys.modules)",
        ],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_floors() -> None:
    """
    Imports go down only, and dry rooms stay dry.
    """
    # In a process of its own: it turns off every logger that it finds.
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_nobody_but_the_shell_uses_the_front_door() -> None:
    """
    No room imports the package itself, which stands above all of them.
    """
    for room in ROOMS:
        for node in ast.walk(ast.parse(room.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert not any(
                name.partition(".")[0] == "modelslab_async" for name in names
            ), room


def test_version() -> None:
    """
    What is installed, what servers are told, and what changed are one.
    """
    changes = (ROOT / "CHANGELOG.md").read_text()

    assert version("modelslab-async") == __version__
    assert f"\n## [{__version__}]" in changes


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import modelslab_async", {"PIL", "click", "rich", "pytest"}),
        ("import modelslab_async.simulator", {"PIL", "click", "rich"}),
        ("import modelslab_async.__main__", {"PIL", "click", "rich"}),
    ],
)
def test_light_imports(statement: str, absent: set[str]) -> None:
    """
    What only an extra needs is not imported without it.
    """
    assert _imported(statement) & absent == set()


def test_every_room_says_what_lives_there() -> None:
    """
    Each module begins with what it is about.
    """
    silent = [
        room
        for room in ROOMS
        if not ast.get_docstring(ast.parse(room.read_text()))
    ]

    assert silent == []


def test_typed() -> None:
    """
    Type checkers are told that we are typed.
    """
    assert (ROOT / "modelslab_async" / "py.typed").exists()
