"""
Pictures as a service, with FastAPI: orders come in, pictures go out, and a
page shows how it goes.  A restart loses no order and buys none twice.

    pip install fastapi uvicorn
    MODELSLAB_API_KEY=… python examples/fastapi_service.py

PICTURES is the folder (default: pictures), PORT where it listens.  Where
ModelsLab can reach you, HOOKS is the URL of /hooks as it sees it (such as
https://pictures.example/hooks) and HOOKS_SECRET a long text: then nobody
polls.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import uuid

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn

from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse

from modelslab_async import ModelsLab, Outcome, specs, webhooks
from modelslab_async.errors import SpecError


FOLDER = Path(os.environ.get("PICTURES", "pictures"))
HOOKS = os.environ.get("HOOKS")
BELL = webhooks.Doorbell(HOOKS, os.environ["HOOKS_SECRET"]) if HOOKS else None


class Orders:
    """
    What was ordered, a line each in a file that outlives us.

    On start all of them go to the batch again: its journal knows which are
    done, which are paid for and under way, and which are still to be bought.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "orders.jsonl"
        self.made: dict[str, Outcome | None] = {}
        self.queue: asyncio.Queue[tuple[str, specs.Spec]] = asyncio.Queue()
        self.taken: deque[str] = deque()
        text = self.file.read_text() if self.file.exists() else ""
        # A line without its end was never answered with a number.
        for line in text[: text.rfind("\n") + 1].splitlines():
            order = json.loads(line)
            self.put(order["id"], specs.from_dict(order["spec"]))

    def put(self, name: str, spec: specs.Spec) -> None:
        self.made[name] = None
        self.queue.put_nowait((name, spec))

    async def add(self, body: dict[str, Any]) -> str:
        spec, name = specs.from_dict(body), uuid.uuid4().hex
        line = json.dumps({"id": name, "spec": specs.to_dict(spec)})
        await asyncio.to_thread(self.write, line)
        self.put(name, spec)
        return name

    def write(self, line: str) -> None:
        with self.file.open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    async def __aiter__(self) -> AsyncIterator[specs.Spec]:
        while True:
            name, spec = await self.queue.get()
            self.taken.append(name)
            yield spec

    def keys(self) -> Iterator[str]:
        while True:
            yield self.taken.popleft()


async def read(batch: Any, orders: Orders) -> None:
    async for outcome in batch:
        orders.made[outcome.item] = outcome


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    orders = Orders(FOLDER)
    async with (
        ModelsLab(doorbell=BELL) as lab,
        lab.batch(orders, output=FOLDER, items=orders.keys()) as batch,
    ):
        app.state.orders, app.state.batch = orders, batch
        reading = asyncio.create_task(read(batch, orders))
        yield
        reading.cancel()


app = FastAPI(lifespan=lifespan)
if BELL is not None:
    app.mount("/hooks", BELL.asgi)


@app.post("/orders", status_code=202)
async def order(body: Annotated[dict[str, Any], Body()]) -> dict[str, str]:
    try:
        return {"id": await app.state.orders.add(body)}
    except SpecError as error:
        # Every fault of it, at once.
        raise HTTPException(
            422, [str(one) for one in error.problems]
        ) from None


@app.get("/orders/{name}")
async def look(name: str) -> dict[str, Any]:
    made = app.state.orders.made
    if name not in made:
        raise HTTPException(404)
    outcome = made[name]
    if outcome is None:
        return {"state": "waiting"}
    if outcome.error is not None:
        return {"state": "failed", "error": str(outcome.error)}
    pictures = [f"/pictures/{path.name}" for path in outcome.paths]
    return {"state": "done", "pictures": pictures}


@app.get("/pictures/{name}")
async def picture(name: str) -> FileResponse:
    # A name of a path's has no folder in it, and images/ only pictures.
    path = FOLDER / "images" / Path(name).name
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path)


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    now = app.state.batch.progress
    waits = f", waiting for {now.waiting_for}" if now.waiting_for else ""
    said = f"{now.done} done, {now.failed} failed, {now.in_flight} in flight"
    done = [one for one in app.state.orders.made.values() if one and one.ok]
    shown = "".join(
        f'<img src="/pictures/{path.name}" height="128">'
        for outcome in done[-50:]
        for path in outcome.paths
    )
    head = '<!doctype html><meta http-equiv="refresh" content="2">'
    return f"{head}<p>{html.escape(said + waits)}</p>{shown}"


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
