"""
Every reply has one right reading.
"""

from __future__ import annotations

import json

from typing import Any

import pytest

from answers import (
    ANY_JSON,
    BASE,
    DATE,
    EXCHANGES,
    LINK,
    TOLD,
    facts,
    told,
)
from hypothesis import example, given
from hypothesis import strategies as st

from modelslab_async import errors
from modelslab_async._policy.verdicts import (
    PollVerdict,
    SubmitVerdict,
    judge_poll,
    judge_submit,
)
from modelslab_async._protocol import decode, job_ids, refusals
from modelslab_async._protocol.replies import (
    Processing,
    Refusal,
    Reply,
    Success,
    Unreadable,
)


# The samples


def test_all_samples_are_here() -> None:
    """
    The 30 samples of the reference are 32 exchanges.
    """
    assert len(EXCHANGES) == 32
    assert len({one.id[:3] for one in EXCHANGES if one.id}) == 30


@pytest.mark.parametrize("exchange", TOLD)
def test_sample_told(exchange: dict[str, Any]) -> None:
    """
    A captured or documented reply means what its file says.
    """
    said = facts(told(exchange["body"], exchange["http"]))

    assert {name: said[name] for name in exchange["means"]} == (
        exchange["means"]
    )


@pytest.mark.parametrize(
    "exchange",
    [one for one in TOLD if one.values[0]["means"]["told"] != "Processing"],
)
def test_sample_raw(exchange: dict[str, Any]) -> None:
    """
    Nothing of an answer that ends a job is lost: its raw JSON is all of it.
    """
    heard = told(exchange["body"], exchange["http"])

    assert json.loads(heard.raw_json) == exchange["body"]


# What we are told: ids and numbers


@pytest.mark.parametrize(
    ("body", "job_id"),
    [
        ({"id": 5}, "5"),
        ({"id": " 5 "}, "5"),
        ({"id": 5.0}, "5"),
        ({"id": "abc123-def_456"}, "abc123-def_456"),
        ({"id": 2**60}, str(2**60)),
        ({"id": None}, None),
        ({"id": ""}, None),
        ({"id": True}, None),
        ({"id": [5]}, None),
        ({"id": "5/../6"}, None),
        ({"id": "\u0665"}, "\u0665"),
        ({"id": "gen:12/3"}, "gen:12/3"),
        ({"id": "msg.01A"}, "msg.01A"),
        ({"id": "a b\n"}, "a b"),
        ({"id": "a\nb"}, None),
        ({"id": ".."}, None),
        ({"id": "\ud800"}, None),
        ({"id": "5" * 128}, "5" * 128),
        ({"id": "5" * 129}, None),
        ({"id": float("nan")}, None),
        ({}, None),
        ({"request_id": 6}, "6"),
        ({"id": "", "meta": {"id": "7"}}, "7"),
        ({"fetch_result": f"{BASE}/images/fetch/8"}, "8"),
        ({"fetch_result": f"{BASE}/images/fetch"}, None),
        ({"fetch_result": "https://[/fetch/8"}, None),
        ({"id": 5, "fetch_result": f"{BASE}/images/fetch/8"}, "5"),
    ],
)
def test_id(body: dict[str, object], job_id: str | None) -> None:
    """
    An id is harmless text, from the first field that has one.
    """
    assert told({"status": "processing"} | body).id == job_id


@pytest.mark.parametrize(
    "value", [10**5000, -(10**200), b"5", object()], ids=range(4)
)
def test_no_id(value: object) -> None:
    """
    What cannot be an id is none.
    """
    assert job_ids.clean_id(value) is None


@pytest.mark.parametrize(
    ("eta", "seconds"),
    [
        ("2.5", 2.5),
        ("5", 5.0),
        ("0", 0.0),
        ("1e9", 86400.0),
        ("-1", None),
        ("1e999", None),
        ("-1e999", None),
        ("NaN", None),
        ("Infinity", None),
        ("true", None),
        ("null", None),
        ("[5]", None),
        ('"12.5"', 12.5),
        ('"1e999"', None),
        ('"nan"', None),
        ('"soon"', None),
        ("1" * 400, None),
    ],
)
def test_eta(eta: str, seconds: float | None) -> None:
    """
    An eta is finite and within a day, or there is none.
    """
    body = f'{{"status":"processing","id":1,"eta":{eta}}}'.encode()

    heard = decode.decode(Reply(200, body))

    assert isinstance(heard, Processing)
    assert heard.eta == seconds
    assert heard.id == "1"


