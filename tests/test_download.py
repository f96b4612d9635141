"""
From a link to a file, whole or not at all.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import gzip
import hashlib
import io
import os
import random
import threading
import zlib

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from PIL import Image as Pillow

from modelslab_async import Timeouts
from modelslab_async._output import download
from modelslab_async._output.download import Downloads, name_prefix
from modelslab_async._protocol.replies import FileReply
from modelslab_async.errors import (
    DownloadError,
    JobUnfinishedError,
    TransportError,
    UnsafeUrlError,
)
from modelslab_async.results import Generation, Image


pytestmark = pytest.mark.asyncio

TIMEOUTS = Timeouts().faster(2000)
URL, PROXY, FRESH = (
    f"https://{host}.example/0.png" for host in ("store", "proxy", "fresh")
)


def drawn(form: str, side: int = 16) -> bytes:
    """
    A picture of dots, as Pillow writes it.
    """
    dots = random.Random(7).randbytes(side * side * 3)
    file = io.BytesIO()
    # Dots get no smaller by trying.
    Pillow.frombytes("RGB", (side, side), dots).save(
        file, form, compress_level=0
    )
    return file.getvalue()


PNG, JPEG, WEBP = map(drawn, ("PNG", "JPEG", "WEBP"))
#: Too large to be kept in memory while it comes.
LARGE = drawn("PNG", 900)
HTML = b"<!DOCTYPE html><title>404</title>"


@attrs.define
class Answer:
    """
    One answer of a store.

    *breaks*: it ends in an error; *hangs*: it never ends.
    """

    body: bytes = PNG
    status: int = 200
    retry_after: float | None = None
    breaks: bool = False
    hangs: bool = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for at in range(0, len(self.body), 65536):
            yield self.body[at : at + 65536]
        if self.hangs:
            await asyncio.Event().wait()
        if self.breaks:
            raise TransportError("the line broke", sent=True)


@attrs.define
class Store:
    """
    Whatever opens links: each has its answers, the last one for good.
    """

    answers: dict[str, list[Answer | Exception]]
    asked: list[str] = attrs.field(factory=list)

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[FileReply]:
        self.asked.append(url)
        queue = self.answers[url]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        yield FileReply(answer.status, answer.retry_after, answer.chunks())


def store(**answers: list[Answer | Exception]) -> Store:
    """
    A store with what lies behind *url*, *proxy* and *fresh*.
    """
    links = {"url": URL, "proxy": PROXY, "fresh": FRESH}
    return Store({links[name]: list(queue) for name, queue in answers.items()})


def downloads(
    opens: Store, cap_bytes: int = download.PICTURE_CAP_BYTES
) -> Downloads:
    return Downloads(opens.open, TIMEOUTS, cap_bytes=cap_bytes)


def job(*images: Image, id_: str | None = "7") -> Generation:
    return Generation(id_, "track", images or (Image(0, URL, PROXY),))


def names(directory: Path) -> list[str]:
    """
    All that lies there, hidden files too.
    """
    return sorted(path.name for path in directory.iterdir())


LATE: list[Answer | Exception] = [
    Answer(HTML, 404),
    Answer(HTML, 403),
    Answer(HTML),
    Answer(b""),
    Answer(b"busy", 503, retry_after=0.001),
    Answer(b"slow down", 429),
    Answer(PNG[:-1]),
    Answer(PNG[:50], breaks=True),
    TransportError("refused", sent=False),
    Answer(PNG),
]


async def test_late_links_are_waited_for() -> None:
    """
    Whatever a store says before a picture is there, it is asked again.
    """
    opens = store(url=LATE)

    data = await downloads(opens).read(Image(0, URL))

    assert data == PNG
    assert len(opens.asked) == len(LATE)


async def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The pauses between tries grow to the longest one, all within the wait for
    late links, and a store's own wish comes before.
    """
    now, pauses = [0.0], []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(anyio, "current_time", lambda: now[0])
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    opens = store(url=[Answer(HTML, 429, retry_after=30), Answer(HTML, 404)])

    with pytest.raises(DownloadError, match="HTTP 404 at https://store"):
        await Downloads(opens.open, Timeouts()).read(Image(0, URL))

    assert pauses[:6] == [30, 1, 2, 4, 8, 8]
    assert sum(pauses) == 120


