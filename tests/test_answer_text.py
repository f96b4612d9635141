"""
An answer is found in whatever stands around it, and what is torn is kept.
"""

from __future__ import annotations

import json
import time

import pytest

from modelslab_async._policy.verdicts import SubmitVerdict, judge_submit
from modelslab_async._protocol import decode
from modelslab_async._protocol.replies import (
    Processing,
    Reply,
    Success,
    Unreadable,
)


ACCEPTED = b'{"status":"processing","id":7}'
NOTICE = (
    b"<br />\n<b>Notice</b>: Undefined index: {main} in <b>/var/www/x.php</b>"
    b" on line <b>12</b><br />\n"
)


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0" + ACCEPTED,
        ACCEPTED + b"\0" * 512,
        b"\xef\xbb\xbf \n" + ACCEPTED,
        b" \xef\xbb\xbf" + ACCEPTED + b"\r\n\x0b\x0c",
        NOTICE + ACCEPTED,
        ACCEPTED + NOTICE,
        NOTICE + ACCEPTED + NOTICE,
        b'Warning: {"a": {"b": 1}} \n' + ACCEPTED,
        b"callback(" + ACCEPTED + b");",
        ACCEPTED + ACCEPTED,
        b'{"status":"processing","id":7,"meta":{"prompt":"caf\xe9"}}',
        b'{"status":"processing","id":7,"message":"\xf0\x9f\x98"}',
        NOTICE + b'{"status":"processing","id":7,"x":"\xff"}',
        *(
            ACCEPTED.decode().encode(f"utf-{name}")
            for name in ("16", "16-le", "16-be", "32")
        ),
        ACCEPTED.replace(b",", b"\0,\0"),
        ACCEPTED.replace(b",", b"\xff,\xfe"),
        b"".join(b"#%d x->{closure}()\n" % n for n in range(99)) + ACCEPTED,
        b'Notice: it\'s "bad {"a":1} {" {\'x\' \n' + ACCEPTED,
        b"{" * 100 + ACCEPTED,
        NOTICE + b'{"status":"processing","id":7,"meta":{"prompt":"<html>"}}',
        ACCEPTED + b"<!DOCTYPE html><html><body>500</body></html>",
        b"<!-- cached -->" + ACCEPTED,
        b'{"status":"error","message":"no cache"}\n' + ACCEPTED,
        b'{"status":"x"}' + ACCEPTED,
        ACCEPTED + b'{"status":"error","message":"a log"}',
        json.dumps(ACCEPTED.decode()).encode(),
        json.dumps(json.dumps(ACCEPTED.decode())).encode(),
        b"[" + ACCEPTED + b"]",
        b'{"data":' + ACCEPTED + b"}",
        ACCEPTED[:-1] + b",}",
        ACCEPTED[:-1] + b',"future_links":["https://a.example/0.png",],}',
        ACCEPTED[:-1] + b',"message":"can\\\'t \\x41 \\u12 \\" ,] 1"}',
        ACCEPTED[:-1] + b',"x":' + b"9" * 5000 + b"}",
        NOTICE + ACCEPTED[:-1] + b',"x":[-1.5e3,]}',
        ACCEPTED[:-1] + b',"x":NaN,"y":-Infinity,"z":1e999}',
        ACCEPTED[:-1] + b',"id":null}',
        ACCEPTED[:-1] + b',"status":"","id":""}',
        b'{"id":null,"status":null,' + ACCEPTED[1:],
    ],
    ids=range(41),
)
def test_readable_though_imperfect(body: bytes) -> None:
    """
    What stands around the JSON, or a broken character, costs no paid job.
    """
    heard = decode.decode(Reply(200, body))

    assert isinstance(heard, Processing)
    assert heard.id == "7"


@pytest.mark.parametrize(
    "body",
    [
        b"<html><script>var x = " + ACCEPTED + b"</script>",
        b"<!DOCTYPE html><pre>" + ACCEPTED,
        b'Notice: {"id": 7}',
        b"<html>{</html>" + ACCEPTED[:-1] + b",}",
        b'"' + ACCEPTED[:-1],
    ],
    ids=range(5),
)
def test_json_that_is_not_the_answer(body: bytes) -> None:
    """
    A page that shows JSON, or a notice that has some, is no answer.
    """
    assert isinstance(decode.decode(Reply(200, body)), Unreadable)


def test_a_strange_byte_in_a_link() -> None:
    """
    A link goes on leading where it led, and no half character stays.
    """
    body = (
        b'{"status":"success","output":["https://h.example/caf\xe9.png"],'
        b'"meta":{"prompt":"caf\xe9"}}'
    )

    heard = decode.decode(Reply(200, body))

    assert isinstance(heard, Success)
    assert heard.images[0].url == "https://h.example/caf%E9.png"
    assert json.loads(heard.meta_json) == {"prompt": "caf\ufffd"}


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b'{"status":"processing","id":7,"fetch_re', True),
        (b'{"status":"processing","id":7,', True),
        (b'{"status":"processing","id":7,"meta":{"id":8,"x":[1,', True),
        (NOTICE + b'{"status":"processing","id":7,"message":"a, \\"b', True),
        (b'{"status":"processing","id":7,"x":' + b"[" * 200_000, True),
        (b'{"status":"processing","id":7', False),
        (b'{"status":"processing","id":', False),
        (b'{"id":7', False),
        (b'<html>{"status":"processing","id":7,"x', False),
        (b"[" * 200_000, False),
        (b'{"a":' * 200_000, False),
    ],
    ids=range(11),
)
def test_torn(body: bytes, came: bool) -> None:
    """
    A torn answer is none, but the id that came whole is kept, and only that:
    half a number is another one.
    """
    heard = decode.decode(Reply(200, body))

    assert isinstance(heard, Unreadable)
    assert judge_submit(heard) is SubmitVerdict.UNKNOWN
    assert (json.loads(heard.raw_json).get("id") == 7) is came


@pytest.mark.parametrize(
    "piece",
    [
        *(
            b"{",
            b'{"',
            b'{"a":',
            b'{"a":[',
            b'{"a":{},',
            b'{"a":"',
            b'{"a":1}',
        ),
        *(
            b'"',
            b'\\"',
            b"\\",
            b"[",
            b"[1,",
            b",",
            b", ",
            b",]",
            b"\0",
            b"\xff",
        ),
        *(b"9", b"-", b"9 ", b"9" * 3999 + b" ", b'{"status":"x"}', b"{\n"),
        *(b'{"\\"', b"<html", b"<", b'"{\\"a\\":', b'{"a":"\\u12', b"\\u00"),
    ],
)
@pytest.mark.parametrize(
    ("before", "behind"),
    [(b"", b""), (b'{"status":', b""), (b'{"status":"x",,', b"{}")],
    ids=range(3),
)
# Long enough that what is quadratic takes minutes.
@pytest.mark.parametrize(
    "size", [1 << 15, pytest.param(1 << 17, marks=pytest.mark.slow)]
)
def test_the_worst_bodies_are_fast(
    piece: bytes, before: bytes, behind: bytes, size: int
) -> None:
    """
    Whatever repeats ten thousand times is read, or not, without holding up all
    others.
    """
    body = before + piece * (size // len(piece)) + behind

    began = time.perf_counter()
    decode.decode(Reply(200, body))

    assert time.perf_counter() - began < 2
