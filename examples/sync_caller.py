"""
Callers without an event loop, as in Django, Flask or Celery: one client in a
thread with a loop of its own, asked from any other thread.

    MODELSLAB_API_KEY=… python examples/sync_caller.py
    curl localhost:8000/cat/a+cat+on+a+wall > cat.png

Here the callers are the threads of Python's own HTTP server.  In Celery make
one `Studio` for each worker process (`worker_process_init`), after it forked,
and call `studio.picture(self.request.id, prompt)` in the task: a task that is
delivered twice, or again after a crash, takes up what the first had bought.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading

from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from modelslab_async import ModelsLab, TextToImage, media_type
from modelslab_async.errors import ModelsLabError


T = TypeVar("T")


class Studio:
    """
    A client for synchronous callers; made once in each process.

    Args:
        folder: Each task has a folder in it, with a journal of its own.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.lab = ModelsLab(**options)
        self.call(self.lab.__aenter__())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run something on the client's loop, and wait for it in this thread.
        """
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def picture(self, task: str, prompt: str) -> Path:
        """
        The picture of a task; asked for again it is the same one.
        """
        return self.call(self.make(task, prompt))

    async def make(self, task: str, prompt: str) -> Path:
        spec = TextToImage(prompt, model_id="flux")
        (outcome,) = await self.lab.batch([spec], output=self.folder / task)
        outcome.unwrap()
        return outcome.paths[0]

    def close(self) -> None:
        """
        Who still waits gets an error, and asks again after the restart.
        """
        self.call(self.lab.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Handler(BaseHTTPRequestHandler):
    studio: Studio

    def do_GET(self) -> None:
        task, _, prompt = self.path.strip("/").partition("/")
        if not (re.fullmatch(r"[a-z0-9-]{1,64}", task) and prompt):
            self.send_error(404)
            return
        try:
            path = self.studio.picture(task, unquote_plus(prompt))
        except (ModelsLabError, ValueError) as error:
            self.send_error(503, explain=str(error))
            return
        picture = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", str(media_type(picture)))
        self.send_header("Content-Length", str(len(picture)))
        self.end_headers()
        self.wfile.write(picture)


def main() -> None:
    folder = Path(os.environ.get("PICTURES", "pictures"))
    Handler.studio = studio = Studio(folder)
    port = int(os.environ.get("PORT", "8000"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def stop(*_: object) -> None:
        # Not here: it waits for the loop that we interrupt.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever()
    studio.close()
    server.server_close()


if __name__ == "__main__":
    main()
