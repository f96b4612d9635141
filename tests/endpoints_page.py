"""
The page of all endpoints, and their part of the API's, made from the specs.

    python tests/endpoints_page.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelslab_async.specs import (
    SPECS,
    Parameter,
    Spec,
    parameters,
    required_parameters,
)


DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "endpoints.md"
API = DOCS / "api.md"


MARK = "<!-- From here on: made by tests/endpoints_page.py from the specs. -->"
API_MARK = "<!-- Made by tests/endpoints_page.py from the specs. -->"


def page() -> str:
    """
    All of it: what was written by hand, and what follows from the specs.
    """
    written = PAGE.read_text().partition(MARK)[0]
    return "\n".join([written + MARK, *_lines(), ""])


def api() -> str:
    """
    The API's page, with a line for each class.
    """
    before, _, rest = API.read_text().partition(API_MARK)
    words = rest[rest.index("### ") :]
    classes = "\n\n".join(
        f".. autoclass:: modelslab_async.{kind.__name__}"
        for kind in SPECS.values()
    )
    listed = f"```{{eval-rst}}\n{classes}\n```"
    return f"{before}{API_MARK}\n\n{listed}\n\n\n{words}"


def _lines() -> Iterator[str]:
    yield "\n\n## All of them\n"
    yield "| Class | Name | Makes | Must be given | Path |"
    yield "|---|---|---|---|---|"
    for name, kind in SPECS.items():
        needed = ", ".join(f"`{one}`" for one in required_parameters(kind))
        yield (
            f"| [`{kind.__name__}`](#{kind.__name__.lower()}) | `{name}` "
            f"| {_said(kind)[0].rstrip('.')} | {needed} "
            f"| `/{kind.endpoint.path}` |"
        )
    for kind in SPECS.values():
        yield from _part(kind)


def _part(kind: type[Spec]) -> Iterator[str]:
    needed = required_parameters(kind)
    yield f"\n\n## {kind.__name__}\n"
    yield "\n".join(_said(kind))
    yield "\n| Parameter | What it is | Usual | Default | About | Source |"
    yield "|---|---|---|---|---|---|"
    for name, parameter in parameters(kind).items():
        cells = (
            f"`{name}`" + (" (required)" if name in needed else ""),
            _cell(parameter.wanted),
            _cell(parameter.usually),
            _default(parameter),
            _cell(parameter.about),
            _cell(parameter.source),
        )
        yield f"| {' | '.join(cells)} |"


def _said(kind: type[Spec]) -> list[str]:
    """
    What a class says of itself, without its parameters, a sentence a line.
    """
    text = (kind.__doc__ or "").partition("\nAttributes:")[0]
    text = text.partition("\nRaises:")[0]
    return (
        " ".join(text.replace("*", "`").split())
        .replace(". ", ".\n")
        .split("\n")
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("'", "`")


def _default(parameter: Parameter) -> str:
    default = parameter.default
    return "" if default is None else f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
    API.write_text(api())
