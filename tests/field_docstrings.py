"""
What an editor shows when one points at a parameter, made from the specs.

    python tests/field_docstrings.py
"""

from __future__ import annotations

import ast
import importlib
import textwrap

from collections.abc import Iterator
from pathlib import Path

import attrs

from modelslab_async import specs
from modelslab_async.specs import Parameter, Spec, parameters


FOLDER = Path(specs.__file__).parent


#: So many words are told; of more, the name that they have together.
_FEW = 6


#: What may be said shorter, where a line has no room.
_BRIEF = {
    "a whole number from ": "",
    "a number from ": "",
    "True or False, ": "",
    "an http or https URL, a data URI or a pathlib.Path": "URL or Path",
    "a URL, a data URI, a pathlib.Path, or a sequence of these": (
        "one or several URLs or Paths"
    ),
}


def modules() -> list[Path]:
    """
    The files that declare parameters.
    """
    return [path for path in sorted(FOLDER.glob("*.py")) if _places(path)]


def written(path: Path) -> str:
    """
    A file with its docstring below each parameter.
    """
    lines = path.read_text().splitlines()
    for kind, name, start, end in reversed(_places(path)):
        lines[start:end] = _docstring(kind, name)
    return "\n".join([*lines, ""])


def declared(path: Path) -> str:
    """
    A file without them: what is written by hand.
    """
    lines = path.read_text().splitlines()
    for _, _, start, end in reversed(_places(path)):
        del lines[start:end]
    return "\n".join([*lines, ""])


def _places(path: Path) -> list[tuple[type[Spec], str, int, int]]:
    """
    Where the docstring of each parameter goes: after which line, and up to
    which one it stands now.
    """
    room = importlib.import_module(f"{specs.__name__}.{path.stem}")
    found = []
    for one in ast.parse(path.read_text()).body:
        kind = getattr(room, one.name) if isinstance(one, ast.ClassDef) else 0
        if isinstance(kind, type) and issubclass(kind, Spec):
            assert isinstance(one, ast.ClassDef)
            for name, start, end in _fields(one.body):
                if name in parameters(kind):
                    found.append((kind, name, start, end))
    return found


def _fields(body: list[ast.stmt]) -> Iterator[tuple[str, int, int]]:
    for one, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        match one, after:
            case (
                ast.AnnAssign(ast.Name(name), end_lineno=int(start)),
                ast.Expr(ast.Constant(str()), end_lineno=int(end)),
            ):
                yield name, start, end
            case ast.AnnAssign(ast.Name(name), end_lineno=int(start)), _:
                yield name, start, start


def _docstring(kind: type[Spec], name: str) -> list[str]:
    required = attrs.fields_dict(kind)[name].default is attrs.NOTHING
    said = list(_said(parameters(kind)[name], required=required))
    for text in said:
        line = f'    """{text[0].upper()}{text[1:]}"""'
        if len(line) < 80:
            return [line]
    filled = textwrap.wrap(said[0][0].upper() + said[0][1:], 75)
    return ['    """', *(f"    {line}" for line in filled), '    """']


def _said(parameter: Parameter, *, required: bool) -> Iterator[str]:
    """
    What it may be, in full and in brief.

    Which source says so is in the class's own docstring.
    """
    parameter = attrs.evolve(parameter, source="")
    text = parameter.described(required=required)
    if parameter.words is not None and len(parameter.words) > _FEW:
        several = "several" if "sequence" in parameter.wanted else "one"
        words = f"{several} of {parameter.words.__name__}"
        text = text.replace(parameter.wanted, words, 1)
    yield text
    for long, brief in _BRIEF.items():
        if text.startswith(long):
            yield text.replace(long, brief, 1)


if __name__ == "__main__":
    for module in modules():
        module.write_text(written(module))