@pytest.mark.parametrize(
    ("body", "seed"),
    [
        ({"meta": {"seed": 4280894440}}, 4280894440),
        ({"meta": {"seed": "12"}}, 12),
        ({"meta": {"seed": None}, "seed": 3}, 3),
        ({"meta": {"seed": 2**32}}, None),
        ({"meta": {"seed": -1}}, None),
        ({"meta": {"seed": 1.5}}, None),
        ({"meta": {"seed": True}}, None),
        ({"meta": [5]}, None),
    ],
)
def test_seed(body: dict[str, object], seed: int | None) -> None:
    """
    A seed is a whole number of 32 bits, from the echo of the request.
    """
    heard = told({"status": "success", "output": LINK} | body)

    assert heard.seed == seed


@pytest.mark.parametrize(
    ("body", "nsfw"),
    [
        ({"nsfw_content_detected": True}, True),
        ({"nsfw_content_detected": "no"}, False),
        ({"nsfw_content_detected": None}, None),
        ({"nsfw_content_detected": [False, "yes"]}, True),
        ({"nsfw_content_detected": [None]}, None),
        ({"has_nsfw_concept": [False]}, False),
        ({}, None),
    ],
)
def test_nsfw(body: dict[str, object], nsfw: bool | None) -> None:
    """
    The filter's word is read in any form, and its silence kept.
    """
    assert told({"status": "success", "output": LINK} | body).nsfw is nsfw


# What we are told: status words


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"status": " SUCCESS ", "id": 1}, Success),
        (500, {"status": "success", "id": 1, "output": LINK}, Success),
        (500, {"status": "Processing", "id": 1}, Processing),
        (200, {"status": "Error"}, Refusal),
        (200, {"status": "queued", "id": 1}, Processing),
        (200, {"status": "completed", "output": LINK}, Success),
        (200, {"status": "completed", "proxy_links": LINK}, Success),
        (200, {"status": "completed", "output": []}, Processing),
        (400, {"status": "rejected", "id": 1}, Refusal),
        (500, {"status": "completed", "output": LINK}, Success),
        (200, {"output": LINK}, Success),
        (500, {"output": LINK}, Refusal),
        (200, {"id": 1, "future_links": [LINK]}, Processing),
        (200, {"future_links": [LINK]}, Unreadable),
        (200, {"id": 1}, Unreadable),
        (200, {"status": 200}, Unreadable),
        (200, {"message": "Invalid Api Key"}, Refusal),
        (404, {"status": None}, Refusal),
        (404, {}, Refusal),
        (200, {}, Unreadable),
        (200, [], Unreadable),
        (200, "success", Unreadable),
        (200, None, Unreadable),
    ],
)
def test_status(status: int, body: object, kind: type) -> None:
    """
    A word of the service's own wins; without one the code and picture count.
    """
    assert isinstance(told(body, status), kind)


def test_refusal_without_word() -> None:
    """
    JSON at 400 without a status word is a refusal that says so.
    """
    heard = told({"message": "Not Found"}, 404)

    assert (heard.word, heard.message) == (None, "Not Found")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><title>502</title>",
        b'{"status":"success","outp',
        b"\xff\xfe{}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"null",
    ],
    ids=range(7),
)
def test_unreadable(body: bytes) -> None:
    """
    What is not the service's JSON is kept as a short line.
    """
    heard = decode.decode(Reply(502, body))

    assert isinstance(heard, Unreadable)
    assert len(heard.excerpt) <= 200
    assert heard.excerpt.isprintable()


