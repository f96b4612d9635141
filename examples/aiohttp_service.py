r"""
Pictures as a service, with aiohttp's own server: a request waits for its
picture as long as it likes, and finds it later by the same name.

    MODELSLAB_API_KEY=… python examples/aiohttp_service.py
    curl -X PUT localhost:8000/pictures/cat \
        -d '{"prompt": "a cat on a wall", "model_id": "flux"}' > cat.png

PICTURES is the folder (default: pictures), PORT where it listens; HOOKS and
HOOKS_SECRET as in fastapi_service.py.

Each name has a folder of its own with a journal in it: whatever happens, the
same PUT goes on where the last one stopped, and buys nothing twice.
"""

from __future__ import annotations

import asyncio
import os
import re

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from modelslab_async import ModelsLab, Outcome, specs, webhooks
from modelslab_async.errors import ModelsLabError, SpecError


FOLDER = Path(os.environ.get("PICTURES", "pictures"))
HOOKS = os.environ.get("HOOKS")
BELL = webhooks.Doorbell(HOOKS, os.environ["HOOKS_SECRET"]) if HOOKS else None
NAME = re.compile(r"[a-z0-9-]{1,64}")
LAB = web.AppKey("LAB", ModelsLab)
UNDER_WAY = web.AppKey("UNDER_WAY", dict[str, "asyncio.Task[list[Outcome]]"])
routes = web.RouteTableDef()


async def lifetime(app: web.Application) -> AsyncIterator[None]:
    """
    One client, from the server's start to its end.
    """
    async with ModelsLab(doorbell=BELL) as lab:
        app[LAB], app[UNDER_WAY] = lab, {}
        yield
        for task in app[UNDER_WAY].values():
            task.cancel()
        await asyncio.gather(*app[UNDER_WAY].values(), return_exceptions=True)


async def make(lab: ModelsLab, name: str, spec: specs.Spec) -> list[Outcome]:
    return await lab.batch([spec], output=FOLDER / name)


def found(name: str) -> Path | None:
    return next(FOLDER.glob(f"{name}/images/*.*"), None)


@routes.put("/pictures/{name}")
async def put(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if not NAME.fullmatch(name):
        raise web.HTTPNotFound
    try:
        spec = specs.from_dict(await request.json())
    except (SpecError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=422)
    under_way = request.app[UNDER_WAY]
    task = under_way.get(name)
    if task is None:
        task = asyncio.create_task(make(request.app[LAB], name, spec))
        under_way[name] = task
        task.add_done_callback(lambda _: under_way.pop(name, None))
    try:
        # Whoever hangs up stops nothing: the picture is made all the same.
        (outcome,) = await asyncio.shield(task)
    except (ModelsLabError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=503)
    if outcome.error is not None:
        return web.json_response({"error": str(outcome.error)}, status=502)
    return web.FileResponse(outcome.paths[0])


@routes.get("/pictures/{name}")
async def get(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if not NAME.fullmatch(name):
        raise web.HTTPNotFound
    path = await asyncio.to_thread(found, name)
    if path is None:
        waits = request.app[LAB].stats().waiting_for
        under_way = name in request.app[UNDER_WAY]
        status = 202 if under_way else 404
        return web.json_response({"waiting_for": waits}, status=status)
    return web.FileResponse(path)


def application() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(lifetime)
    app.add_routes(routes)
    if BELL is not None:
        app.add_routes(BELL.routes())
    return app


if __name__ == "__main__":
    web.run_app(
        application(),
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8000")),
        # Who waits is told that we go, and asks again.
        shutdown_timeout=0.5,
    )
