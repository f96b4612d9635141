"""
Every reply has one right reading, and every spec one right form on the wire.
"""

from __future__ import annotations

import json
import pickle
import warnings

from pathlib import Path
from typing import Any

import attrs
import pytest

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelslab_async import errors
from modelslab_async._policy.verdicts import (
    PollVerdict,
    SubmitVerdict,
    judge_poll,
    judge_submit,
)
from modelslab_async._protocol import decode, encode, refusals, rows
from modelslab_async._protocol.replies import (
    Processing,
    Refusal,
    Reply,
    Success,
    Topic,
    Unreadable,
)
from modelslab_async.specs import SPECS, Extra, Scheduler, TextToImage


BASE = "https://modelslab.com/api/v6"
TEXT2IMG = TextToImage.endpoint
DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
PNG = b"\x89PNG\r\n\x1a\n and more"
PNG_BASE64 = "iVBORw0KGgogYW5kIG1vcmU="
LINK = "https://files.example/0.png"
OTHER = "https://files.example/1.png"
PROXY = "https://proxy.example/0.png"


def _exchanges() -> list[Any]:
    found = []
    for path in sorted((Path(__file__).parent / "samples").glob("S*.json")):
        sample = json.loads(path.read_text(encoding="utf-8"))
        for number, exchange in enumerate(sample["exchanges"]):
            name = f"{sample['sample']}-{number}"
            found.append(pytest.param(exchange, id=name))
    return found


EXCHANGES = _exchanges()
TOLD = [one for one in EXCHANGES if one.values[0]["kind"] != "request"]


def _asked(about: str) -> list[Any]:
    return [one for one in EXCHANGES if about in one.values[0]["means"]]


def reply(body: object, http: int, **headers: str) -> Reply:
    """
    A reply whose body is *body* as JSON.
    """
    return Reply(http, json.dumps(body).encode(), **headers)


def told(body: object, http: int = 200, **headers: str) -> Any:
    """
    What that reply says.
    """
    return decode.decode(reply(body, http, **headers))


def facts(heard: Any) -> dict[str, object]:
    """
    What was heard, in the words of the samples.
    """
    said = attrs.asdict(heard, recurse=False)
    said |= {
        "told": type(heard).__name__,
        "submit": judge_submit(heard).name,
        "poll": judge_poll(heard).name,
    }
    if isinstance(heard, Success):
        said["urls"] = [image.url for image in heard.images]
        said["proxies"] = [image.proxy_url for image in heard.images]
    if isinstance(heard, (Success, Processing)):
        said["expected_urls"] = list(heard.expected_urls)
    if isinstance(heard, Refusal):
        said["topics"] = sorted(topic.name for topic in heard.topics)
        said["error"] = type(refusals.refusal_error(heard)).__name__
    return said


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


def _row(exchange: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in exchange["body"].items() if k != "key"}


@pytest.mark.parametrize("exchange", _asked("wire"))
def test_sample_asked(exchange: dict[str, Any]) -> None:
    """
    A documented request is read, doubted and sent as its file says.
    """
    means = exchange["means"]

    with pytest.warns(errors.SpecWarning) as caught:
        spec = rows.read_spec(_row(exchange))
    call = encode.encode(spec, base_url=BASE, track_id="7")

    assert [str(one.message).partition(":")[0] for one in caught] == (
        means["warned"]
    )
    assert json.loads(rows.spec_json(spec)) == (
        means["spec"] | {"endpoint": "text2img"}
    )
    assert json.loads(call.body) == means["wire"] | {"track_id": "7"}


@pytest.mark.parametrize("exchange", _asked("problems"))
def test_sample_of_another_endpoint(exchange: dict[str, Any]) -> None:
    """
    A request for another endpoint is refused for what only that one knows.
    """
    with pytest.raises(errors.SpecError) as caught:
        rows.read_spec(_row(exchange))

    assert [problem.field for problem in caught.value.problems] == (
        exchange["means"]["problems"]
    )


