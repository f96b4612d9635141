"""
What a test in another process may do: read the books, order faults, change
settings.
"""

from __future__ import annotations

import json

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ._faults import TARGETS, Answer, Edit, Fault, Reply, give, page
from ._settings import Rings


if TYPE_CHECKING:
    from ._simulator import Simulator


async def control(
    simulator: Simulator, request: web.Request
) -> web.StreamResponse:
    """
    Answer what lies behind ``/simulator/``.
    """
    name = request.path.removeprefix("/simulator/")
    if name == "books" and request.method == "GET":
        return give(Reply(200, simulator.books.to_json()))
    acts: Mapping[str, Callable[[Simulator, dict[str, Any]], None]] = {
        "next": _order,
        "settings": _change,
    }
    if name not in acts or request.method != "POST":
        return give(page(404))
    try:
        body = json.loads(await request.read() or b"{}")
        acts[name](simulator, dict(body))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        text = f"{type(exc).__name__}: {exc}"
        return give(Reply(400, {"status": "error", "message": text}))
    return give(Reply(200, {"status": "success"}))


def _order(simulator: Simulator, body: dict[str, Any]) -> None:
    answer: Answer
    if "fault" in body:
        answer = Fault(body.pop("fault"))
    elif "edit" in body:
        answer = Edit(**body.pop("edit"))
    elif "ring" in body:
        answer = Rings(body.pop("ring"))
    else:
        answer = Reply(**body.pop("reply"))
    target = body.pop("kind")
    if target not in TARGETS:
        raise ValueError(f"no such kind: {target!r}")
    simulator.next(target, answer, **body)


def _change(simulator: Simulator, body: dict[str, Any]) -> None:
    acts: Mapping[str, Callable[[str, Any], None]] = {
        "occupy": simulator.occupy,
        "vacate": simulator.vacate,
        "ban": simulator.ban,
    }
    for name, act in acts.items():
        for key, value in body.pop(name, {}).items():
            act(key, value)
    simulator.change(**body)
