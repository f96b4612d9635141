"""
What a caller gets: generations and their pictures, and how jobs stand.
"""

from __future__ import annotations

import base64
import enum
import json

from typing import TypeAlias

import attrs

from ._fact import Fact
from ._magic import format_of, media_type


JSON: TypeAlias = (
    "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
)


class JobState(enum.StrEnum):
    """
    How a job stands, as far as we know.
    """

    #: Accepted, not finished: the service works on it.
    PROCESSING = "processing"
    #: Finished, with pictures.
    SUCCEEDED = "succeeded"
    #: The service gave up on it, or has not taken its request.
    FAILED = "failed"
    #: The service does not know it, or its request got no verdict: it may
    #: run, and be billed.
    LOST = "lost"
    #: We stopped asking; it may run on.
    UNFINISHED = "unfinished"


@attrs.frozen(repr=False)
class Image(Fact):
    """
    One picture of a generation.

    Attributes:
        index: Place among the pictures of its generation, from 0.

        url: Where it lies; None where the service sent the picture itself.

        proxy_url: The same file by another host; the second try.

        data: The picture's bytes where the service sent it in its answer.
    """

    index: int
    url: str | None
    proxy_url: str | None = None
    data: bytes | None = attrs.field(default=None, repr=False)

    @property
    def suffix(self) -> str | None:
        """
        Such as ``.png``, by its bytes; None where the service sent a link:
        what lies there is not known before it is loaded.
        """
        known = format_of(self.data or b"")
        return None if known is None else f".{known}"

    @property
    def media_type(self) -> str | None:
        """
        Such as ``image/png``; None as for *suffix*.  Of bytes that were
        loaded, `modelslab_async.media_type` tells it.
        """
        return media_type(self.data or b"")

    def _repr_html_(self) -> str:
        """
        The picture itself, for notebooks: by its link, or as it came.
        """
        return _html_of(self)


@attrs.frozen(repr=False)
class Generation(Fact):
    """
    A finished job: its pictures, and what the service told of them.

    Attributes:
        id: The service's id; None where it gave none (enterprise servers).

        track_id: The name that we, or the caller, gave the request.

        images: The pictures, in the service's order.

        seed: From 0 to 4294967295, where the service told it.

        generation_time: Seconds that the service says it took.

        nsfw: What the service's filter found; None if it did not say.

        endpoint: The name of the endpoint that made it, which is asked for
            fresh links; None where that is not known, as in a webhook's.
    """

    id: str | None
    track_id: str | None
    images: tuple[Image, ...]
    seed: int | None = None
    generation_time: float | None = None
    nsfw: bool | None = None
    meta_json: bytes = attrs.field(default=b"{}", repr=False)
    raw_json: bytes = attrs.field(default=b"{}", repr=False)
    # Who asks again does not know it less than who watched it.
    endpoint: str | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def meta(self) -> dict[str, JSON]:
        """
        The service's echo of the request, parsed afresh at each call.

        The service rewrites prompts: never expect your own back.
        """
        return _object(self.meta_json)

    @property
    def raw(self) -> dict[str, JSON]:
        """
        The last reply as it came, without the key, parsed at each call.
        """
        return _object(self.raw_json)

    def _repr_html_(self) -> str:
        """
        Its pictures side by side, for notebooks, and what is known of them.
        """
        import html

        facts = [f"job {self.id}" if self.id else ""]
        if self.seed is not None:
            facts.append(f"seed {self.seed}")
        if self.generation_time is not None:
            facts.append(f"{self.generation_time:.1f} s")
        told = html.escape(" · ".join(filter(None, facts)))
        shown = " ".join(map(_html_of, self.images))
        return f"<figure>{shown}<figcaption>{told}</figcaption></figure>"


@attrs.frozen(repr=False)
class Receipt(Fact):
    """
    What the service tells when it accepts a request.

    Made once, from that answer, and handed on whole: the answers to polls
    lack most of it.

    Attributes:
        id: The service's id; None where it gave none.

        endpoint: The name of the endpoint that took it.

        track_id: The name of the request.

        fetch_result: Where the service says that the job can be asked for.

        eta: Seconds that it guessed, None if it did not.

        seed: From 0 to 4294967295, where the service told it.

        expected_urls: Where the pictures will lie; may name fewer than asked.

        meta_json: The service's echo of the request.

        generation_time: Seconds that the service says it took, where it was
            done at once.
    """

    id: str | None
    endpoint: str
    track_id: str | None = None
    fetch_result: str | None = None
    eta: float | None = None
    seed: int | None = None
    expected_urls: tuple[str, ...] = ()
    meta_json: bytes = attrs.field(default=b"{}", repr=False)
    generation_time: float | None = None


