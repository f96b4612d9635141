"""
The weather of storms: what a service is like, what it answers instead of the
truth, and when that is over; all of it from dice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aiohttp import web
from worker import asked

from modelslab_async import TextToImage
from modelslab_async.simulator import Edit, Fault, Reply, Rings, Simulator
from modelslab_async.specs import Spec
from modelslab_async.webhooks import Doorbell


KEY = "a-key"
#: How many items the batch of a storm has.
ITEMS = 12

_Answers = Sequence[Fault | Reply | Edit | Rings]


def _no(status: int, message: str) -> Reply:
    return Reply(status, {"status": "error", "message": message})


#: What comes instead of an answer to a submit, or spoils it.
_SUBMIT: _Answers = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.SERVER_ERROR,
    Fault.REDIRECT,
    Fault.RESET_AFTER,
    Fault.SILENCE,
    Fault.GATEWAY_TIMEOUT,
    Fault.CLOUDFLARE_TIMEOUT,
    Fault.TORN,
    Fault.HALF_BODY,
    Fault.UNSIZED,
    Fault.HTML,
    Fault.SLOW_BODY,
    Fault.SLOW_HEADERS,
    Fault.WRONG_TYPE,
    Fault.GZIP_BOMB,
    _no(429, "Maximum 2 queued requests"),
    _no(429, "Too many requests, please try again in 0.3 seconds"),
    _no(200, "Rate limit exceeded"),
    _no(200, "Try Again"),
    _no(200, "something else is wrong"),
    _no(200, "Model id not found"),
    _no(401, "Invalid Api Key"),
    _no(402, "Insufficient credits"),
    _no(403, "This feature requires a premium subscription"),
    _no(404, "The route could not be found."),
    Reply(200, b"<br />\n<b>Warning</b>: Undefined index in index.php"),
    Reply(200, b'{"status": "processing"}'),
    Reply(200, b'{"status": "success", "output": []}'),
    Reply(204),
    Reply(503, b"[]"),
    Edit({"eta": -3}, without=("fetch_result",)),
    Edit({"eta": "soon", "fetch_result": "http://[::1/x"}),
    Edit({"eta": 1e300, "meta": None, "future_links": "none"}),
    Edit({"status": "processing", "output": None, "future_links": [None, 3]}),
    Edit({"fetch_result": "http://198.51.100.7/api/v6/images/fetch/1"}),
    # Not the id: a job that failed at once and has none says "Try Again", as
    # a model that is being loaded does, which nobody can tell apart.
    Edit(status=503),
    Edit(headers={"X-Much": "x" * 20_000}),
)
_FETCH: _Answers = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.SERVER_ERROR,
    Fault.UNAVAILABLE,
    Fault.REDIRECT,
    Fault.SILENCE,
    Fault.TORN,
    Fault.HALF_BODY,
    Fault.HTML,
    Fault.SLOW_BODY,
    Fault.GZIP_BOMB,
    Reply(200, {"status": "success", "output": []}),
    Reply(200, b"\x00\xef\xbb\xbf{"),
    Reply(200, b'"success"'),
    _no(200, "Rate limit exceeded"),
    _no(429, "Too many requests, please try again in 0.2 seconds"),
    _no(401, "Invalid Api Key"),
    _no(402, "Insufficient credits"),
    Reply(404, {"status": "failed", "message": "Request not found"}),
    Reply(404, {"message": "The route could not be found."}),
    Edit({"status": "queued"}, without=("output",)),
    Edit({"id": 1}),
    Edit({"output": ["http://a..b/x.png"]}),
    Edit({"output": ["data:image/png;base64,%%%"]}),
    Edit({"output": {"0": None}}),
    Edit({"output": ["http://198.51.100.7/x.png"]}),
)
_FILE: _Answers = (
    Fault.RESET_BEFORE,
    Fault.MISSING,
    Fault.BAD_GATEWAY,
    Fault.SILENCE,
    Fault.REDIRECT,
    Fault.TORN,
    Fault.HALF_BODY,
    Fault.UNSIZED,
    Fault.SLOW_HEADERS,
    Fault.HTML,
    Fault.WRONG_TYPE,
    Fault.GZIP_BOMB,
    Reply(200, b""),
    Reply(301, headers={"Location": "http://198.51.100.7/x.png"}),
    Reply(200, b"\x89PNG\r\n\x1a\n" + bytes(100)),
)
_UPLOAD: _Answers = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.SERVER_ERROR,
    Fault.HTML,
    Fault.TORN,
    _no(200, "something is wrong with it"),
    _no(429, "Rate limit exceeded"),
    Edit({"output": [], "link": 7}),
)
_CALL: _Answers = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.HTML,
    _no(401, "Invalid Api Key"),
    Reply(200, b"[1, 2"),
)
#: Not another's id: with a poll that lies too it is believed.
_RINGS: _Answers = tuple(how for how in Rings if how is not Rings.OTHER_ID)

_KINDS: dict[str, tuple[_Answers, int]] = {
    "submit": (_SUBMIT, 5),
    "fetch": (_FETCH, 6),
    "file": (_FILE, 4),
    "upload": (_UPLOAD, 2),
    "call": (_CALL, 1),
    "webhook": (_RINGS, 4),
}


def service(dice: random.Random, speed: float) -> Simulator:
    """
    A service of some kind or other.
    """
    return Simulator(
        speed=speed,
        pictures="plain",
        seed=dice.randrange(1000),
        slots=dice.randint(1, 6),
        latency=dice.choice([1.0, 5.0]),
        hold=dice.choice([0.0, 0.2, 3.0]),
        instant=dice.choice([0.0, 0.0, 0.3]),
        queue_full=dice.choice(["maximum", "bare"]),
        profile=dice.choice(["classic", "documented"]),
        late_links=dice.choice([0.0, 2.0]),
        failures=dice.choice([0.0, 0.0, 0.1]),
        etas=dice.choice(["noisy", "constant", "absent", "high", "low"]),
        output=dice.choice(["list", "list", "str", "object", "empty"]),
        fetch=dice.choice(["both", "path", "body"]),
        fetch_reply=dice.choice(["short", "proxied", "full"]),
        fetch_result=dice.choice(["present", "present", "absent"]),
        future_links=dice.choice(["first", "all", "absent"]),
        proxy_links=dice.choice(["mixed", "list", "null", "absent"]),
        families=dice.choice(["own", "any"]),
        rings=dice.choice(["once", "late", "twice", "early", "announced"]),
        late_ring=2.0,
    )


@contextlib.contextmanager
def served(
    simulator: Simulator, *, bell: bool = False
) -> Iterator[tuple[Simulator, Doorbell | None]]:
    """
    Run it meanwhile, and a doorbell, in a thread, so that both outlive the
    loops of clients.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    door = socket.create_server(("127.0.0.1", 0))
    rung = Doorbell(
        f"http://127.0.0.1:{door.getsockname()[1]}/bell", "0123456789abcdef"
    )
    app = web.Application()
    app.add_routes(rung.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)

    async def start() -> None:
        await simulator.start()
        await runner.setup()
        await web.SockSite(runner, door).start()

    async def stop() -> None:
        await simulator.stop()
        await runner.cleanup()

    asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield simulator, rung if bell else None
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
        door.close()


