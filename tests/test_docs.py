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
REPOSITORY = "https://github.com/modelslab-async/modelslab-async"
HERE = (
    f"{REPOSITORY}/blob/main/",
    f"{REPOSITORY.replace('github', 'raw.githubusercontent')}/main/",
)
HERE_IN = "^" + "|^".join(map(re.escape, HERE))
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
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            there = page.parent / link
            if link.startswith(HERE):
                there = ROOT / re.sub(HERE_IN, "", link)
            elif ":" in link:
                continue
            assert there.exists(), f"{page.name}: {link}"


def test_links_of_readme() -> None:
    """
    README's links work wherever it is shown: on an index, too.
    """
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())

    assert [link for link in links if not link.startswith("https://")] == []


def test_where_it_comes_from() -> None:
    """
    It is on no index, so no page has one asked for it.
    """
    lines = [
        line
        for line in TEXT.splitlines()
        if re.search(r'(pip install|uv add) "?modelslab-async', line)
    ]

    assert lines
    assert [
        line
        for line in lines
        if f" @ git+{REPOSITORY}" not in line and "`" not in line
    ] == []


def test_index() -> None:
    """
    Every page is in the site's table of contents.
    """
    pages = {page.stem for page in PAGES} - {"README", "index"}
    contents = re.findall(
        r"^[a-z-]+$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE
    )

    assert sorted(contents) == sorted(pages)


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