def test_byte_order_mark() -> None:
    """
    A byte order mark and escaped slashes are no obstacle.
    """
    body = b'\xef\xbb\xbf{"status":"success","output":"https:\\/\\/a.b\\/c"}'

    heard = decode.decode(Reply(200, body))

    assert isinstance(heard, Success)
    assert heard.images[0].url == "https://a.b/c"


def test_half_character() -> None:
    """
    A lone surrogate in an answer does not make its raw JSON unreadable.
    """
    body = b'{"status":"error","message":"a\\ud800b"}'

    heard = decode.decode(Reply(200, body))

    assert isinstance(heard, Refusal)
    assert heard.message == "a?b"
    assert heard.raw_json.decode("utf-8") == body.decode()


# What we are told: messages


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "a"}, "a"),
        ({"messege": "a"}, "a"),
        ({"message": "", "messege": "a"}, "a"),
        (
            {"message": {"prompt": ["a.", "b."], "x": "c"}},
            "prompt: a.; b.; x: c",
        ),
        ({"message": ["a", "", "b"]}, "a; b"),
        ({"error": {"code": "x", "message": "a"}}, "a"),
        ({"error": "a"}, "a"),
        ({"errors": {"width": ["a"]}}, "width: a"),
        ({"tip": "a"}, "a"),
        ({"tips": ["a"]}, "a"),
        ({"message": 5}, "5"),
        ({"message": 0, "messege": "a"}, "0"),
        ({"message": " two\r\nlines\x1b[31m "}, "two lines [31m"),
        ({"message": "x" * 5000}, "x" * 1000),
        ({"message": [[[[["deep"]]]]]}, ""),
        ({}, ""),
    ],
)
def test_message(body: dict[str, object], message: str) -> None:
    """
    The service's words become one short, printable line.
    """
    assert told({"status": "error"} | body).message == message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": "validation_error"}, "validation_error"),
        ({"code": 17}, "17"),
        ({"error": {"code": "x"}}, "x"),
        ({"code": True}, None),
        ({"code": {}}, None),
    ],
)
def test_code(body: dict[str, object], code: str | None) -> None:
    """
    The service's own code is text, wherever it stands.
    """
    assert told({"status": "error"} | body).code == code


# How long to wait


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"retry_after": 30}, {"retry_after": "5"}, 30),
        ({"retry_after": "30"}, {}, 30),
        ({"retry_after": -1}, {"retry_after": "5"}, 5),
        ({"retry_after": 1e300}, {}, 86400),
        ({"retry_after": "30s"}, {}, 30),
        ({"retry_after": "2 minutes"}, {}, 120),
        ({"retry_after": "1.5h"}, {}, 5400),
        ({"retry_after": "500 ms"}, {}, 0.5),
        ({"retry_after": "1 week"}, {}, 86400),
        ({"retry_after": "soon"}, {}, None),
        ({"retry_after": True}, {}, None),
        ({"retry_after": float("nan")}, {}, None),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:30 GMT"}, {"date": DATE}, 30),
        ({"retry_after": "2026-11-23T12:00:30Z"}, {"date": DATE}, 30),
        ({"retry_after": "2026-11-23 12:00:30"}, {"date": DATE}, 30),
        ({"retry_after": 1795435230}, {"date": DATE}, 30),
        ({"retry_after": "1795435230000"}, {"date": DATE}, 30),
        ({"retry_after": 1795435230}, {}, 86400),
        ({}, {"retry_after": "1795435230", "date": DATE}, 30),
        ({}, {"retry_after": "30 s"}, 30),
        ({}, {"rate_reset": "30", "rate_remaining": "0"}, 30),
        ({"message": "try again in 2 hours and 5 minutes"}, {}, 7500),
        ({"message": "Try again in about 30 seconds."}, {}, 30),
        ({"message": "wait 5 minutes, 30 seconds"}, {}, 330),
        ({"message": "try again in 3 weeks"}, {}, 86400),
        ({"message": "please wait and try again"}, {}, None),
        ({"message": "please wait a minute and try again"}, {}, 60),
        ({"message": "try again in 900 milliseconds"}, {}, 0.9),
        ({"message": "try again in 30 minutes"}, {"retry_after": "5"}, 1800),
        ({"message": "try again in 2 hours"}, {}, 7200),
        ({"message": "try again in an hour"}, {}, 3600),
        ({"message": "try again in 1.5 days"}, {}, 86400),
        ({"message": "try again in 45s"}, {}, 45),
        ({"tips": "please wait for 30 seconds"}, {}, 30),
        ({}, {"retry_after": "7"}, 7),
        ({}, {"retry_after": "soon"}, None),
        (
            {},
            {"retry_after": "Mon, 23 Nov 2026 12:01:00 GMT", "date": DATE},
            60,
        ),
        (
            {},
            {"retry_after": "Mon, 23 Nov 2026 11:00:00 GMT", "date": DATE},
            0,
        ),
        ({}, {"retry_after": "Mon, 23 Nov 2026 12:01:00 GMT"}, None),
        ({}, {"retry_after": "Mon, 99 Nov 2026 12:01:00", "date": DATE}, None),
        (
            {},
            {
                "rate_reset": "1795435260",
                "rate_remaining": "0",
                "date": DATE,
            },
            60,
        ),
        (
            {},
            {
                "rate_reset": "1795435260",
                "rate_remaining": "3",
                "date": DATE,
            },
            None,
        ),
        ({}, {}, None),
    ],
)
def test_retry_after(
    body: dict[str, object], headers: dict[str, str], seconds: float | None
) -> None:
    """
    The body's number wins, then its words, then headers by their own Date.
    """
    heard = told({"status": "error", **body}, 200, **headers)

    assert heard.retry_after == seconds