@pytest.mark.parametrize("exchange", _asked("request_id"))
def test_sample_poll(exchange: dict[str, Any]) -> None:
    """
    A poll names its job in the body, without the key.
    """
    call = encode.encode_poll(
        "https://x.example", exchange["means"]["request_id"]
    )

    assert json.loads(call.body) == _row(exchange)


# What we send


def test_encode() -> None:
    """
    A call is the endpoint's URL and compact JSON without the key.
    """
    spec = TextToImage(" a cat ", model_id="sdxl", seed=7, upscale=2)

    call = encode.encode(spec, base_url=BASE + "/", track_id="42")

    assert call.url == f"{BASE}/images/text2img"
    assert call.body == (
        b'{"prompt":"a cat","model_id":"sdxl","seed":7,"upscale":2,'
        b'"track_id":"42"}'
    )
    assert call.cap_bytes == 4 * 1024**2


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"safety_checker": True}, {"safety_checker": "yes"}),
        ({"base64": False}, {"base64": "no"}),
        ({"upscale": True}, {"upscale": "yes"}),
        ({"upscale": False}, {"upscale": "no"}),
        ({"upscale": 1}, {"upscale": 1}),
        ({"lora_strength": 0.45}, {"lora_strength": "0.45"}),
        ({"lora_strength": 1}, {"lora_strength": "1"}),
        ({"lora_strength": [0.45, 1.0]}, {"lora_strength": "0.45,1"}),
        ({"lora_model": "a, b"}, {"lora_model": "a,b"}),
        ({"lora_model": ("a", "b")}, {"lora_model": "a,b"}),
        ({"negative_prompt": ""}, {}),
        ({"scheduler": Scheduler.LCM}, {"scheduler": "LCMScheduler"}),
        ({"guidance_scale": 7}, {"guidance_scale": 7.0}),
        ({"extra": {"new": [1], "odd": ""}}, {"new": [1], "odd": ""}),
        ({"track_id": "mine"}, {}),
    ],
)
def test_encode_field(fields: dict[str, Any], sent: dict[str, object]) -> None:
    """
    Each kind of parameter has one form on the wire, and None has none.
    """
    spec = TextToImage("x", model_id="sdxl", **fields)

    body = json.loads(encode.encode(spec, base_url=BASE, track_id="1").body)

    assert body == {"prompt": "x", "model_id": "sdxl", "track_id": "1"} | sent


def test_caps() -> None:
    """
    An answer may be long only where base64 was asked for.
    """
    spec = TextToImage("x", model_id="sdxl", base64=True)

    submit = encode.encode(spec, base_url=BASE, track_id="1")
    poll = encode.encode_poll(BASE, "1", base64=True)
    plain = encode.encode_poll(BASE, "1")

    assert submit.cap_bytes == poll.cap_bytes == 64 * 1024**2
    assert plain.cap_bytes == 4 * 1024**2


OURS = f"{BASE}/images/fetch/5"


@pytest.mark.parametrize(
    ("fetch_result", "url"),
    [
        (f"{BASE}/images/fetch/9", f"{BASE}/images/fetch/9"),
        (
            "https://MODELSLAB.com:443/api/v3/dreambooth/fetch/9",
            "https://modelslab.com/api/v3/dreambooth/fetch/9",
        ),
        (f"{BASE}/images/fetch", f"{BASE}/images/fetch"),
        (f"{BASE}/images/fetch/9?key=1#x", f"{BASE}/images/fetch/9"),
        (None, OURS),
        ("", OURS),
        ("http://modelslab.com/api/v6/images/fetch/9", OURS),
        ("https://modelslab.com:444/api/v6/images/fetch/9", OURS),
        ("https://evil.example/api/v6/images/fetch/9", OURS),
        ("https://modelslab.com.evil.example/fetch/9", OURS),
        ("https://modelslab.com@evil.example/fetch/9", OURS),
        ("https://evil.example\\@modelslab.com/fetch/9", OURS),
        (f"{BASE}/images/delete/9", OURS),
        (f"{BASE}/images/fetch/../delete", OURS),
        (f"{BASE}/images/fetch/a%2fb", OURS),
        ("https://[::1/fetch/9", OURS),
        ("https://modelslab.com:99999/fetch/9", OURS),
        ("/images/fetch/9", OURS),
        ("javascript:fetch/9", OURS),
    ],
)
def test_fetch_url(fetch_result: str | None, url: str) -> None:
    """
    The key goes to a fetch path of the API's own origin, or to our own URL.
    """
    found = encode.fetch_url(BASE, fetch_result, TEXT2IMG, "5")

    assert found == url


