"""
Hosts of pictures that do what real ones do, by the public names.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import zlib

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from PIL import Image as Pillow

from modelslab_async import Generation, Image, ModelsLab, Timeouts
from modelslab_async.errors import DownloadError, UnsafeUrlError


pytestmark = pytest.mark.asyncio


def drawn() -> bytes:
    """
    A picture of dots.
    """
    dots = random.Random(7).randbytes(16 * 16 * 3)
    file = io.BytesIO()
    Pillow.frombytes("RGB", (16, 16), dots).save(file, "PNG")
    return file.getvalue()


PNG = drawn()


@asynccontextmanager
async def host(answer: bytes) -> AsyncIterator[str]:
    """
    A host that gives one answer to all; its address.
    """

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


def lab(base_url: str) -> ModelsLab:
    """
    A client that trusts that host, and has little patience.
    """
    waits = attrs.evolve(Timeouts(), late_link=0.0)
    return ModelsLab("key", base_url=base_url, timeouts=waits)


def says(body: bytes, *fields: str, code: str = "200 OK") -> bytes:
    """
    An answer that ends with the connection.
    """
    head = "\r\n".join([f"HTTP/1.1 {code}", *fields, "", ""])
    return head.encode() + body


@pytest.mark.parametrize(
    "answer",
    [
        says(PNG),
        says(PNG, code="203 Non-Authoritative Information"),
        says(PNG, f"Content-Range: bytes 0-9/{len(PNG)}", code="206 Part"),
        says(PNG, "Content-Encoding: gzip"),
        says(PNG, "Content-Encoding: deflate"),
        says(PNG, "Content-Encoding: br"),
        says(PNG, "Content-Encoding: rubbish"),
        says(gzip.compress(PNG, mtime=0), "Content-Encoding: gzip"),
        says(gzip.compress(PNG, mtime=0)),
        says(gzip.compress(PNG, mtime=0), "Content-Encoding: identity"),
        says(zlib.compress(PNG), "Content-Encoding: deflate"),
        says(zlib.compress(PNG), "Content-Encoding: gzip"),
        says(zlib.compress(PNG)[2:-4], "Content-Encoding: deflate"),
        says(PNG, "Content-Type: text/html"),
        says(PNG, code="201 Created"),
        says(PNG, code="202 Accepted"),
        says(PNG, f"Content-Length: {len(PNG) + 9}"),
        says(b"%x\r\n" % len(PNG) + PNG, "Transfer-Encoding: chunked"),
    ],
)
async def test_whole_pictures_are_taken(answer: bytes, tmp_path: Path) -> None:
    """
    Whatever a host says of it, a whole picture is read and saved.
    """
    async with host(answer) as url, lab(url) as client:
        image = Image(0, f"{url}/a.png")

        data = await client.read(image)
        path = await client.save(image, tmp_path / "a.png")

    assert data == path.read_bytes() == PNG


@pytest.mark.parametrize(
    "answer",
    [
        says(PNG[:-1], code="206 Part"),
        says(PNG[100:], code="206 Part"),
        says(gzip.compress(PNG, mtime=0)[:-30], "Content-Encoding: gzip"),
        says(b"", code="204 No Content"),
        says(b"wait", code="202 Accepted"),
        says(PNG, code="404 Not Found"),
        says(PNG[:-1], f"Content-Length: {len(PNG)}"),
    ],
)
async def test_others_are_errors(answer: bytes, tmp_path: Path) -> None:
    """
    What is not a whole picture is an error, and leaves nothing.
    """
    await refuses(answer, tmp_path)


async def test_bombs_are_errors(tmp_path: Path) -> None:
    """
    So is what is small on the wire only.
    """
    bomb = gzip.compress(bytes(60 << 20), 1)

    await refuses(says(bomb, "Content-Encoding: gzip"), tmp_path)


async def refuses(answer: bytes, tmp_path: Path) -> None:
    """
    See that a host's answer is an error, and leaves nothing.
    """
    async with host(answer) as url, lab(url) as client:
        with pytest.raises(DownloadError) as caught:
            await client.save(Image(0, f"{url}/a.png"), tmp_path / "a.png")

    assert not caught.value.disk
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "link",
    [
        f"https://{'a' * 64}.example/a.png",
        "https://a..example/a.png",
        "https://.example/a.png",
        "https://./a.png",
        f"https://{'a.' * 200}example/a.png",
        "https://xn--a.example/a.png",
        "https://\ud800.example/a.png",
        "https://a\u2024\u2024b.example/a.png",
        "https://[::1/a.png",
        "https://a.example:99999/a.png",
        "https://%zz/a.png",
        "https:///a.png",
        "file:///etc/passwd",
        "a.png",
    ],
)
async def test_bad_links_are_their_pictures_error(
    link: str, tmp_path: Path
) -> None:
    """
    A link that nothing can be made of is a `DownloadError` with its
    generation, and the other picture is saved.
    """
    async with host(says(PNG)) as url, lab(url) as client:
        images = (Image(0, link), Image(1, f"{url}/a.png"))
        generation = Generation(None, None, images)

        with pytest.raises(DownloadError) as caught:
            await client.download(generation, tmp_path)

    assert caught.value.generation == generation
    assert [path.name[-6:] for path in caught.value.paths] == ["-1.png"]


async def test_unsafe_links_are_called_so() -> None:
    """
    A link to where no picture can be says so.
    """
    async with host(says(PNG)) as url, lab(url) as client:
        with pytest.raises(UnsafeUrlError):
            await client.read(Image(0, "http://169.254.169.254/a.png"))
