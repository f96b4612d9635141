"""
Answers over real sockets, packed and cut as they are.
"""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from peers import a_pool, head, peer, says

from modelslab_async._protocol.replies import Cut, Reply


pytestmark = pytest.mark.asyncio


JSON = b'{"status":"processing","id":7}'
SALT = random.Random(7).randbytes(60).hex().encode()
DEFLATE = zlib.compress(JSON)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", JSON),
        (b"deflate", JSON),
        (b"br", JSON),
        (b"zstd", JSON),
        (b"who knows", JSON),
        (b"gzip", gzip.compress(JSON, mtime=0)),
        (b"identity", gzip.compress(JSON, mtime=0)),
        (b"br", gzip.compress(JSON, mtime=0)),
        (b"deflate", gzip.compress(JSON, mtime=0)),
        (b"gzip", DEFLATE),
        (b"deflate", DEFLATE),
        (b"Deflate ", DEFLATE[2:-4]),
    ],
)
async def test_an_answer_that_is_packed_otherwise(
    encoding: bytes, body: bytes
) -> None:
    """
    What a gateway says of an answer's packing costs nobody the answer.
    """
    length = b"Content-Length: %d" % len(body)
    reply = head(b"Content-Encoding: " + encoding, length) + body
    async with peer(says(reply)) as other, a_pool() as pool:
        heard = await pool.submit(other.call)

    assert isinstance(heard, Reply)
    assert heard.body == JSON


@pytest.mark.parametrize(
    "reply",
    [
        head(b"Content-Length: 99") + JSON,
        head(b"Transfer-Encoding: chunked") + b"1E\r\n" + JSON + b"\r\n",
        head(b"Content-Length: 80")
        + gzip.compress(JSON[:-1] + b',"x":"' + SALT)[:80],
    ],
    ids=["length", "chunk", "gzip"],
)
async def test_what_came_of_an_answer_is_kept(reply: bytes) -> None:
    """
    An answer that did not come whole is none; what it began with is told.
    """
    async with peer(says(reply, more=False)) as other, a_pool() as pool:
        heard = await pool.submit(other.call)

    assert isinstance(heard, Cut)
    assert heard.came.startswith(JSON[:-1])