def order(at: Simulator, dice: random.Random) -> None:
    """
    Order what goes wrong next.
    """
    for kind, (answers, most) in _KINDS.items():
        for _ in range(dice.randint(0, most)):
            at.next(
                kind,  # type: ignore[arg-type]  # one of its words
                dice.choice(answers),
                times=dice.choice([1, 1, 2, 4]),
                prompt=_some(dice.random(), dice.random()),
                seconds=dice.choice([1.0, 20.0]),
            )


def _some(share: float, seed: float) -> Callable[[str], bool] | None:
    """
    A share of whatever has a prompt; all, in a case of four.
    """
    if share < 0.25:
        return None
    own = random.Random(seed)
    return lambda _: own.random() < share


def clear(at: Simulator) -> None:
    """
    From now on the weather is fine.
    """
    at.forget_orders()
    at.change(failures=0.0)
    calm(at)


def calm(at: Simulator) -> None:
    """
    Nothing is wrong with the account any more.
    """
    at.change(keys=None, loading={})
    at.vacate(KEY)
    at.ban(KEY, 0.0)


def account(at: Simulator, dice: random.Random) -> None:
    """
    Let something happen to the account, or be over.
    """
    match dice.randrange(6):
        case 0:
            at.occupy(KEY, dice.randint(1, 3))
        case 1:
            at.vacate(KEY)
        case 2:
            at.change(keys={KEY: dice.choice(["no-credit", "blocked"])})
        case 3:
            at.change(keys=None)
        case 4:
            at.ban(KEY, dice.choice([5.0, 60.0]))
        case _:
            at.change(loading={"sdxl": 2, "flux": 1})


def items(mixed: Path | None, count: int = ITEMS) -> list[Spec]:
    """
    What a storm's batch is asked for: pictures of a text, or where there is a
    picture to begin with, of ten kinds.
    """
    picture = "" if mixed is None else str(mixed)
    return [asked(number, picture) for number in range(count)]


def loose(name: str, count: int) -> list[TextToImage]:
    """
    What nothing else asks for.
    """
    return [
        TextToImage(f"{name}-{number}.", model_id="sdxl", seed=number)
        for number in range(count)
    ]
