"""
What can be asked of the simulator: how many slots, how long jobs
take, what it guesses, and in which of its dialects it speaks.

Every duration is in seconds at ``speed=1``.
"""

from __future__ import annotations

import math
import random

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from ._one_of import OneOf


# None meets nothing, a string meets the prompts that it is a part of.
Matcher: TypeAlias = str | tuple[str, ...] | Callable[[str], bool] | None

_Field: TypeAlias = "attrs.Attribute[Any]"

AssetLists = Literal["both", "v6", "refused"]
Families = Literal["own", "any", "other"]
InputLinks = Literal["local", "fetch"]
Profile = Literal["classic", "documented"]
QueueFull = Literal["maximum", "bare"]
Base64Style = Literal["link", "link-uri", "inline", "inline-uri"]
FetchForm = Literal["both", "path", "body"]
FetchReply = Literal["short", "proxied", "full"]
FetchResult = Literal["present", "absent", "other", "wrong"]
FutureLinks = Literal["first", "all", "absent"]
Output = Literal["list", "str", "object", "empty"]
Pictures = Literal["drawn", "plain"]
ProxyLinks = Literal["mixed", "list", "empty", "null", "dict", "absent"]


class Etas(OneOf):
    """
    How the service's guesses relate to what jobs really take.

    The live service's are not known well: 0.25 to 2.75 in the captures of
    2025 look like a place in a queue, 13 to 82 in older ones like work.
    """

    NOISY = "noisy"
    """The time left, give or take 30 %."""

    EXACT = "exact"
    """The time left."""

    CONSTANT = "constant"
    """The median, whatever the job."""

    ABSENT = "absent"
    """No guess at all."""

    HIGH = "high"
    """Three times too high, give or take 30 %."""

    LOW = "low"
    """A third of the time left, give or take 30 %."""

    QUEUE = "queue"
    """A quarter of a second for each unfinished job of the account."""


class Rings(OneOf):
    """
    How a webhook is called when a job has ended.

    How the live service calls is not known beyond one page of prose: one
    POST, best effort, no signature.
    """

    ONCE = "once"
    """As documented."""

    LATE = "late"
    """Well after the end."""

    TWICE = "twice"
    """The same, again."""

    NEVER = "never"
    """Not at all."""

    EARLY = "early"
    """Before the submit is answered, which waits for it."""

    ANNOUNCED = "announced"
    """First with ``processing`` as soon as it is accepted, then as ever."""

    FAILED = "failed"
    """Says ``failed``, whatever became of it."""

    OTHER_ID = "other-id"
    """Names a job that there is not."""

    OTHER_STATUS = "other-status"
    """Has a status that nobody knows."""

    GARBAGE = "garbage"
    """Is no JSON."""

    WRONG_TYPE = "wrong-type"
    """The right bytes, called ``text/plain``."""

    HUGE = "huge"
    """More than a megabyte."""


class Unlike(OneOf):
    """
    A way in which the service may differ from what is known of it.

    None of them was ever seen. They are for those who want to know what a
    client makes of a service that has changed, and for whatever is to find
    such changes.
    """

    KEY_IN_HEADER = "key-in-header"
    """The key is read from a header ``key``, and from nowhere else."""

    BOOLEANS_ONLY = "booleans-only"
    """Flags that are not JSON booleans are refused."""

    GET_FETCH = "get-fetch"
    """Fetch answers GET, and POST with 405."""

    STATUS_WORDS = "status-words"
    """``queued``, ``completed`` and ``cancelled``."""

    NESTED_OUTPUT = "nested-output"
    """The links are under ``data.images``, and ``output`` is missing."""

    TEXT_IDS = "text-ids"
    """Ids are words with a number in them."""

    MILLISECONDS = "milliseconds"
    """``eta`` counts milliseconds."""

    NO_ETA = "no-eta"
    """``eta`` is missing."""

    ERROR_OBJECT = "error-object"
    """A no is an object under ``error``, without a status."""

    NO_ECHO = "no-echo"
    """``meta`` is missing, and with it track_id and seed."""

    NO_FORESIGHT = "no-foresight"
    """``future_links`` is missing."""

    UNTYPED_FILES = "untyped-files"
    """Pictures are called ``application/octet-stream``."""

    SIGNED_LINKS = "signed-links"
    """Links have a query, and answer 403 without it."""

    MODELS_OBJECT = "models-object"
    """The models are under ``data``."""

    FLAT_BALANCE = "flat-balance"
    """The balance is a text, and no object holds it."""

    NO_COUNT = "no-count"
    """There is no counting of jobs under way."""

    UPLOAD_LINK = "upload-link"
    """An upload answers with ``link``."""


