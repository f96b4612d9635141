"""
What the house promises of itself.
"""

from __future__ import annotations

import ast
import functools
import gc
import subprocess
import sys

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from modelslab_async._version import __version__


ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "modelslab_async"
ROOMS = sorted(PACKAGE.rglob("*.py"))
#: What has to stay small; the simulator is a house of its own.
SMALL = [room for room in ROOMS if "simulator" not in room.parts]

#: Private attributes of other classes that we touch, and why.
REACHED = {
    # Neither aiohttp nor asyncio has a public way to close a connection
    # whose loop is closed, or to leave it to a parent process.
    ("_engine/abandoned.py", "_acquired"),
    ("_engine/abandoned.py", "_conns"),
    ("_engine/abandoned.py", "_closed"),
    ("_engine/abandoned.py", "_transport"),
    # A function of the system's: the process ends at once.
    ("_cli/interrupts.py", "_exit"),
    # Of the same class, by its other way to be made.
    ("_output/folder.py", "_open"),
}


@pytest.fixture(scope="module", autouse=True)
def _not_walked() -> Iterator[None]:
    """
    The trees of all rooms are many objects: the collector does not walk them,
    and whoever comes later has them no more.
    """
    gc.disable()
    yield
    _tree.cache_clear()
    gc.enable()


@functools.cache
def _tree(room: Path) -> ast.Module:
    return ast.parse(room.read_text())


def _trees(
    rooms: Iterable[Path] = tuple(SMALL),
) -> Iterator[tuple[str, ast.Module]]:
    for room in rooms:
        yield str(room.relative_to(PACKAGE)), _tree(room)