def test_retry_after_html() -> None:
    """
    A gateway's page says by its headers how long to wait.
    """
    heard = decode.decode(Reply(429, b"<html>", retry_after="9"))

    assert heard == Unreadable(429, "<html>", 9.0)


# Anything at all


FIELDS = [
    "status",
    "id",
    "request_id",
    "output",
    "proxy_links",
    "future_links",
    "meta",
    "eta",
    "message",
    "messege",
    "error",
    "errors",
    "tip",
    "tips",
    "code",
    "retry_after",
    "fetch_result",
    "seed",
    "nsfw_content_detected",
    "generationTime",
]
ANSWERS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(FIELDS, ANY_JSON)
) | st.fixed_dictionaries(
    {
        "status": st.sampled_from(
            ["success", "processing", "error", "failed", "queued"]
        )
    },
    optional={name: ANY_JSON for name in FIELDS if name != "status"},
)
CODES = st.integers(100, 599)


@given(ANY_JSON | ANSWERS, CODES, st.none() | st.text())
def test_decode_any_json(
    body: object, status: int, header: str | None
) -> None:
    """
    Any JSON in any code is told, and every refusal is one of our errors.
    """
    text = json.dumps(body).encode()

    heard = decode.decode(Reply(status, text, header, header, header, "0"))

    assert isinstance(heard, (Success, Processing, Refusal, Unreadable))
    if isinstance(heard, Refusal):
        error = refusals.refusal_error(heard)
        closes = isinstance(
            error,
            (errors.AuthenticationError, errors.PaymentRequiredError),
        )
        assert closes == (judge_submit(heard) is SubmitVerdict.ACCOUNT)
        assert str(error).isprintable()
        assert heard.retry_after is None or 0 <= heard.retry_after <= 86400
    if isinstance(heard, Success | Refusal):
        json.loads(heard.raw_json.decode("utf-8"))
    if not isinstance(heard, Unreadable):
        assert heard.id is None or job_ids.clean_id(heard.id) == heard.id
    assert isinstance(judge_poll(heard), PollVerdict)


@given(st.binary(), CODES)
@example(b"\xef\xbb\xbf", 200)
@example(b'{"status":"error","message":{"a":{"b":1e999}}}', 200)
def test_decode_any_bytes(body: bytes, status: int) -> None:
    """
    Any bytes in any code are told.
    """
    heard = decode.decode(Reply(status, body))

    assert heard.http == status
