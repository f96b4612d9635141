"""
`ModelsLab`: what a caller holds, and asks for everything.
"""

from __future__ import annotations

import os

from collections.abc import (
    AsyncIterable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from ssl import SSLContext
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from ._calls import Calls
from ._checks import key_faults, several
from ._engine.api_key import ApiKey
from ._engine.network import NetworkOptions, TraceConfig
from ._policy.polling import PollSchedule
from ._policy.retry import RetryPolicy
from ._policy.timeouts import Timeouts
from ._quoting import in_short
from .results import UnknownItem
from .specs import Spec


if TYPE_CHECKING:
    # Only where they are needed: who imports us for a picture or two should
    # not wait for what makes batches durable.
    from ._batch.batch import Batch
    from .events import Observer
    from .journal.protocol import Journal
    from .webhooks import Doorbell


BASE_URL = "https://modelslab.com/api/v6"


def url_asked(base_url: str | None = None) -> str:
    """
    Which service is asked, where *base_url* was given.
    """
    url: object = base_url or os.environ.get("MODELSLAB_BASE_URL") or BASE_URL
    # What is no text is told of with all other faults.
    return (url if isinstance(url, str) else in_short(url)).rstrip("/")


class ModelsLab(Calls):
    """
    A client of the ModelsLab image API.

    Opens at ``async with``, or at first use, on the running loop; `aclose`,
    or the last ``async with`` out, closes it.

    Args:
        api_key: The account's key, or a function that gives it as it is now
            (rotation).  Default: ``MODELSLAB_API_KEY``.

        base_url: Default: ``MODELSLAB_BASE_URL``, else the real service.

        slots: Unfinished jobs to start with, and never more; None starts at 5,
            the smallest plan, and learns from refusals.

        job_timeout: Seconds after its acceptance for which a job is watched.

        max_downloads: Pictures that are loaded at once.

        polling: When to ask for a job again.

        retry: What to try again, and how often.

        observers: Functions that are told what happens; see `events`.

        doorbell: Where the service tells that a job has ended; see
            `webhooks.Doorbell`.

        trusted_hosts: Hosts (``host`` or ``host:port``) that pictures may be
            loaded from over http, or at addresses that are not global; also
            networks (``198.18.0.0/15``) that names may lead to, for machines
            whose DNS gives such addresses.

        proxy: URL of an http proxy.  Default: ``MODELSLAB_PROXY``; an empty
            text is none, whatever that says.

        ssl: An `ssl.SSLContext` for the service's certificates.

        trace_configs: For aiohttp's own tracing.  They see bodies, and with
            them the key.

        timeouts: How long to wait for what.

    Raises:
        ConfigurationError: An option cannot be; all of them are named.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        base_url: str | None = None,
        slots: int | None = None,
        job_timeout: float = 1800.0,
        max_downloads: int = 16,
        polling: PollSchedule = PollSchedule(),  # noqa: B008 - frozen
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        observers: Iterable[Observer] = (),
        trusted_hosts: Sequence[str] = (),
        doorbell: Doorbell | None = None,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        trace_configs: Sequence[TraceConfig] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        if api_key is None:
            api_key = os.environ.get("MODELSLAB_API_KEY") or None
        faults = key_faults(api_key)
        key = ApiKey(api_key or "")
        # The frame of an error that follows must not have it.
        del api_key
        if proxy is None:
            proxy = os.environ.get("MODELSLAB_PROXY")
        network = NetworkOptions(
            max_downloads=max_downloads,
            trusted_hosts=several(trusted_hosts),
            proxy=proxy or None,
            ssl=ssl or True,
            trace_configs=several(trace_configs),
        )
        # All that works on jobs comes now, when somebody means to ask for
        # one, and before it has to be quick.
        from ._lifetime import Lifetime
        from ._rooms import Options

        options = Options(
            key,
            url_asked(base_url),
            slots,
            job_timeout,
            polling,
            retry,
            several(observers),
            network,
            timeouts,
            doorbell=doorbell,
        )
        super().__init__(Lifetime(options))
        options.check(faults)

    @classmethod
    def simulated(
        cls,
        url: str,
        *,
        speed: float = 1.0,
        slots: int | None = None,
        run: str | None = None,
    ) -> Self:
        """
        A client of a simulator: no key, and as fast as it is.

        Args:
            url: The simulator's.

            speed: The simulator's own; all waits are divided by it.

            slots: As of `ModelsLab`.

            run: Which simulator it is, for journals: its jobs end with it,
                and its port is another each time.  Default: a new one.
        """
        from ._lifetime import Lifetime
        from ._rooms import Options

        options = Options(
            ApiKey("simulated"),
            url,
            slots=slots,
            timeouts=Timeouts().faster(speed, silence=5.0),
            origin="simulator",
            run=run or os.urandom(8).hex(),
        )
        options.check()
        lab = cls.__new__(cls)
        Calls.__init__(lab, Lifetime(options))
        return lab

    def __repr__(self) -> str:
        url = self._lifetime.options.base_url
        return f"<ModelsLab {url} {self._lifetime!r}>"

    # Lifetime

    async def __aenter__(self) -> Self:
        await self._lifetime.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lifetime.leave()

    async def aclose(self) -> None:
        """
        Close the client, whoever else uses it.

        New and waiting calls get `ClientClosedError`.  Requests under way are
        waited for, up to 10 s.  Those who wait for a job get
        `JobUnfinishedError` with its id, and one WARNING names each job that
        is paid and unfinished.  May be called again, and in a cancelled task.
        """
        await self._lifetime.close()

    def abandon(self) -> None:
        """
        Let go of a client whose event loop has ended: nothing can be awaited
        there.  One WARNING names each unfinished job.
        """
        self._lifetime.abandon()

    # Batches

    def batch(
        self,
        specs: Iterable[Spec] | AsyncIterable[Spec],
        *,
        output: str | os.PathLike[str] | None = None,
        journal: str | os.PathLike[str] | Journal | None = None,
        items: Iterable[str | None] | None = None,
        ordered: bool = False,
        priority: int = 10,
        max_failures: int | None = None,
        max_jobs: int | None = None,
        max_images: int | None = None,
        resubmit_unknown: bool = False,
        resubmit_failed: bool = False,
        new_key: bool = False,
    ) -> Batch:
        """
        Ask for many, lazily, within the account's slots.

        ``async with`` it and iterate for outcomes as they finish, or await it
        for a list in input order.  *specs* is any
        iterable or async iterable, pulled only when there is room; for the
        options see `BatchOptions`.

        Raises:
            ConfigurationError: Options that exclude each other.

            JournalError: When it is entered: the journal cannot be used.
        """
        from ._batch.batch import Batch
        from ._batch.options import BatchOptions

        return Batch(
            self._lifetime.open,
            specs,
            BatchOptions(
                output=output,
                journal=journal,
                items=items,
                ordered=ordered,
                priority=priority,
                max_failures=max_failures,
                max_jobs=max_jobs,
                max_images=max_images,
                resubmit_unknown=resubmit_unknown,
                resubmit_failed=resubmit_failed,
                new_key=new_key,
            ),
        )

    async def unknown(
        self, place: str | os.PathLike[str] | Journal
    ) -> tuple[UnknownItem, ...]:
        """
        The items of a batch that were sent and got no verdict, and what the
        account made meanwhile that no item owns.

        That is a hint, never a proof: others may use the account.

        Args:
            place: The batch's folder, its journal's file, or a `Journal`;
                no batch may be using it.

        Raises:
            JournalError: It cannot be used.
        """
        from ._batch.unknowns import Unknowns, check_settling

        check_settling(place)
        return await Unknowns(self._lifetime.open(), place).items()

    async def settle_unknown(
        self,
        place: str | os.PathLike[str] | Journal,
        *,
        accept: Mapping[str, str] = MappingProxyType({}),
        resubmit: Iterable[str] = (),
    ) -> None:
        """
        Say what became of unknown items, by their track_ids.

        Args:
            place: As of `unknown`.

            accept: Which job each one became.  The next run of its batch
                fetches and saves it, without buying it again.

            resubmit: Which ones the next run of their batch asks for again,
                although they may have been paid for.

        Raises:
            ConfigurationError: No such item, or no such job; nothing was
                changed.

            JournalError: The journal cannot be used.
        """
        from ._batch.unknowns import Unknowns, check_settling

        check_settling(place, accept, resubmit)
        unknowns = Unknowns(self._lifetime.open(), place)
        await unknowns.settle(
            {name: str(job_id) for name, job_id in accept.items()},
            tuple(resubmit),
        )