def test_other_fetch_url() -> None:
    """
    The other form names the job in its body only.
    """
    assert (
        encode.other_fetch_url(BASE + "/", TEXT2IMG) == f"{BASE}/images/fetch"
    )


@given(st.text())
def test_fetch_url_total(fetch_result: str) -> None:
    """
    Whatever the service says, the URL stays below the API's own origin.
    """
    found = encode.fetch_url(BASE, fetch_result, TEXT2IMG, "5")

    assert found.startswith("https://modelslab.com/")
    assert encode.fetch_result_id(found) is not None or found.endswith(
        "/fetch"
    )


# What we are told: links


@pytest.mark.parametrize(
    ("body", "images"),
    [
        ({"output": [LINK, OTHER]}, [(LINK, None), (OTHER, None)]),
        ({"output": LINK}, [(LINK, None)]),
        ({"output": {"1": OTHER, "0": LINK}}, [(LINK, None), (OTHER, None)]),
        ({"output": {"10": OTHER, "9": LINK}}, [(LINK, None), (OTHER, None)]),
        ({"output": {"b": OTHER, "a": LINK}}, [(LINK, None), (OTHER, None)]),
        ({"output": [LINK, LINK]}, [(LINK, None)]),
        ({"output": ["", None, 5, {}, LINK]}, [(LINK, None)]),
        ({"output": f"  {LINK}\n"}, [(LINK, None)]),
        ({"output": ""}, []),
        ({"output": None}, []),
        ({"output": ["not a link", "/half/a/link"]}, []),
        ({"output": ["https://files.example/\ud800"]}, []),
        ({"output": [LINK], "proxy_links": [PROXY]}, [(LINK, PROXY)]),
        ({"output": [LINK], "proxy_links": PROXY}, [(LINK, PROXY)]),
        ({"output": [LINK], "proxy_links": {"0": PROXY}}, [(LINK, PROXY)]),
        ({"output": [LINK], "proxy_links": ""}, [(LINK, None)]),
        ({"output": [LINK], "proxy_links": None}, [(LINK, None)]),
        ({"output": [LINK], "proxy_links": [LINK]}, [(LINK, None)]),
        (
            {"output": ["", LINK], "proxy_links": [OTHER, PROXY]},
            [(LINK, PROXY)],
        ),
        ({"output": [], "proxy_links": [PROXY]}, [(PROXY, None)]),
        ({"output": [], "proxy_links": {"0": PROXY}}, [(PROXY, None)]),
        ({"output": [], "future_links": [LINK]}, []),
    ],
)
def test_links(body: dict[str, object], images: list[object]) -> None:
    """
    Links are read from any shape, in order, each once, with its proxy.
    """
    heard = told({"status": "success", "id": 1} | body)

    assert [(one.url, one.proxy_url) for one in heard.images] == images
    assert [one.index for one in heard.images] == list(range(len(images)))


@pytest.mark.parametrize(
    "output",
    [
        f"data:image/png;base64,{PNG_BASE64}",
        [PNG_BASE64],
        f"DATA:image/png;charset=x;base64,{PNG_BASE64[:8]}\n{PNG_BASE64[8:]}",
    ],
)
def test_inline_picture(output: object) -> None:
    """
    A picture inside the answer is bytes, not a URL.
    """
    (image,) = told({"status": "success", "output": output}).images

    assert (image.url, image.data) == (None, PNG)


