from __future__ import annotations

import shutil
import tempfile

from pathlib import Path

import nox


nox.options.sessions = [
    "lint",
    "typing",
    "tests",
    "wheel",
    "shell",
    "lowest",
    "docs",
]
nox.options.default_venv_backend = "uv|virtualenv"
# A machine need not have every Python.
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]

#: The lowest versions that pyproject.toml allows.
LOWEST = {
    "aiohttp": "3.14.3",
    "anyio": "4.14.2",
    "attrs": "25.4.0",
    "cattrs": "25.1.0",
}


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def typing(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("mypy")
    session.run("basedpyright", "tests/typing")
    session.run(
        "basedpyright",
        "--verifytypes",
        "modelslab_async",
        "--ignoreexternal",
        # It does not follow the link that an editable install is.
        env={"PYTHONPATH": str(Path.cwd())},
    )


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("codespell")


@nox.session
def wheel(session: nox.Session) -> None:
    """
    The tests of the sdist, against the wheel that was built from it.
    """
    session.install("build")
    with tempfile.TemporaryDirectory() as scratch:
        session.run("python", "-m", "build", "--outdir", scratch)
        (built,) = Path(scratch).glob("*.whl")
        # Three fifths of it are the simulator and the shell.
        # All of it is source, 340 KiB without docstrings and comments;
        # simulator, shell and cluster are a third.
        if built.stat().st_size > 500 * 1024:
            session.error(f"the wheel has {built.stat().st_size} bytes")
        (source,) = Path(scratch).glob("*.tar.gz")
        shutil.unpack_archive(source, scratch, filter="data")
        unpacked = Path(scratch) / source.name.removesuffix(".tar.gz")
        # What is tested is what is installed.
        shutil.rmtree(unpacked / "modelslab_async")
        session.install(f"{built}[dev]")
        session.chdir(unpacked)
        session.run(
            "pytest",
            # They look at the sources, which are not there.
            "--deselect=tests/test_house.py",
            "--deselect=tests/test_architecture.py",
            *session.posargs,
        )


@nox.session
def shell(session: nox.Session) -> None:
    """
    The shell without what only developers have.
    """
    session.install(".[cli]")
    with tempfile.TemporaryDirectory() as scratch:
        session.run("modelslab-async", "--version")
        session.run(
            "modelslab-async",
            "generate",
            "a lighthouse at dusk",
            "--simulate",
            "--speed=100",
            f"--output={scratch}",
        )


@nox.session
def lowest(session: nox.Session) -> None:
    """
    The tests with the oldest versions that we say we work with.
    """
    session.install("-e", ".[dev]")
    session.install(*(f"{name}=={least}" for name, least in LOWEST.items()))
    # That anyio's own plugin warns under a newer pytest, and is not used.
    session.run("pytest", "-p", "no:anyio", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """
    The pages as a site; what is wrong with them is an error.
    """
    session.install("-e", ".[docs]")
    session.run(
        "sphinx-build",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "docs",
        "build/docs",
    )