async def test_proxy_is_the_second_try() -> None:
    """
    A proxy is not asked before the link had its chance, then beside it.
    """
    opens = store(url=[Answer(HTML, 404)], proxy=[Answer(JPEG)])

    data = await downloads(opens).read(Image(0, URL, PROXY))

    assert data == JPEG
    assert opens.asked == [URL, URL, PROXY]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(HTML, 410), "HTTP 410"),
        (Answer(b"", 302), "HTTP 302"),
        (Answer(b"%PDF\0\1\2\3\4"), "no picture: begins with 25 50 44 46"),
        (Answer(PNG + bytes(3000)), "more than 3000 bytes"),
        (Answer(b"A" * (2 << 20)), "more than 3000 bytes"),
    ],
)
async def test_hopeless_links_are_not_asked_again(
    answer: Answer, reason: str
) -> None:
    """
    What waiting cannot mend goes to the proxy at once, and then ends.
    """
    opens = store(url=[answer], proxy=[answer])

    with pytest.raises(DownloadError, match=reason) as caught:
        await downloads(opens, cap_bytes=3000).read(Image(0, URL, PROXY))

    assert caught.value.__cause__ is None
    assert opens.asked == [URL, PROXY]


@pytest.mark.parametrize("status", [200, 203, 206])
@pytest.mark.parametrize(
    "body",
    [
        PNG,
        gzip.compress(PNG, mtime=0),
        gzip.compress(LARGE, 0, mtime=0),
        zlib.compress(PNG),
    ],
)
async def test_codes_and_packings_of_pictures(
    status: int, body: bytes, tmp_path: Path
) -> None:
    """
    A whole picture is taken, whatever proxies and caches made of it.
    """
    room = downloads(store(url=[Answer(body, status)]))

    path = await room.save(Image(0, URL), tmp_path / "a")
    data = await room.read(Image(0, URL))

    assert path.read_bytes() == data
    assert data in (PNG, LARGE)


async def test_parts_are_asked_for_again() -> None:
    """
    A part that is not all of the picture is not taken for it.
    """
    opens = store(url=[Answer(PNG[:-9], 206), Answer(PNG)])

    assert await downloads(opens).read(Image(0, URL)) == PNG
    assert len(opens.asked) == 2


async def test_unsafe_links_say_so() -> None:
    """
    A link to where no picture can be is an error of its own, also where the
    proxy fails otherwise; fresh links are not asked for.
    """
    unsafe = UnsafeUrlError("localhost is at 127.0.0.1")
    opens = store(url=[unsafe], proxy=[Answer(HTML, 410)])

    async def fresh() -> Generation:
        raise AssertionError

    with pytest.raises(UnsafeUrlError, match="localhost") as caught:
        await downloads(opens).store(job(), Path("nowhere"), fresh=fresh)

    assert caught.value.generation == job()
    assert not Path("nowhere").exists()


