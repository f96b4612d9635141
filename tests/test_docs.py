"""
Nothing public is left unsaid.
"""

from __future__ import annotations

import re

from pathlib import Path

import click
import pytest

import modelslab_async

from modelslab_async import errors, testing
from modelslab_async._cli import shell


ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
SHELL = (ROOT / "docs" / "shell.md").read_text()
ERRORS = [
    name
    for name, thing in vars(errors).items()
    if isinstance(thing, type) and issubclass(thing, (Exception, Warning))
]


def test_public_names() -> None:
    """
    Every public name is on a page.
    """
    said = {
        word
        for code in re.findall(r"`([^`\n]+)`", TEXT)
        for word in re.findall(r"\w+", code)
    }

    assert {
        *modelslab_async.__all__,
        *ERRORS,
        *testing.__all__,
    } - said == set()


@pytest.mark.parametrize("name", sorted(modelslab_async.__all__))
def test_public_docstrings(name: str) -> None:
    """
    Every public name says what it is.
    """
    assert getattr(modelslab_async, name).__doc__


@pytest.mark.parametrize("name", sorted(shell.commands))
def test_commands(name: str) -> None:
    """
    Every command has its part of the shell's page, with every option.
    """
    part = re.search(
        rf"^## `{name}\b.*?(?=^## |\Z)", SHELL, re.MULTILINE | re.DOTALL
    )
    options = [
        option
        for option in shell.commands[name].params
        if isinstance(option, click.Option)
    ]

    assert part is not None
    assert [
        option.opts[-1] for option in options if option.opts[-1] not in part[0]
    ] == []


def test_links() -> None:
    """
    Every link between pages leads somewhere.
    """
    for page in PAGES:
        for link in re.findall(
            r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()
        ):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_one_sentence_a_line(page: Path) -> None:
    """
    Sentences stand one to a line, so that a change shows what changed.
    """
    prose = re.sub(
        r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )

    assert (
        re.findall(r"^(?![|>]).*[a-z`)][.?!] [A-Z].*$", prose, re.MULTILINE)
        == []
    )