@pytest.mark.parametrize(
    "output", ["data:image/png;base64,!!!", "data:,x", "YWJj", "data:;base64,"]
)
def test_inline_nothing(output: str) -> None:
    """
    What only looks like base64 is no picture.
    """
    assert told({"status": "success", "output": output}).images == ()


def test_base64_link() -> None:
    """
    A link to a text file with base64 stays a link.
    """
    link = "https://files.example/temp/a-0.base64"

    (image,) = told({"status": "success", "output": [link]}).images

    assert (image.url, image.data) == (link, None)


def test_expected_urls() -> None:
    """
    Where future links are missing, the echo's output has them.
    """
    heard = told(
        {"status": "processing", "id": 1, "meta": {"output": [LINK, LINK]}}
    )

    assert heard.expected_urls == (LINK,)


def test_success_without_picture() -> None:
    """
    Success may come before the links; what is expected is kept.
    """
    heard = told(
        {"status": "success", "id": 1, "output": [], "future_links": [LINK]}
    )

    assert (heard.images, heard.expected_urls) == ((), (LINK,))


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
        ({"id": "\u0665"}, None),
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
    assert encode.clean_id(value) is None


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
        b'{"status":"\xff"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"status":"success","id":' + b"1" * 5000 + b"}",
        b"null",
    ],
    ids=range(9),
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


T = Topic


@pytest.mark.parametrize(
    ("message", "topics"),
    [
        ("Try Again", {T.LOADING, T.TRANSIENT}),
        (" failed,  try again. ", {T.LOADING, T.TRANSIENT}),
        ("Please try again", {T.TRANSIENT}),
        ("Rate limit exceeded", {T.QUEUE, T.TRANSIENT}),
        ("Queue is full", {T.QUEUE, T.TRANSIENT}),
        ("Maximum 15 queued requests allowed", {T.QUEUE, T.TRANSIENT}),
        ("Too many requests", {T.TRANSIENT}),
        ("Internal server error", {T.TRANSIENT}),
        ("Could not generate a moderate image", set()),
        ("spam filter is enabled", {T.SAME_REQUEST}),
        ("try again in 30 minutes", {T.BAN, T.TRANSIENT}),
        ("Try again after an hour", {T.BAN, T.TRANSIENT}),
        ("try again in a moment", {T.BAN, T.TRANSIENT}),
        ("API key required", {T.KEY}),
        ("Your API key is not valid", {T.KEY}),
        ("key: The key field is required.", {T.KEY}),
        ("Unauthenticated.", {T.KEY}),
        ("Unauthorized access to this model", set()),
        ("Your API key is not allowed to use this model", set()),
        ("Invalid API Request", set()),
        ("You do not have enough credits", {T.CREDIT}),
        ("Your quota is used up", {T.PLAN}),
        ("This feature requires a premium subscription", set()),
        ("Model id not found", {T.MODEL}),
        ("Model not found: flx", {T.MODEL}),
        ("Request not found", {T.NOT_FOUND}),
    ],
)
def test_topics(message: str, topics: set[Topic]) -> None:
    """
    Topics are read from whole words of the message.
    """
    heard = told({"status": "error", "message": message})

    assert heard.topics == topics


def test_loading_needs_no_id() -> None:
    """
    "Try Again" beside an id speaks of a job, not of a model.
    """
    heard = told({"status": "failed", "id": 5, "message": "Try Again"})

    assert Topic.LOADING not in heard.topics


def test_limit() -> None:
    """
    The queue's limit is a number of jobs, at least one.
    """
    body = {"status": "error", "message": "Maximum 0 queued requests"}

    assert told(body).limit == 1


# How long to wait


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"retry_after": 30}, {"retry_after": "5"}, 30),
        ({"retry_after": "30"}, {}, 30),
        ({"retry_after": -1}, {"retry_after": "5"}, 5),
        ({"retry_after": 1e300}, {}, 86400),
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


# Refusals as errors