async def test_slow_lines_count_as_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A line that drips is given up and asked again.
    """
    ticks = iter(range(0, 10_000, 60))
    monkeypatch.setattr(anyio, "current_time", lambda: next(ticks))
    opens = store(url=[Answer(LARGE)])

    with pytest.raises(DownloadError, match="too slow"):
        await Downloads(
            opens.open, attrs.evolve(Timeouts(), link_retry_first=0)
        ).read(Image(0, URL))


async def test_no_link_at_all() -> None:
    """
    A picture without link and bytes is an error, not a wait.
    """
    with pytest.raises(DownloadError, match="has no link"):
        await downloads(store()).read(Image(0, None))


PLAIN = base64.b64encode(PNG)


@pytest.mark.parametrize(
    "image",
    [
        Image(0, None, data=PNG),
        Image(0, None, data=PLAIN),
        Image(0, "data:image/png;base64," + PLAIN.decode()),
        Image(0, URL),
    ],
)
async def test_pictures_in_text(image: Image, tmp_path: Path) -> None:
    """
    Bytes in the answer, data URIs and links to texts give the same picture.
    """
    room = downloads(store(url=[Answer(b"data:image/png;base64," + PLAIN)]))

    await room.save(image, tmp_path / "a")
    data = await room.read(image)

    assert (tmp_path / "a").read_bytes() == data == PNG


@pytest.mark.parametrize(
    ("data", "reason"),
    [(PNG[:-1], "a PNG cut"), (PNG + bytes(3000), "more than 3000 bytes")],
)
async def test_inline_rubbish_is_an_error(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    """
    Bytes in the answer that are no picture cannot become one by waiting.
    """
    image = Image(0, None, data=data)

    with pytest.raises(DownloadError, match=f"the service sent {reason}"):
        await downloads(store(), 3000).save(image, tmp_path / "a")

    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "kind"), [(PNG, "png"), (JPEG, "jpg"), (WEBP, "webp")]
)
async def test_stored(body: bytes, kind: str, tmp_path: Path) -> None:
    """
    A file is named by what its bytes are, and told with its facts.
    """
    opens = store(url=[Answer(body)])

    (one,) = await downloads(opens).store(
        job(), tmp_path / "a" / "b", "000001-9"
    )

    assert one.path == tmp_path / "a" / "b" / f"000001-9-0.{kind}"
    assert one.path.read_bytes() == body
    assert names(one.path.parent) == [one.path.name]
    assert one.path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert (one.url, one.size_bytes, one.width, one.height) == (
        URL,
        len(body),
        16,
        16,
    )
    assert one.sha256 == hashlib.sha256(body).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("text", [True, False])
async def test_large_ones(cut: bool, text: bool, tmp_path: Path) -> None:
    """
    What is too large for memory is whole on disk too, also at the second
    try, and when it comes as text.
    """
    body = base64.encodebytes(LARGE) if text else LARGE
    first = [Answer(body[: len(body) - 100])] if cut else []
    room = downloads(store(url=[*first, Answer(body)]))

    path = await room.save(Image(0, URL), tmp_path / "large")
    data = await room.read(Image(0, URL))

    assert path.read_bytes() == data == LARGE
    assert names(tmp_path) == ["large"]


async def test_large_ones_to_memory_again() -> None:
    """
    A second try to memory keeps nothing of the first.
    """
    room = downloads(store(url=[Answer(LARGE[:-1]), Answer(LARGE)]))

    assert await room.read(Image(0, URL)) == LARGE


async def test_saved_to_exactly_the_path(tmp_path: Path) -> None:
    """
    `save` keeps the name that it is given, replaces what is there, and a
    symbolic link itself.
    """
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"gold")
    path = tmp_path / ("x" * 250)
    path.symlink_to(treasure)

    saved = await downloads(store(url=[Answer(JPEG)])).save(
        Image(0, URL), path
    )

    assert saved == path
    assert not path.is_symlink()
    assert path.read_bytes() == JPEG
    assert treasure.read_bytes() == b"gold"


async def test_fresh_links_are_asked_for_once(tmp_path: Path) -> None:
    """
    When all links are gone, fresh ones are asked for, once for all pictures.
    """
    asked = []
    opens = store(url=[Answer(HTML, 410)], fresh=[Answer(PNG)])
    old = job(*(Image(place, URL) for place in range(3)))

    async def fresh() -> Generation:
        asked.append(1)
        return job(*(Image(place, FRESH) for place in range(3)))

    saved = await downloads(opens).store(old, tmp_path, fresh=fresh)

    assert asked == [1]
    assert [one.url for one in saved] == [FRESH] * 3
    assert names(tmp_path) == ["7-0.png", "7-1.png", "7-2.png"]


async def test_fresh_links_may_be_gone_too(tmp_path: Path) -> None:
    """
    What cannot be had names the job and what was saved, and keeps the rest.
    """
    opens = store(
        url=[Answer(PNG)], proxy=[Answer(HTML, 404)], fresh=[Answer(HTML, 410)]
    )
    renewed = job(Image(0, URL), Image(1, FRESH))

    async def fresh() -> Generation:
        return renewed

    with pytest.raises(DownloadError, match="job 7: HTTP 410") as caught:
        await downloads(opens).store(
            job(Image(0, URL), Image(1, PROXY), Image(2, PROXY)),
            tmp_path,
            fresh=fresh,
        )

    assert caught.value.paths == (tmp_path / "7-0.png",)
    assert caught.value.generation == renewed
    assert names(tmp_path) == ["7-0.png"]


async def test_fresh_links_may_lack_a_picture(tmp_path: Path) -> None:
    """
    A picture that is not among the fresh links is an error that says so.
    """
    opens = store(url=[Answer(HTML, 410)])

    async def fresh() -> Generation:
        return job(Image(5, FRESH))

    with pytest.raises(DownloadError, match=r"410.*; not among the fresh"):
        await downloads(opens).store(job(Image(0, URL)), tmp_path, fresh=fresh)


async def test_no_fresh_links_is_not_the_disk(tmp_path: Path) -> None:
    """
    A job that cannot be asked does not look like a full disk, though its
    error is a TimeoutError and so an OSError.
    """
    opens = store(url=[Answer(HTML, 410)])

    async def fresh() -> Generation:
        raise JobUnfinishedError("7")

    with pytest.raises(DownloadError, match="no fresh links: job 7") as caught:
        await downloads(opens).store(job(Image(0, URL)), tmp_path, fresh=fresh)

    assert not caught.value.disk


async def test_the_same_picture_is_left_as_it_is(tmp_path: Path) -> None:
    """
    Downloaded again, the same picture keeps its file.
    """
    room = downloads(store(url=[Answer(PNG)]))
    (first,) = await room.store(job(), tmp_path)
    before = first.path.stat()

    (second,) = await room.store(job(), tmp_path)

    assert second == attrs.evolve(first, url=None)
    assert second.path.stat().st_mtime_ns == before.st_mtime_ns
    assert second.path.stat().st_ino == before.st_ino


async def test_a_picture_outlives_its_link(tmp_path: Path) -> None:
    """
    A whole picture whose link is gone is given again, after one question.
    """
    (tmp_path / "7-0.webp").write_bytes(WEBP)
    opens = store(url=[Answer(HTML, 404)])

    (one,) = await downloads(opens).store(job(), tmp_path)

    assert one.path.name == "7-0.webp"
    assert opens.asked == [URL]


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (WEBP, "7-0.webp is another picture; overwrite=True"),
        (b"gold", "7-0.webp is there, and is no whole picture"),
    ],
)
async def test_what_is_there_is_not_replaced(
    there: bytes, reason: str, tmp_path: Path
) -> None:
    """
    Without *overwrite* another file of that name stays, and is an error.
    """
    path = tmp_path / "7-0.webp"
    path.write_bytes(there)

    with pytest.raises(DownloadError, match=reason):
        await downloads(store(url=[Answer(PNG)])).store(job(), tmp_path)

    assert path.read_bytes() == there
    assert names(tmp_path) == ["7-0.webp"]


async def test_overwrite_replaces(tmp_path: Path) -> None:
    """
    With *overwrite* what is there goes.
    """
    path = tmp_path / "7-0.png"
    path.write_bytes(b"gold")

    await downloads(store(url=[Answer(PNG)])).store(
        job(), tmp_path, overwrite=True
    )

    assert path.read_bytes() == PNG


@pytest.mark.parametrize("id_", ["../x", "a b", "x" * 129, "é"])
async def test_odd_ids_are_no_names(id_: str) -> None:
    """
    An id that could lead elsewhere gives its hash instead, whatever the links
    are.
    """
    one, other = job(id_=id_), job(Image(0, FRESH), id_=id_)

    assert name_prefix(one) == name_prefix(other)
    assert name_prefix(one) != name_prefix(job(id_="msg.01A"))
    assert len(name_prefix(one)) == 20
    assert name_prefix(job(id_="a-B_1")) == "a-B_1"


@pytest.mark.parametrize("id_", [None, ""])
async def test_no_id_is_no_name(id_: str | None) -> None:
    """
    Without an id a hash of the links is the name.
    """
    one, other = job(id_=id_), job(Image(0, FRESH), id_=id_)

    assert name_prefix(one) == name_prefix(job(id_=None))
    assert name_prefix(one) != name_prefix(other)


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_a_full_disk_leaves_nothing(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What the disk refuses is an error with the OSError as its cause, asked
    for once, and nothing half-written stays.
    """

    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    opens = store(url=[Answer(PNG)])
    monkeypatch.setattr(os, call, refuse)

    with pytest.raises(DownloadError, match="could not be kept") as caught:
        await downloads(opens).store(job(), tmp_path, overwrite=True)

    cause = caught.value.__cause__
    assert caught.value.disk
    assert isinstance(cause, OSError)
    assert cause.errno == code
    assert opens.asked == [URL]
    assert names(tmp_path) == []


