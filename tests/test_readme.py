"""
Every snippet of README.md and docs/ does what it says.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import pytest

from modelslab_async.simulator import Settings, Simulator


ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FROM_NOTHING = "python3 -m venv .venv && .venv/bin/pip install "
_BATCH = ".venv/bin/modelslab-async batch examples/prompts.txt --simulate"
SETUP = [
    f'{_FROM_NOTHING}".[cli]" && {_BATCH} -o pictures',
    f'{_FROM_NOTHING}-e ".[dev]" && .venv/bin/pytest',
]


@attrs.frozen
class Block:
    """
    A fenced block of a page.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def _blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(
            r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
        ):
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(page, line, match[1], match[2]))
    return found


BLOCKS = _blocks()
TESTS = [
    block
    for block in BLOCKS
    if block.language == "python"
    and re.search(r"def test_|pytest_plugins", block.text)
]


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    Fast, and with the command's default dice.
    """
    return Settings(speed=100)


@pytest.fixture(autouse=True)
def _at_home(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    modelslab_simulator: Simulator,
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.url)
    monkeypatch.setenv("MODELSLAB_API_KEY", "any")
    scripts = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")


def test_readme_from_python() -> None:
    """
    Who follows README's Python alone gets pictures; here ten times as fast.
    """
    for block in BLOCKS:
        if block.page.name == "README.md" and block.language == "python":
            text = block.text.replace("speed=20", "speed=200")
            _follow_python(attrs.evolve(block, text=text))

    assert len(list(Path("out", "images").iterdir())) == 3


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page: Path) -> None:
    """
    Who follows a page from top to bottom, in an empty folder, gets what it
    says, numbers apart.
    """
    for block in BLOCKS:
        if block.page == page and block not in TESTS:
            _FOLLOW.get(block.language, _read_only)(block)


def _read_only(block: Block) -> None:
    assert block.language in {"", "json", "text"}, block


def _follow_python(block: Block) -> None:
    if block.page.name == "notebook.md":
        # Cells: tests/test_notebook.py runs them.
        return
    script = Path("snippet.py")
    script.write_text("\n" * (block.line - 1) + block.text)
    runpy.run_path(str(script), run_name="__main__")


def _follow_shell(block: Block) -> None:
    printed = "".join(map(_run, _commands(block)))
    shown = _outputs(block) if block.language == "console" else []
    lacks = set(map(_shape, shown)) - set(map(_shape, printed.splitlines()))
    assert not lacks, f"{block}\n{printed}"


_FOLLOW: Mapping[str, Callable[[Block], None]] = {
    "python": _follow_python,
    "sh": _follow_shell,
    "console": _follow_shell,
}


@pytest.mark.slow
def test_python_tests(tmp_path: Path) -> None:
    """
    Snippets that are tests pass, each as a file of its own.
    """
    for block in TESTS:
        name = "conftest" if "pytest_plugins" in block.text else "test"
        number = "" if name == "conftest" else f"_{block.line}"
        (tmp_path / f"{name}{number}.py").write_text(block.text)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _commands(block: Block) -> list[str]:
    # Those of a cluster need its database: tests/test_cli_cluster.py has one.
    text = block.text.replace("\\\n", " ")
    return [
        line.removeprefix("$ ")
        for line in text.splitlines()
        if re.match(r"(\$ )?(ls .* \| )?modelslab-async (?!cluster )", line)
        or re.match(r"\$ printf .* > \S+$", line)
    ]


def _outputs(block: Block) -> list[str]:
    return [
        line
        for line in block.text.splitlines()
        if line and not line.startswith("$ ") and line != "…"
    ]


def _shape(line: str) -> str:
    """
    A line without what differs from run to run.
    """
    line = re.sub(r"/\S*/(?=[\w-]+/(images|index.html))", "/", line)
    return re.sub(r"\d+(\.\d+)?", "0", line)


def _run(command: str) -> str:
    if " simulate" in command:
        return _first_line(command)
    done = subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def _first_line(command: str) -> str:
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        server.terminate()
        assert server.wait(10) == 0
    return line


@pytest.mark.parametrize("command", SETUP)
def test_setup_word_for_word(command: str) -> None:
    """
    The two commands that set everything up stand in README.md on lines of
    their own.
    """
    lines = (ROOT / "README.md").read_text().splitlines()

    assert lines.count(command) == 1


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["classic", "documented"])
@pytest.mark.parametrize("fetch", ["path", "body"])
def test_another_process(
    profile: str, fetch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    README's code for the service itself works with a service in another
    process, in both dialects and with each form of fetch.
    """
    (script,) = (
        block.text
        for block in BLOCKS
        if block.page.name == "README.md" and "ModelsLab()" in block.text
    )
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "modelslab_async", "simulate"),
            *("--profile", profile, "--fetch", fetch, "--speed", "100"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        monkeypatch.setenv(
            "MODELSLAB_BASE_URL", server.stdout.readline().strip()
        )
        (tmp_path / "snippet.py").write_text(script)
        runpy.run_path("snippet.py", run_name="__main__")
        server.terminate()

    assert len(list((tmp_path / "out" / "images").iterdir())) == 3