KEY = "AuthenticationError"
PAY = "PaymentRequiredError"
MAY = "PermissionDeniedError"
BAD = "InvalidRequestError"
MODEL = "ModelNotFoundError"
RATE = "RateLimitedError"
SICK = "ServerError"
SPAM = {
    "message": "Rate limit exceeded",
    "tips": "you are sending same request multiple times, spam filter is "
    "enabled, please wait for 30 seconds and try again",
}
TIP = "1. Make sure you have valid API key."

#: Every refusal of the reference, in every code it was seen or documented in.
REFUSALS: list[tuple[object, tuple[int, ...], str]] = [
    ({"message": "Invalid Api Key", "tip": TIP}, (200, 401), KEY),
    ("Invalid API key", (200, 401), KEY),
    ("API key required", (200, 401), KEY),
    ({"message": "Invalid API Request", "tip": TIP}, (200,), BAD),
    ({"message": {"prompt": ["The prompt field is required."]}}, (200,), BAD),
    ("The prompt field is required.", (200, 400), BAD),
    ("prompt is required", (200, 400), BAD),
    ("width must be between 256 and 1024", (200, 400), BAD),
    ("height must be divisible by 8", (200, 400), BAD),
    ("samples must be between 1 and 4", (200, 400), BAD),
    ("guidance_scale must be between 1 and 20", (200, 400), BAD),
    ("prompt must be a string", (200, 400), BAD),
    ("Model id not found", (200, 400, 404), MODEL),
    ("Model not found: X", (200, 400, 404), MODEL),
    ("Try Again", (200,), SICK),
    ("Failed, Try Again", (200,), SICK),
    (
        "Insufficient credits. Please add more credits to continue.",
        (200, 402),
        PAY,
    ),
    (
        "Your monthly limit exceeded, upgrade subscription now on https://…",
        (200, 400, 402, 403),
        PAY,
    ),
    ("This feature requires a premium subscription", (200, 403), MAY),
    (
        "Rate limit exceeded. Maximum 5 queued requests allowed.",
        (200, 429),
        RATE,
    ),
    (SPAM, (200, 429), RATE),
    ({"messege": SPAM["message"], "tips": SPAM["tips"]}, (200,), RATE),
    ("Rate limit exceeded", (200, 429, 503), RATE),
    ("try again in 30 minutes", (200, 429), RATE),
    ("too fast", (429,), RATE),
    ("Unable to fetch image from provided URL", (200, 400), BAD),
    ("Request not found", (200, 404), BAD),
    ("Internal server error. Please try again.", (200, 500), SICK),
    (
        "Service temporarily unavailable. Please try again later.",
        (200, 503),
        SICK,
    ),
    ("The route could not be found.", (404,), BAD),
    ("The GET method is not supported.", (405,), BAD),
    ({"code": "validation_error"}, (200, 400), BAD),
    ({"code": "invalid_api_key"}, (200, 401), KEY),
    ({"code": "unauthenticated"}, (200, 401), KEY),
    ({"code": "insufficient_balance"}, (200, 402), PAY),
    ({"code": "no_subscription"}, (200, 402), PAY),
    ({"code": "forbidden"}, (200, 403), MAY),
    ({"code": "not_found"}, (200, 404), BAD),
    ({"code": "rate_limited"}, (200, 429), RATE),
    ({"code": "upstream_unavailable"}, (200, 503), SICK),
    ({"message": ""}, (401,), KEY),
    ({"message": ""}, (402,), PAY),
    ({"message": ""}, (403,), MAY),
    ({"message": ""}, (408, 500, 502), SICK),
    ({"message": "Invalid Api Key"}, (500,), SICK),
]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (body, status, name)
        for body, statuses, name in REFUSALS
        for status in statuses
    ],
)
def test_refused(body: object, status: int, name: str) -> None:
    """
    Each refusal is one error, by its words before its code.
    """
    words = body if isinstance(body, dict) else {"message": body}

    error = refusals.refusal_error(told({"status": "error", **words}, status))

    assert type(error).__name__ == name
    assert error.status == status


