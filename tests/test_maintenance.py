"""
What the next maintainer relies on is there, and says the same everywhere.
"""

from __future__ import annotations

import ast
import re
import tomllib

from pathlib import Path
from typing import Any

import click
import pytest

from modelslab_async._cli import shell


ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOLD = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "docs" / "architecture.md",
    *sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")),
]

pytestmark = pytest.mark.skipif(
    not GITHUB.exists(), reason="a source distribution has no workflows"
)


def _noxfile() -> ast.Module:
    return ast.parse((ROOT / "noxfile.py").read_text())


def _constant(name: str) -> Any:
    """
    What noxfile.py sets, without importing nox.
    """
    (value,) = (
        node.value
        for node in _noxfile().body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == name
    )
    return ast.literal_eval(value)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_trust_little(path: Path) -> None:
    """
    A workflow may do nothing that a job does not ask for, uses actions by
    their hash, and leaves no credentials behind.
    """
    text = path.read_text()
    actions = re.findall(r"uses: (.*)", text)

    assert "\npermissions: {}\n" in text
    assert actions
    assert [
        action
        for action in actions
        if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action)
    ] == []
    assert text.count("actions/checkout@") == text.count(
        "persist-credentials: false"
    )


def test_sessions() -> None:
    """
    Every session that a workflow or a page names is there, and all of them
    are run by plain ``nox``.
    """
    sessions = {
        node.name
        for node in _noxfile().body
        if isinstance(node, ast.FunctionDef)
    }
    text = "".join(path.read_text() for path in [*WORKFLOWS, *TOLD])
    named = {
        name.strip('"').partition("-")[0]
        for names in re.findall(r'nox -s ([a-z "-]+)', text)
        for name in names.split()
    }

    assert named
    assert named <= sessions
    assert sorted(_constant("nox.options.sessions")) == sorted(sessions)


def test_lowest_versions() -> None:
    """
    What is tested as the lowest versions is what is declared.
    """
    floors = {
        name: least
        for one in PROJECT["project"]["dependencies"]
        for name, _, least in [one.partition(">=")]
    }
    lowest = _constant("LOWEST")

    assert lowest.keys() == floors.keys()
    assert [
        name
        for name in lowest
        if not f"{lowest[name]}.".startswith(f"{floors[name]}.")
    ] == []


def test_pythons() -> None:
    """
    The Pythons that are promised are those that are tested.
    """
    promised = re.findall(
        r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"])
    )
    (matrix,) = re.findall(
        r"python: \[(.*)\]", (GITHUB / "workflows" / "tests.yml").read_text()
    )

    assert promised == _constant("PYTHONS")
    assert promised == re.findall(r'"([\d.]+)"', matrix)
    assert PROJECT["project"]["requires-python"] == f">={promised[0]}"


def test_project_points_to_what_is_there() -> None:
    """
    Every path of pyproject.toml leads somewhere.
    """
    tool = PROJECT["tool"]
    paths = [
        PROJECT["project"]["readme"],
        *PROJECT["project"]["license-files"],
        tool["hatch"]["version"]["path"],
        *tool["hatch"]["build"]["targets"]["wheel"]["packages"],
        *tool["hatch"]["build"]["targets"]["sdist"]["include"],
        *tool["pytest"]["ini_options"]["testpaths"],
        *tool["pytest"]["ini_options"]["pythonpath"],
        *tool["mypy"]["files"],
        *tool["basedpyright"]["include"],
        *tool["ruff"]["lint"]["per-file-ignores"],
    ]

    assert [
        path
        for path in paths
        if not (ROOT / path.strip("/").removesuffix("/**")).exists()
    ] == []


@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.name)
def test_pages_point_to_what_is_there(path: Path) -> None:
    """
    Files and commands that these pages name are there.
    """
    text = path.read_text()
    files = re.findall(r"`(?:python )?([\w.-]+(?:/[\w.-]+)+)`", text)
    commands = re.findall(r"modelslab-async (\w+)((?: --[\w-]+)*)", text)

    assert [
        name
        for name in files
        if not (ROOT / name).exists()
        and not (ROOT / "modelslab_async" / name).exists()
        and not (ROOT / "modelslab_async" / f"{name}.py").exists()
    ] == []
    for name, options in commands:
        known = {
            option
            for one in shell.commands[name].params
            if isinstance(one, click.Option)
            for option in one.opts
        }
        assert set(options.split()) <= known


def test_stations_are_there() -> None:
    """
    Every class and function that the architecture leads by is where it says.
    """
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "modelslab_async"
    rooms = {
        path.stem: path
        for path in package.rglob("*.py")
        if path.parent.name != "simulator"
    }
    stations = {
        found
        for found in re.findall(r"`([a-z_]+(?:\.\w+)+)`", text)
        if found.partition(".")[0] in rooms
    }

    assert len(stations) > 40
    assert {
        found
        for found in stations
        if not _defines(rooms[found.partition(".")[0]], found.split(".")[1:])
    } == set()


def _defines(path: Path, names: list[str]) -> bool:
    body = ast.parse(path.read_text()).body
    for name in names:
        found = [node for node in body if getattr(node, "name", "") == name]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return True
