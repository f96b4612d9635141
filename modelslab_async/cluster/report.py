"""
What a cluster's batches are doing, read from the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import psycopg

from psycopg import AsyncConnection

from ..journal import State
from .engine import QUEUE
from .schema import check_schema, table_exists, unusable


#: Seconds over which the rate is measured.
_WINDOW = 300.0


#: Unknown items that are named, at most.
_NAMED = 1000


@attrs.frozen
class BatchReport:
    """
    How a batch stands.

    Attributes:
        counts: How many items are in each state.

        rate: Items a second that were finished in the last five minutes.

        unknown: The track_ids of items whose outcome is unknown; the first
            1,000.

        oldest: When the oldest accepted or done item was accepted, in seconds
            since the epoch.
    """

    name: str
    counts: Mapping[State, int]
    rate: float
    unknown: tuple[str, ...]
    oldest: float | None


@attrs.frozen
class WorkerReport:
    """
    A worker that the engine knows.

    Attributes:
        items: How many it has now.

        silent: Seconds since it was heard of.
    """

    id: int
    items: int
    silent: float


@attrs.frozen
class ClusterReport:
    """
    How a cluster stands.

    Attributes:
        waiting: Items of all batches that no worker has yet.
    """

    batches: tuple[BatchReport, ...]
    workers: tuple[WorkerReport, ...]
    waiting: int


async def report(dsn: str, batch: str | None = None) -> ClusterReport:
    """
    How a cluster stands.

    Args:
        dsn: Its database.

        batch: Of this batch only.

    Raises:
        JournalError: The database cannot be used.
    """
    try:
        async with await AsyncConnection.connect(
            dsn, autocommit=True
        ) as connection:
            await check_schema(connection)
            rows = await _rows(
                connection,
                "SELECT id, name FROM modelslab_batch "
                "WHERE %s::text IS NULL OR name = %s ORDER BY id",
                batch,
                batch,
            )
            batches = [await _batch_report(connection, *row) for row in rows]
            if not await table_exists(connection, "procrastinate_jobs"):
                # Nothing was ever planned for workers.
                return ClusterReport(tuple(batches), (), 0)
            return ClusterReport(
                tuple(batches),
                await _workers(connection),
                await _waiting(connection, batch),
            )
    except psycopg.Error as error:
        raise unusable(error) from error


async def _batch_report(
    connection: AsyncConnection[Any], number: int, name: str
) -> BatchReport:
    counts = dict.fromkeys(State, 0)
    for state, count in await _rows(
        connection,
        "SELECT state, count(*) FROM modelslab_item WHERE batch = %s "
        "GROUP BY state",
        number,
    ):
        counts[State(state)] = count
    ((finished,),) = await _rows(
        connection,
        "SELECT count(*) FROM modelslab_item WHERE batch = %s "
        "AND state = ANY(%s) AND coalesce(stored_at, done_at) "
        "> extract(epoch FROM now()) - %s",
        number,
        [int(State.DONE), int(State.STORED)],
        _WINDOW,
    )
    unknown = await _rows(
        connection,
        "SELECT track_id FROM modelslab_item WHERE batch = %s AND state = %s "
        'ORDER BY "index" LIMIT %s',
        number,
        int(State.UNKNOWN),
        _NAMED,
    )
    ((oldest,),) = await _rows(
        connection,
        "SELECT min(accepted_at) FROM modelslab_item "
        "WHERE batch = %s AND state = ANY(%s)",
        number,
        [int(State.ACCEPTED), int(State.DONE)],
    )
    return BatchReport(
        name,
        counts,
        finished / _WINDOW,
        tuple(str(track_id) for (track_id,) in unknown),
        oldest,
    )


async def _workers(
    connection: AsyncConnection[Any],
) -> tuple[WorkerReport, ...]:
    rows = await _rows(
        connection,
        """
        SELECT worker.id, count(job.id),
            extract(epoch FROM now() - worker.last_heartbeat)::float
        FROM procrastinate_workers AS worker
        LEFT JOIN procrastinate_jobs AS job
            ON job.worker_id = worker.id AND job.status = 'doing'
                AND job.queue_name = %s
        GROUP BY worker.id ORDER BY worker.id
        """,
        QUEUE,
    )
    return tuple(WorkerReport(*row) for row in rows)


async def _waiting(connection: AsyncConnection[Any], batch: str | None) -> int:
    ((count,),) = await _rows(
        connection,
        "SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %s "
        "AND status = 'todo' AND (%s::text IS NULL OR args ->> 'batch' = %s)",
        QUEUE,
        batch,
        batch,
    )
    return int(count)


async def _rows(
    connection: AsyncConnection[Any], statement: str, *values: object
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(statement, values)
    return await cursor.fetchall()