async def test_a_file_for_a_folder(tmp_path: Path) -> None:
    """
    A folder that cannot be made is the disk's error too.
    """
    (tmp_path / "a").write_bytes(b"gold")
    room = downloads(store(url=[Answer(PNG)]))

    with pytest.raises(DownloadError, match=r"File exists|Not a directory"):
        await room.save(Image(0, URL), tmp_path / "a" / "b")


@pytest.mark.parametrize("scope", ["asyncio", "anyio"])
async def test_cancelled_while_it_comes(scope: str, tmp_path: Path) -> None:
    """
    A cancelled save leaves no temporary file.
    """
    begun = asyncio.Event()
    room = downloads(store(url=[Answer(LARGE, hangs=True)]))

    async def save() -> None:
        with anyio.CancelScope() as anyios:
            scopes.append(anyios)
            begun.set()
            await room.save(Image(0, URL), tmp_path / "a")

    scopes: list[anyio.CancelScope] = []
    task = asyncio.create_task(save())
    await begun.wait()
    while not names(tmp_path):
        await asyncio.sleep(0)
    (scopes[0] if scope == "anyio" else task).cancel()
    await asyncio.wait({task})

    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
async def test_cancelled_at_the_disk(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Cancelled, twice, while a thread is at the disk, a save waits for the
    thread, so that what it writes is cleaned up.
    """
    inside, go = threading.Event(), threading.Event()
    real: Callable[..., object] = getattr(os, call)

    def slow(*args: object) -> object:
        inside.set()
        go.wait(10)
        return real(*args)

    monkeypatch.setattr(os, call, slow)
    room = downloads(store(url=[Answer(PNG)]))
    task = asyncio.create_task(room.save(Image(0, URL), tmp_path / "a"))
    while not inside.is_set():
        await asyncio.sleep(0)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    # Both are right: whole under its name, or not at all.
    assert names(tmp_path) in ([], ["a"])


async def test_cancelled_with_other_pictures(tmp_path: Path) -> None:
    """
    A cancelled `store` leaves only after all its pictures have.
    """
    room = downloads(
        store(url=[Answer(PNG)], proxy=[Answer(LARGE, hangs=True)])
    )
    images = [Image(0, URL), *(Image(place, PROXY) for place in (1, 2, 3))]

    task = asyncio.create_task(room.store(job(*images), tmp_path))
    while len(names(tmp_path)) < 4:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert names(tmp_path) in ([], ["7-0.png"])