@attrs.frozen(repr=False)
class Notice(Fact):
    """
    What a webhook says of a job; unsigned, so only a fetch proves it.

    Attributes:
        job_id: The service's id, None where it is not said.

        track_id: The name of the request.

        state: What is said to have become of the job.

        generation: Its pictures, where there are any.

        message: The service's words, if any.
    """

    job_id: str | None
    track_id: str | None
    state: JobState
    generation: Generation | None = None
    message: str | None = None


@attrs.frozen(repr=False)
class Candidate(Fact):
    """
    A job of the account that a request without a verdict may have become.

    Attributes:
        job_id: The service's id.

        urls: Where its pictures lie.
    """

    job_id: str
    urls: tuple[str, ...]


@attrs.frozen(repr=False)
class UnknownItem(Fact):
    """
    An item of a batch whose request was sent, and got no verdict.

    Attributes:
        index: Its place in the journal.

        item: The caller's own key.

        track_id: The name of its request.

        caption: What tells it apart for people: its prompt, or its picture.

        asked_at: When its request left, in seconds since the epoch.

        candidates: Jobs that no item owns, and that began when it may have;
            None where the service does not tell.

        probable: The one candidate of this item and no other, if that is so.
    """

    index: int
    item: str | None
    track_id: str | None
    caption: str
    asked_at: float | None
    candidates: tuple[Candidate, ...] | None = None
    probable: Candidate | None = None


@attrs.frozen(repr=False)
class JobUpdate(Fact):
    """
    How a job stood when we last heard of it.

    Attributes:
        state: See `JobState`.

        eta: Seconds that the service guessed last, None if it did not.

        elapsed: Seconds since the job was accepted.

        polls: How many times we have asked.

        message: The service's words, if any.
    """

    state: JobState
    eta: float | None
    elapsed: float
    polls: int
    message: str | None


@attrs.frozen(repr=False)
class Stats(Fact):
    """
    What a client has done so far, and how it stands.

    Attributes:
        accepted: Requests that the service took.

        succeeded: Jobs that ended with pictures.

        failed: Jobs that ended without.

        unknown: Requests that were sent, and of which no verdict came.

        unknown_ids: The last thousand of those, by track_id.

        polls: Questions asked.

        refusals: How often the queue was full.

        unfinished: Jobs under way now.

        waiting: Requests in the queue now.

        slots: How many unfinished jobs we think the account may have.

        slots_held: How many of them are ours.

        uploads: Local pictures that were uploaded.

        waiting_for: What has been waited for longest, if anything has for
            long; None where all goes on.
    """

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    unknown: int = 0
    unknown_ids: tuple[str, ...] = ()
    polls: int = 0
    refusals: int = 0
    unfinished: int = 0
    waiting: int = 0
    slots: int = 5
    slots_held: int = 0
    uploads: int = 0
    waiting_for: str | None = None


@attrs.frozen(repr=False)
class Upload(Fact):
    """
    A picture that was uploaded, for requests to come.

    Attributes:
        url: Where it lies; anybody who has it can look.

        sha256: Of its content, in hexadecimal digits.

        expires_at: When it is thrown away, in seconds of `time.time`.
    """

    url: str
    sha256: str
    expires_at: float


@attrs.frozen(repr=False)
class Model(Fact):
    """
    A public model of the service.

    Attributes:
        model_id: What a spec takes.
    """

    model_id: str
    raw_json: bytes = attrs.field(default=b"{}", repr=False)

    @property
    def raw(self) -> dict[str, JSON]:
        """
        All that the service tells of it, parsed afresh.
        """
        return _object(self.raw_json)


@attrs.frozen(repr=False)
class Balance(Fact):
    """
    What an account has left.

    Attributes:
        amount: Below 0 where it is owed.

        currency: Such as ``USD``; None where the service does not say.
    """

    amount: float
    currency: str | None = None


def _html_of(image: Image) -> str:
    # Late, as only notebooks show them.
    import html

    source = image.url or image.proxy_url
    if source is None and image.data is not None and image.media_type:
        coded = base64.b64encode(image.data).decode()
        source = f"data:{image.media_type};base64,{coded}"
    # A browser shows no text as a picture, though it is one in base64.
    if source is None or source.endswith(".base64"):
        return html.escape(repr(image))
    return (
        f'<img src="{html.escape(source)}" alt="picture {image.index}" '
        'style="max-width: 24em; max-height: 24em" '
        'referrerpolicy="no-referrer">'
    )


def _object(body: bytes) -> dict[str, JSON]:
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
