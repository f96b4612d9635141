"""
How procrastinate is used: one job for each item, in one queue.

Queue, workers, heartbeats, stalled jobs, retries and locks are
procrastinate's. A job has nothing but the name of a batch and the index of an
item: what is known of the item is in the journal, so a job that is delivered
twice does no harm.
"""

from __future__ import annotations

import asyncio
import datetime as dt

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
import procrastinate

from procrastinate import exceptions, jobs
from psycopg import AsyncConnection

from .schema import table_exists


QUEUE = "modelslab_async"


_TASK = "modelslab_async.item"


#: Seconds until an item is delivered again that could not be brought to its
#: end; twice as long each time.
_FIRST_RETRY, _LAST_RETRY = 5.0, 300.0


#: Brings an item of a batch, by its index, to its end.
Work = Callable[[str, int], Awaitable[str]]


class LaterError(Exception):
    """
    An item that is to be delivered again.
    """


class _Later(procrastinate.BaseRetryStrategy):
    """
    Deliver again whatever was not brought to its end, as often as it takes.
    """

    def get_retry_decision(
        self, *, exception: BaseException, job: jobs.Job
    ) -> procrastinate.RetryDecision:
        pause = _FIRST_RETRY * 2 ** min(job.attempts, 10)
        seconds = min(pause, _LAST_RETRY)
        if not isinstance(exception, Exception):
            # The worker was told to stop; the others need not wait.
            seconds = 0.0
        return procrastinate.RetryDecision(
            retry_at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        )


@attrs.frozen
class Engine:
    """
    procrastinate, as far as we use it.
    """

    app: procrastinate.App

    @classmethod
    def at(cls, dsn: str) -> Engine:
        """
        The engine in the database at *dsn*; nothing is opened yet.
        """
        connector = procrastinate.PsycopgConnector(
            conninfo=dsn, min_size=1, max_size=4
        )
        return cls(procrastinate.App(connector=connector))

    def on_item(self, work: Work) -> None:
        """
        Say what is done with an item.
        """

        @self.app.task(name=_TASK, queue=QUEUE, retry=_Later())
        async def item(batch: str, index: int) -> str:
            return await work(batch, index)

    async def defer(
        self,
        connection: AsyncConnection[Any],
        batch: str,
        indexes: Iterable[int],
    ) -> None:
        """
        Have items delivered, as part of the connection's transaction.
        """
        wanted = [_job(batch, index) for index in indexes]
        if not wanted:
            return
        try:
            await self.app.job_manager.batch_defer_jobs_async(
                wanted, connection=connection
            )
        except exceptions.ConnectorException as error:
            # The database's own words, for whoever tries again.
            raise error.__cause__ or error from None

    async def run(
        self,
        *,
        name: str,
        concurrency: int,
        stalled: float,
        grace: float,
    ) -> None:
        """
        Be a worker until cancelled, or until the database goes.

        Args:
            name: What the worker is called.

            concurrency: How many items it has at once.

            stalled: Seconds after which a worker that was not heard of is
                taken for dead.

            grace: Seconds that its items have to end when it is stopped.
        """
        await self.app.run_worker_async(
            queues=[QUEUE],
            name=name,
            concurrency=concurrency,
            fetch_job_polling_interval=1.0,
            update_heartbeat_interval=stalled / 3,
            stalled_worker_timeout=stalled,
            shutdown_graceful_timeout=grace,
            install_signal_handlers=False,
            delete_jobs="successful",
        )

    async def deliver_stalled(self, stalled: float) -> int:
        """
        Deliver again what a dead worker had; give how many items that were.
        """
        manager = self.app.job_manager
        found = await manager.get_stalled_jobs(
            queue=QUEUE, seconds_since_heartbeat=stalled
        )
        delivered = 0
        for job in found:
            try:
                await manager.retry_job(job)
            except exceptions.ConnectorException:
                # Another worker was faster.
                continue
            delivered += 1
        return delivered

    async def migrate(self, connection: AsyncConnection[Any]) -> None:
        """
        Make procrastinate's tables, where there are none; it has migrations
        of its own.
        """
        if not await table_exists(connection, "procrastinate_jobs"):
            statements = await asyncio.to_thread(
                self.app.schema_manager.get_schema
            )
            await connection.execute(statements)


def _job(batch: str, index: int) -> jobs.Job:
    return jobs.Job(
        queue=QUEUE,
        lock=lock_of(batch, index),
        queueing_lock=None,
        task_name=_TASK,
        task_kwargs={"batch": batch, "index": index},
    )


def lock_of(batch: str, index: int | str) -> str:
    """
    What keeps an item from being in two workers' hands at once.
    """
    return f"{QUEUE}:{batch}:{index}"