class KeyState(OneOf):
    """
    What the account behind a key may do.
    """

    GOOD = "good"
    BLOCKED = "blocked"
    NO_CREDIT = "no-credit"
    MONTHLY_LIMIT = "monthly-limit"
    PREMIUM_ONLY = "premium-only"


@attrs.frozen
class Latency:
    """
    How long jobs run, from when a worker takes them up.

    Attributes:
        median: Seconds.

        sigma: Spread of the logarithm; 0 makes every job take *median*.

        values: Seconds, one job after the other and round again; the other
            two are not used then.
    """

    median: float = attrs.field(default=5.0, converter=float)
    sigma: float = attrs.field(default=0.5, converter=float)
    values: tuple[float, ...] = ()

    @classmethod
    def constant(cls, seconds: float) -> Latency:
        """
        Every job takes as long.
        """
        return cls(median=seconds, sigma=0.0)

    @classmethod
    def listed(cls, values: Sequence[float]) -> Latency:
        """
        Take these, one after the other and round again.
        """
        return cls(
            median=sorted(values)[len(values) // 2], values=tuple(values)
        )

    def draw(self, number: int, dice: random.Random) -> float:
        """
        Seconds that the job of this *number* (from 0) runs.
        """
        if self.values:
            return self.values[number % len(self.values)]

        # Drawn even if it is not used, so that job n of a run meets the same
        # dice whatever the jobs before it were.
        return self.median * math.exp(self.sigma * dice.gauss(0.0, 1.0))


def _latency(value: Latency | float | Sequence[float]) -> Latency:
    if isinstance(value, Latency):
        return value
    if isinstance(value, (int, float)):
        return Latency.constant(value)
    return Latency.listed(value)


def _latencies(
    value: Mapping[str, Latency | float | Sequence[float]],
) -> Mapping[str, Latency]:
    return {name: _latency(each) for name, each in value.items()}


def _key_states(
    value: Mapping[str, KeyState | str] | Collection[str] | None,
) -> Mapping[str, KeyState] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: KeyState(state) for key, state in value.items()}
    return dict.fromkeys(value, KeyState.GOOD)


def _matcher(value: Matcher | Collection[str]) -> Matcher:
    if value is None or isinstance(value, str) or callable(value):
        return value
    return tuple(value)


def _some(
    value: Collection[str] | None,
) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


def _all(value: Collection[str]) -> frozenset[str]:
    return frozenset(value)


def _unlike(value: Collection[str]) -> frozenset[Unlike]:
    return frozenset(Unlike(each) for each in value)


def matches(matcher: Matcher, text: str) -> bool:
    """
    Whether *matcher* means this text.
    """
    if matcher is None:
        return False
    if isinstance(matcher, str):
        return matcher in text
    if isinstance(matcher, tuple):
        return any(part in text for part in matcher)
    return matcher(text)