def test_refused_facts() -> None:
    """
    The error carries what was said, and survives pickling with it.
    """
    body = {
        "status": "error",
        "message": "Maximum 5 queued requests allowed.",
        "code": "rate_limited",
        "retry_after": 30,
    }

    error = pickle.loads(pickle.dumps(refusals.refusal_error(told(body, 429))))

    assert isinstance(error, errors.RateLimitedError)
    assert (error.limit, error.retry_after, error.code) == (
        5,
        30.0,
        "rate_limited",
    )
    assert error.raw == body


# Anything at all


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([LINK, "success", "Try Again", "rate limit", "1e999"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
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
        assert heard.id is None or encode.clean_id(heard.id) == heard.id
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


# Specs as text, and back


FULL = TextToImage(
    " a cat\u2028 \N{CAT FACE}",
    model_id="sdxl",
    negative_prompt="dogs",
    width=512,
    height=768,
    samples=2,
    guidance_scale=7,
    safety_checker=False,
    seed=0,
    scheduler="DDIMScheduler",
    lora_model=["a", "b"],
    lora_strength=[0.45, 1],
    webhook="https://me.example/?secret=1",
    track_id="42",
    upscale=True,
    extra={"new": {"b": 1, "a": [None, 1.5]}},
)


def test_spec_json_round_trip() -> None:
    """
    A spec comes back from its canonical JSON as it went in.
    """
    text = rows.spec_json(FULL)

    assert rows.read_spec(json.loads(text)) == FULL
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert json.loads(text)["endpoint"] == "text2img"


SPEC_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "negative_prompt": st.text(st.characters(codec="utf-8")),
    "width": st.integers(32, 128).map(lambda n: n * 8),
    "seed": st.integers(0, 2**32 - 1),
    "guidance_scale": st.floats(1, 20) | st.integers(1, 20),
    "base64": st.booleans(),
    "upscale": st.sampled_from([True, False, 1, 2, 3]),
    "lora_strength": st.floats(0.1, 1)
    | st.lists(st.floats(0.1, 1), min_size=1),
    "lora_model": st.sampled_from(["a", "a,b", ["a"], ("a", "b")]),
    "scheduler": st.sampled_from(list(Scheduler)),
    "extra": st.dictionaries(
        st.text(st.characters(codec="utf-8")).filter(
            lambda name: (
                name.strip().casefold() != "key"
                and name not in attrs.fields_dict(TextToImage)
            )
        ),
        st.integers() | st.text(st.characters(codec="utf-8")),
        max_size=3,
    ),
}


@given(st.fixed_dictionaries({}, optional=SPEC_FIELDS))
@settings(max_examples=80)
def test_spec_any_round_trip(fields: dict[str, Any]) -> None:
    """
    Any spec comes back from its JSON, with its identity, and can be sent.
    """
    spec = TextToImage("x", model_id="sdxl", **fields)

    back = rows.read_spec(json.loads(rows.spec_json(spec)))

    assert back == spec
    assert hash(back) == hash(spec)
    assert rows.identity(back) == rows.identity(spec)
    body = json.loads(encode.encode(spec, base_url=BASE, track_id="1").body)
    assert "key" not in body
    assert None not in body.values()


def test_identity() -> None:
    """
    What changes no picture changes no identity; what does, does.
    """
    same = attrs.evolve(FULL, track_id=None, webhook=None)
    other = attrs.evolve(FULL, seed=1)

    assert rows.identity(same) == rows.identity(FULL)
    assert rows.identity(other) != rows.identity(FULL)
    assert len(rows.identity(FULL)) == 64


def test_identity_stays() -> None:
    """
    A journal's item keys stay good: this identity never changes.
    """
    spec = TextToImage("a cat", model_id="flux", seed=7)

    assert rows.identity(spec) == (
        "951a7bda1ecd8d4a71215e4048bfa06c9f038e47e0c72e9ee3b305400a3d8a0a"
    )


def test_read_row_of_text() -> None:
    """
    A row of a table is all text, and empty cells are absent.
    """
    row = {
        "prompt": "a cat",
        "model_id": "sdxl",
        "width": " 512 ",
        "guidance_scale": "7.5",
        "safety_checker": "No",
        "base64": "1",
        "upscale": "2",
        "highres_fix": "true",
        "seed": "",
        "vae": None,
        "scheduler": "LCMScheduler ",
        "lora_model": "a,b",
        "lora_strength": "0.45, 1",
        "extra": '{"new": 1}',
        "webhook": " https://me.example/ ",
    }

    spec = rows.read_spec(row)

    assert spec == TextToImage(
        "a cat",
        model_id="sdxl",
        width=512,
        guidance_scale=7.5,
        safety_checker=False,
        base64=True,
        upscale=2,
        highres_fix=True,
        scheduler=Scheduler.LCM,
        lora_model="a,b",
        lora_strength=(0.45, 1),
        extra={"new": 1},
        webhook="https://me.example/",
    )


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("upscale", "0", False),
        ("upscale", "yes", True),
        ("upscale", 3, 3),
        ("base64", 0, False),
        ("base64", True, True),
        ("lora_strength", "0.5", 0.5),
        ("lora_strength", ["0.5", 1], (0.5, 1.0)),
        ("seed", "+7", 7),
        ("extra", Extra.of({"a": 1}), {"a": 1}),
    ],
)
def test_read_field(field: str, value: Any, found: object) -> None:
    """
    A field may be text or already what it means.
    """
    spec = rows.read_spec({"prompt": "x", "model_id": "sdxl", field: value})

    assert getattr(spec, field) == found


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("width", "wide", "whole number from 64 to 2048"),
        ("width", "512.0", "whole number"),
        ("width", [1], "whole number"),
        ("guidance_scale", "nan", "must be a number"),
        ("guidance_scale", "much", "must be a number"),
        ("base64", "maybe", "True or False"),
        ("base64", 2, "True or False"),
        ("upscale", "4", "1, 2 or 3"),
        ("lora_strength", "0.5,x", "must be a number"),
        ("extra", "{", "mapping"),
        ("extra", "[1]", "mapping"),
        ("track_id", 42, "must be text"),
        ("widht", "512", "did you mean 'width'"),
        ("zzz", "1", "goes into 'extra'"),
        ("key", "sk-secret", "looks like an API key"),
        ("API_KEY", "sk-secret", "looks like an API key"),
        ("endpoint", "img2img", "one of text2img"),
        ("endpoint", [1], "one of text2img"),
    ],
)
def test_read_fault(field: str, value: Any, reason: str) -> None:
    """
    A field that means nothing is told, with what would be right.
    """
    row = {"prompt": "x", "model_id": "sdxl", field: value}

    with pytest.raises(errors.SpecError) as caught:
        rows.read_spec(row)

    (problem,) = caught.value.problems
    assert problem.field == field
    assert reason in problem.reason
    assert "sk-secret" not in str(caught.value)


def test_read_every_fault() -> None:
    """
    All faults of a row come at once, unknown names and bad values alike.
    """
    row = {"promt": "x", "samples": "9", "width": "500"}

    with pytest.raises(errors.SpecError) as caught:
        rows.read_spec(row)

    assert [problem.field for problem in caught.value.problems] == [
        "promt",
        "prompt",
        "model_id",
        "width",
        "samples",
    ]


@given(
    st.dictionaries(
        st.sampled_from([*attrs.fields_dict(TextToImage), "endpoint", "key"]),
        ANY_JSON | st.sampled_from(["512", "yes", "flux", "text2img"]),
    )
)
def test_read_any_row(row: dict[str, Any]) -> None:
    """
    Any row is a spec or a `SpecError`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.SpecWarning)
        try:
            found: object = rows.read_spec(row)
        except errors.SpecError as error:
            found = error.problems

    assert found
    assert isinstance(found, (tuple, *SPECS.values()))