def _lines(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _attributes(cls: ast.ClassDef) -> set[str]:
    """
    What an object of the class has, as far as its source tells.
    """
    fields = {
        node.target.id
        for node in cls.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.unparse(node.annotation)
    }
    assigned = {
        node.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return fields | assigned


def _imported(statement: str) -> set[str]:
    """
    The modules that a fresh interpreter has after *statement*, and had not
    before: one that measures coverage has some of its own.
    """
    code = (
        f"import sys\nhad = {{*sys.modules}}\n{statement}\n"
        "print(*sys.modules.keys() - had)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return set(done.stdout.split())


#: What one picture needs none of.
_LATE = {
    f"modelslab_async.{room}"
    for room in (
        *("_batch", "_cli", "_output", "cluster", "events", "journal"),
        *("simulator", "webhooks", "_protocol.decompress"),
        *("_engine.account_calls", "_engine.address_guard"),
        *("_engine.free_calls", "_engine.uploads", "_engine.verification"),
        *("specs._dict", "specs.text_to_image"),
    )
}


#: What is loaded when a client is made: all that works on jobs.
_AT_WORK = {
    "anyio",
    "cattrs",
    "modelslab_async._lifetime",
    "modelslab_async._observing",
    "modelslab_async._rooms",
    *(
        f"modelslab_async.{floor}.{room}"
        for floor, rooms in {
            "_engine": "bells http inquiry job on_demand poller runtime "
            "sender slot_queue submission submitter waits",
            "_policy": "breakers slots tickets verdicts",
            "_protocol": "answer_text decode encode inline links refusals "
            "replies",
        }.items()
        for room in rooms.split()
    ),
}


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
        for node in ast.walk(_tree(room)):
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


def test_no_file_is_large() -> None:
    """
    A file has one idea, and ends before 550 lines.
    """
    large = {
        str(room.relative_to(PACKAGE)): count
        for room in SMALL
        if (count := len(room.read_text().splitlines())) > 550
    }

    assert large == {}


def test_no_class_is_large() -> None:
    """
    A class ends before 300 lines, and changes in few ways: 15 attributes.

    Requests and options are tables, one row for each of the service's words.
    """
    large = {
        f"{room}:{node.name}": (_lines(node), len(_attributes(node)))
        for room, tree in _trees()
        if not room.startswith("specs/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        if _lines(node) > 300
        or (len(_attributes(node)) > 15 and not _is_frozen(node))
    }

    assert large == {}


def _is_frozen(cls: ast.ClassDef) -> bool:
    return any("frozen" in ast.unparse(one) for one in cls.decorator_list)


def test_no_function_is_long() -> None:
    """
    A function ends before 60 lines, its docstring included.
    """
    long = {
        f"{room}:{node.name}": _lines(node)
        for room, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if _lines(node) > 60
    }

    assert long == {}


def test_private_things_stay_private() -> None:
    """
    Nobody touches a private attribute of another class's object, but for
    what the list says, which has no more than is needed.
    """
    reached = {
        (room, node.attr)
        for room, tree in _trees(ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if node.attr.startswith("_") and not node.attr.endswith("__")
        if not (
            isinstance(node.value, ast.Name)
            and node.value.id in {"self", "cls"}
        )
    }

    assert reached == REACHED


def _is_a_question(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
) -> bool:
    """
    Whether it only asks, by its name or as a property.
    """
    asks = ("is_", "has_", "can_", "may_", "within_")
    return node.name.lstrip("_").startswith(asks) or any(
        ast.unparse(one) == "property" for one in node.decorator_list
    )


def _own(node: ast.expr) -> str:
    """
    The attribute of our own that it is, if it is one.
    """
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
        return node.attr
    return ""


def _changed(function: ast.AST) -> set[str]:
    """
    Attributes of its own that a function sets, but for those that it makes
    where they are None.
    """
    changed, made = set(), set()
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and not isinstance(
            node.ctx, ast.Load
        ):
            changed.add(_own(node))
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is):
            made.add(_own(node.left))
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            made.add(_own(node.values[0]))
    return changed - made - {""}


def test_questions_change_nothing() -> None:
    """
    A property, and what is called as a question, sets nothing but what it
    makes when it is first asked for.
    """
    found = {
        f"{room}:{node.name}": _changed(node)
        for room, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if _is_a_question(node) and _changed(node)
    }

    assert found == {}


#: Protocols that one class of ours keeps, and why they are there.
ALONE = {
    # A batch, which is built above of those who close it.
    "Guest": "BatchLifetime",
    # A doorbell, which is built above of what it rings.
    "RingSource": "Doorbell",
}


def _members(cls: ast.ClassDef) -> set[str]:
    return {
        node.name
        for node in cls.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    } | {
        node.target.id
        for node in cls.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
    }


def test_a_protocol_is_kept_by_two() -> None:
    """
    A protocol exists where there are two implementations, and not before.
    """
    classes = [
        node
        for _, tree in _trees()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    protocols = [
        node
        for node in classes
        if [ast.unparse(base) for base in node.bases] == ["Protocol"]
        # What can be called is a function's type.
        if _members(node) != {"__call__"}
    ]
    kept = {
        protocol.name: [
            node.name
            for node in classes
            if node not in protocols and _members(node) >= _members(protocol)
        ]
        for protocol in protocols
    }

    assert len(kept) > 4
    assert {name: by[0] for name, by in kept.items() if len(by) < 2} == ALONE


def test_private_names_stay_in_their_file() -> None:
    """
    No file imports another's private names.
    """
    imported = {
        (room, alias.name)
        for room, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.endswith("__")
    }

    assert imported == set()


def _named(tree: ast.Module) -> Iterator[str]:
    """
    What a file defines at its top: classes, types, functions, and the
    constants that others may have.
    """
    for node in tree.body:
        if isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = (
                node.target
                if isinstance(node, ast.AnnAssign)
                else node.targets[0]
            )
            if "TypeVar" not in ast.unparse(node):
                yield from (
                    part.id
                    for part in ast.walk(target)
                    if isinstance(part, ast.Name)
                    if not part.id.startswith("_")
                    or part.id.strip("_") != part.id.strip("_").upper()
                )


def test_no_name_has_two_meanings() -> None:
    """
    What stands at the top of a file has a name of its own; the private
    constants of two files may be called alike, and so are their logs.
    """
    names = Counter(
        name
        for _, tree in _trees()
        for name in _named(tree)
        # A word of Python's own.
        if not name.endswith("__")
        if name not in {"_log", "_converter"}
    )

    assert [name for name, count in names.items() if count > 1] == []


def test_version() -> None:
    """
    What is installed, what servers are told, and what changed are one.
    """
    changes = (ROOT / "CHANGELOG.md").read_text()

    assert version("modelslab-async") == __version__
    assert f"\n## [{__version__}]" in changes


@pytest.mark.parametrize(
    ("statement", "absent", "most"),
    [
        ("import modelslab_async", {"PIL", "click", "rich", "pytest"}, 34),
        ("import modelslab_async.simulator", {"PIL", "click", "rich"}, 75),
        ("import modelslab_async.__main__", {"PIL", "click", "rich"}, 35),
        (
            "from modelslab_async import ModelsLab",
            _LATE | _AT_WORK | {"sqlite3", "aiohttp.web"},
            34,
        ),
        ('from modelslab_async import ModelsLab\nModelsLab("key")', _LATE, 81),
    ],
)
def test_light_imports(statement: str, absent: set[str], most: int) -> None:
    """
    What only an extra, or another call, needs is not imported without it, and
    what works on jobs not before there is a client.
    """
    imported = _imported(statement)

    assert imported & absent == set()
    assert sum(name.startswith("modelslab_async") for name in imported) <= most


def test_every_room_says_what_lives_there() -> None:
    """
    Each module begins with what it is about.
    """
    silent = [room for room in ROOMS if not ast.get_docstring(_tree(room))]

    assert silent == []


def test_typed() -> None:
    """
    Type checkers are told that we are typed.
    """
    assert (ROOT / "modelslab_async" / "py.typed").exists()