def _positive(_: object, attribute: _Field, value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{attribute.name} must be above 0, not {value}")


def _not_negative(_: object, attribute: _Field, value: float | None) -> None:
    if value is not None and not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must not be below 0: {value}")


def _share(_: object, attribute: _Field, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value}")


def _one_of(*words: object) -> Callable[[object, _Field, object], None]:
    def check(_: object, attribute: _Field, value: object) -> None:
        if value not in words:
            raise ValueError(
                f"{attribute.name} must be one of {words}, not {value!r}"
            )

    return check


@attrs.frozen(kw_only=True)
class Settings:
    """
    How the service is to behave.

    Attributes:
        slots: How many unfinished jobs an account may have.

        workers: How many jobs of an account run at once; the others wait,
            first in, first out. As many as *slots* if None.

        speed: Divides every duration that is lived or told.

        seed: Of all dice. The same seed and order of requests give the same
            ids, times, seeds and pictures. None is 0, but for the ids.

        profile: ``classic`` says no with HTTP 200, as the captures do;
            ``documented`` with 400, 401, 402, 403, 404 and 429.

        keys: The keys that are good, or what may be done with each. Any key
            that is not empty is good if None.

        accounts: Account of a key, for several keys of one account. A key is
            an account of its own if it is not in here.

        latency: How long jobs run: a `Latency`, seconds, or a list of them.

        latencies: The same for single models or endpoints, by model id or
            by path with the version.

        hold: How long a submit is held before it is answered. A job that
            ends meanwhile is answered with ``success``.

        instant: Share of submits that are held until the job has ended, if
            a worker is free.

        etas: A family of guesses.

        family_etas: Whether endpoints that tell the same eta for every job
            do so: 605 s for a face swap of 2 s. All others, and all if not,
            guess as *etas* say.

        failures: Share of jobs that fail.

        failing: Prompts whose jobs fail.

        failing_models: Models, or paths of endpoints, whose jobs fail.

        models: The models there are; None: all but *unknown_models*.

        unknown_models: Models that there are not.

        loading: How many of the first requests for a model are told to try
            again, by model id.

        loading_text: ``Try Again`` or ``Failed, Try Again``.

        queue_full: ``maximum`` names the limit, ``bare`` says only "Rate
            limit exceeded".

        retry_after: Told when the queue is full; None: not told.

        same_request: For how long an accepted request is refused when it
            comes again with the same body (key, track_id and webhook apart:
            what the live filter compares is not known). None: never.

        future_links: Whether links are foretold for the first picture, all,
            or none. In the captures it was the first.

        late_links: How long links answer 404 after success.

        proxy_links: Their shape. ``mixed`` is a list, in one reply of ten
            an empty string, in one of fifty null.

        output: Shape of the links of a finished job. ``empty`` leaves only
            *proxy_links*.

        fetch: The forms of fetch that are served: id in the path, in the
            body, or both.

        unserved: HTTP code of the form that is not: 404 or 405.

        fetch_get: Whether fetch answers GET too.

        fetch_result: Whether a reply says where to fetch. ``other`` names
            an id that works where the reply's own does not, ``wrong`` one
            that does not work.

        fetch_reply: ``short`` is status, id and output; ``proxied`` adds
            *proxy_links*; ``full`` is all that a submit says.

        nsfw: Prompts whose pictures are blanked, unless the request says
            ``safety_checker: no``.

        nsfw_flag: Whether the reply says so.

        base64: What ``base64: yes`` gives: the link of a text file (plain
            or a data URI), or the text itself.

        pictures: ``drawn`` with Pillow, or ``plain``: one colour, cheap,
            always PNG whatever the name, no Pillow needed.

        first_id: Ids rise from here, with gaps. None: with a *seed* from
            134700000, else from another number for each simulator, so that
            its pictures are not taken for those of the one before.

        strict: Whether what the documentation has against a request is
            refused, not only remarked in the books.

        families: Where a job is found: under its ``own`` family, ``any``,
            or any ``other`` but its own.

        inputs: Whose links to pictures are followed. ``local``: this
            machine's, and a link into the world is taken for a picture that
            nobody has looked at. ``fetch``: all.

        upload_limit: Bytes of a picture that may be uploaded.

        upload_life: How long it can be had.

        balance: Money of an account at the start.

        price: Money that a picture costs.

        counts_a_minute: How often an account may ask how many jobs it has.

        assets: Where the account's pictures are listed: under ``both``
            paths, under ``v6`` alone, or ``refused`` with a plain key.

        rings: How webhooks are called.

        late_ring: How long a ring that is late comes after the end.

        unlike: Ways to differ from what is known of the service.
    """

    slots: int = attrs.field(default=5, validator=_positive)
    workers: int | None = attrs.field(default=None, validator=_positive)
    speed: float = attrs.field(default=1.0, validator=_positive)
    seed: int | None = None
    profile: Profile = attrs.field(
        default="classic", validator=_one_of("classic", "documented")
    )
    keys: Mapping[str, KeyState] | None = attrs.field(
        default=None, converter=_key_states, repr=False
    )
    accounts: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    latency: Latency = attrs.field(default=Latency(), converter=_latency)
    latencies: Mapping[str, Latency] = attrs.field(
        factory=dict, converter=_latencies
    )
    hold: float = attrs.field(default=0.2, validator=_not_negative)
    instant: float = attrs.field(default=0.0, validator=_share)
    etas: Etas = attrs.field(default=Etas.NOISY, converter=Etas)

    failures: float = attrs.field(default=0.0, validator=_share)
    failing: Matcher = attrs.field(default=None, converter=_matcher)
    failing_models: frozenset[str] = attrs.field(default=(), converter=_all)
    models: frozenset[str] | None = attrs.field(default=None, converter=_some)
    unknown_models: frozenset[str] = attrs.field(default=(), converter=_all)
    loading: Mapping[str, int] = attrs.field(factory=dict)
    loading_text: str = "Try Again"

    queue_full: QueueFull = attrs.field(
        default="maximum", validator=_one_of("maximum", "bare")
    )
    retry_after: float | None = attrs.field(
        default=30.0, validator=_not_negative
    )
    same_request: float | None = attrs.field(default=None, validator=_positive)

    future_links: FutureLinks = attrs.field(
        default="first", validator=_one_of("first", "all", "absent")
    )
    late_links: float = attrs.field(default=0.0, validator=_not_negative)
    proxy_links: ProxyLinks = attrs.field(
        default="mixed",
        validator=_one_of("mixed", "list", "empty", "null", "dict", "absent"),
    )
    output: Output = attrs.field(
        default="list", validator=_one_of("list", "str", "object", "empty")
    )
    fetch: FetchForm = attrs.field(
        default="both", validator=_one_of("both", "path", "body")
    )
    unserved: Literal[404, 405] = attrs.field(
        default=404, validator=_one_of(404, 405)
    )
    fetch_get: bool = False
    fetch_result: FetchResult = attrs.field(
        default="present",
        validator=_one_of("present", "absent", "other", "wrong"),
    )
    fetch_reply: FetchReply = attrs.field(
        default="short", validator=_one_of("short", "proxied", "full")
    )
    nsfw: Matcher = attrs.field(default=None, converter=_matcher)
    nsfw_flag: bool = True
    base64: Base64Style = attrs.field(
        default="link",
        validator=_one_of("link", "link-uri", "inline", "inline-uri"),
    )
    pictures: Pictures = attrs.field(
        default="drawn", validator=_one_of("drawn", "plain")
    )
    first_id: int | None = None

    family_etas: bool = True
    strict: bool = False
    families: Families = attrs.field(
        default="own", validator=_one_of("own", "any", "other")
    )
    inputs: InputLinks = attrs.field(
        default="local", validator=_one_of("local", "fetch")
    )
    upload_limit: int = attrs.field(default=5_000_000, validator=_positive)
    upload_life: float = attrs.field(default=86_400.0, validator=_positive)
    balance: float = attrs.field(default=1_000_000.0, validator=_not_negative)
    price: float = attrs.field(default=0.0047, validator=_not_negative)
    counts_a_minute: int = attrs.field(default=30, validator=_positive)
    assets: AssetLists = attrs.field(
        default="both", validator=_one_of("both", "v6", "refused")
    )
    rings: Rings = attrs.field(default=Rings.ONCE, converter=Rings)
    late_ring: float = attrs.field(default=30.0, validator=_not_negative)
    unlike: frozenset[Unlike] = attrs.field(default=(), converter=_unlike)
