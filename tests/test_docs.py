"""
Nothing public is left unsaid.
"""

from __future__ import annotations

import inspect
import re

from pathlib import Path
from types import ModuleType

import attrs
import click
import pytest

import modelslab_async

from modelslab_async import (
    ModelsLab,
    PollSchedule,
    RetryPolicy,
    Timeouts,
    cluster,
    errors,
    events,
    journal,
    observers,
    simulator,
    testing,
    webhooks,
)
from modelslab_async._batch.options import BatchOptions
from modelslab_async._cli import shell


ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
REPOSITORY = "https://github.com/modelslab-async/modelslab-async"
HERE = (
    f"{REPOSITORY}/blob/main/",
    f"{REPOSITORY}/tree/main/",
    f"{REPOSITORY.replace('github', 'raw.githubusercontent')}/main/",
)
HERE_IN = "^" + "|^".join(map(re.escape, HERE))
SHELL = (ROOT / "docs" / "shell.md").read_text()
API, REFERENCE, FAULTS, OBSERVING = (
    "".join((ROOT / "docs" / f"{name}.md").read_text() for name in names)
    for names in (
        ["api"],
        ["reference"],
        ["faults", "service"],
        ["observing"],
    )
)
ROOMS = [
    modelslab_async,
    cluster,
    errors,
    events,
    journal,
    observers,
    simulator,
    testing,
    webhooks,
]
EVENTS = sorted(
    events.Event.__subclasses__(), key=lambda event: event.__name__
)
ERRORS = [
    name
    for name, thing in vars(errors).items()
    if isinstance(thing, type) and issubclass(thing, (Exception, Warning))
]


def _public(room: ModuleType) -> list[str]:
    said: list[str] | None = getattr(room, "__all__", None)
    if said is not None:
        return said
    return [
        name
        for name, thing in vars(room).items()
        if getattr(thing, "__module__", None) == room.__name__
        and not name.startswith("_")
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


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_api(room: ModuleType) -> None:
    """
    Every public name is on the page that is made of the docstrings, and has
    one.
    """
    named = {
        name.rpartition(".")[2]
        for name in re.findall(
            r"^\.\. (?:auto\w+|data):: (\S+)$", API, re.MULTILINE
        )
    }
    shown = f"automodule:: {room.__name__}\n   :members:" in API
    public = {name: getattr(room, name) for name in _public(room)}
    kept = {
        name
        for name, thing in public.items()
        if inspect.isroutine(thing) or inspect.isclass(thing)
    }

    assert kept
    assert [name for name in kept if not public[name].__doc__] == []
    assert (set() if shown else kept) - named == set()
    assert {
        name for name, thing in public.items() if not inspect.ismodule(thing)
    } - kept - named <= {"Observer", "Phase"}


@pytest.mark.parametrize(
    "options",
    [
        *(
            [each.name for each in attrs.fields(options)]
            for options in (PollSchedule, RetryPolicy, Timeouts)
        ),
        list(inspect.signature(ModelsLab).parameters),
        [*inspect.signature(ModelsLab.batch).parameters][2:],
    ],
    ids=["PollSchedule", "RetryPolicy", "Timeouts", "ModelsLab", "batch"],
)
def test_options(options: list[str]) -> None:
    """
    Every option has its row in the reference.
    """
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| \S", REFERENCE, re.MULTILINE)

    assert options
    assert [option for option in options if option not in rows] == []


@pytest.mark.parametrize(
    "options", [PollSchedule, RetryPolicy, Timeouts, ModelsLab, BatchOptions]
)
def test_options_docstrings(options: type) -> None:
    """
    Every option is described where it is declared.
    """
    names = set(inspect.signature(options).parameters)

    assert names - set(re.findall(r"(\w+):", options.__doc__ or "")) == set()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_events(event: type[events.Event]) -> None:
    """
    Every event has its row in the table of events, with all of its facts.
    """
    row = re.search(
        rf"^\| [^|]*`{event.__name__}`[^|]*\|.*$", OBSERVING, re.MULTILINE
    )
    shared = {each.name for each in attrs.fields(events.Event)}

    assert row is not None
    assert [
        each.name
        for each in attrs.fields(event)
        if each.name not in shared and f"`{each.name}`" not in row[0]
    ] == []


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    """
    Every error is in the reference; and the faults, or what the service does,
    say what to do about each that can be met.
    """
    kinds = getattr(errors, name).__subclasses__()

    assert f"`{name}`" in REFERENCE
    assert kinds or f"`{name}`" in FAULTS


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


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_code_fits(page: Path) -> None:
    """
    Python is as wide as a page is: who reads it need not scroll.
    """
    code = re.findall(
        r"^```python$.*?^```$", page.read_text(), re.MULTILINE | re.DOTALL
    )
    lines = [line for block in code for line in block.splitlines()]

    assert [line for line in lines if len(line) > 88] == []


def test_key_states() -> None:
    """
    Every state of a simulated key has its row.
    """
    page = (ROOT / "docs" / "simulator.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| \w", page, re.MULTILINE)

    assert [state for state in simulator.KeyState if state not in rows] == []


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
        r"^(?:[\w ,]+<)?([a-z-]+)>?$",
        (ROOT / "docs" / "index.md").read_text(),
        re.MULTILINE,
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
