"""
A batch's memory in PostgreSQL: the journal that many machines share.

Each journal that is open is one run, and each item has at most one run that
may change it: the last one that it was planned in. So a worker that was given
up for dead, whose item was given to another, cannot write over that one. What
nobody has, because its run was closed or not heard of for a while, is free.

A connection that breaks is made anew, and what was being written is written
again, for a minute. Whether a commit arrived whose answer did not is known
from counters in the rows, so that nothing is done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import warnings

from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from types import TracebackType
from typing import Any, Self, TypeVar

from psycopg import AsyncConnection

from ..errors import ClientClosedError, JournalError
from ..journal import (
    MOVES,
    SIMULATOR,
    Discarded,
    Entry,
    Identity,
    Request,
    State,
    Step,
    after,
    check_identity,
    fingerprint,
)
from .database import Database
from .planning import Also, Plan, begin_with, claim_item
from .tables import BatchRow, ItemTables


T = TypeVar("T")


class PostgresJournal:
    """
    A `Journal` in PostgreSQL, of the batch of that name.

    It is opened by its first call, and used by one batch at a time. Any
    number of them, on any number of machines, may be open for one batch.

    What changes: what is in the database, its connection, and its run.
    """

    def __init__(
        self,
        dsn: str,
        *,
        batch: str,
        patience: float = 60.0,
        lease: float = 60.0,
    ) -> None:
        """
        Args:
            dsn: A connection string or URL, as libpq takes it.

            batch: The name of the batch.

            patience: Seconds to try again for, while the database cannot be
                reached.

            lease: Seconds after which others take it for dead, when they
                hear nothing of it; it says so four times as often.
        """
        # First of all, for `__del__`.
        self._run: int | None = None
        self.name = batch
        self._database = Database(dsn, patience)
        self._lease = lease
        self._batch: BatchRow | None = None
        self._heart: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._doubts: dict[int, tuple[Step, int]] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<PostgresJournal {self.name!r}>"

    @property
    def id(self) -> str:
        """
        See `Journal`.
        """
        return "" if self._batch is None else self._batch.uid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._run is not None and not self._closed:
            warnings.warn(
                f"{self!r} was never closed",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._end_of(self._close())

    async def _close(self) -> None:
        others = self._tasks - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)
        if self._heart is not None:
            self._heart.cancel()
        if self._run is not None:
            # Where it fails, nobody hears of the run any more.
            with contextlib.suppress(JournalError):
                await self._database.once(
                    lambda connection: _forget(connection, self._run)
                )
        await self._database.aclose()

    # The calls of a journal

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        async def work(
            connection: AsyncConnection[Any],
        ) -> tuple[BatchRow, int]:
            batch = await _batch_row(connection, self.name)
            another = _check(batch, identity, new_key=new_key)
            await connection.execute(
                "UPDATE modelslab_batch SET origin = %s, fingerprint = %s, "
                "simulator = coalesce(%s, simulator) WHERE id = %s",
                (
                    identity.origin,
                    fingerprint(batch.salt, identity.key),
                    identity.run,
                    batch.id,
                ),
            )
            await _forget(connection, self._run)
            run = await _new_run(connection, batch, self._lease)
            tables = ItemTables(connection, batch.id, run)
            states = (
                MOVES[Discarded].sources if another else {State.SUBMITTING}
            )
            for entry in await tables.free(states, everybodys=another):
                await begin_with(tables, entry, another=another)
            return batch, run

        self._batch, self._run = await self._do(work)
        if self._heart is None:
            self._heart = asyncio.create_task(self._beat())

    async def rotate_key(self, key: str | Callable[[], str]) -> None:
        async def work(connection: AsyncConnection[Any]) -> None:
            batch = await _batch_row(connection, self.name)
            await connection.execute(
                "UPDATE modelslab_batch SET fingerprint = %s WHERE id = %s",
                (fingerprint(batch.salt, key), batch.id),
            )

        await self._do(work)

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        return await self._plan(Plan(items, self._begun(), owned=True))

    async def enlist(
        self, items: Sequence[Request], also: Also | None = None
    ) -> Sequence[Entry]:
        """
        Plan items for others to work on: whoever has one keeps it.

        Args:
            items: Which.

            also: What else belongs to the transaction; is given those that
                are new.
        """
        plan = Plan(items, self._begun(), owned=False, also=also)
        return await self._plan(plan)

    async def claim(self, index: int) -> Entry | None:
        """
        Make an item this run's; None where another run that lives has it.
        """
        self._begun()
        return await self._within(lambda tables: claim_item(tables, index))

    async def with_tables(
        self, work: Callable[[ItemTables], Awaitable[T]]
    ) -> T:
        """
        Do something else with the batch's items, in a transaction.
        """
        return await self._within(work)

    async def move(self, index: int, step: Step) -> Entry:
        async def work(tables: ItemTables) -> Entry:
            entry, moves = await tables.own(index)
            doubt = self._doubts.get(index)
            if doubt is not None and doubt[0] is step and doubt[1] < moves:
                # It was written, and only the answer did not come.
                return entry
            then = after(entry, step)
            await tables.write(entry, then)
            self._doubts[index] = step, moves
            return then

        moved = await self._within(work)
        self._doubts.pop(index, None)
        return moved

    async def get(self, index: int) -> Entry:
        return await self._within(lambda tables: tables.get(index))

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        """
        See `Journal`; unseen items that nobody has are this run's then.
        """
        return await self._within(
            lambda tables: (tables.take_left if unseen else tables.page)(
                states, after, limit
            )
        )

    async def find(
        self,
        *,
        job_id: str | None = None,
        track_id: str | None = None,
        bell: str | None = None,
    ) -> Sequence[Entry]:
        return await self._within(
            lambda tables: tables.find(job_id, track_id, bell)
        )

    async def counts(self) -> Mapping[State, int]:
        return await self._within(lambda tables: tables.counts())

    async def oldest(self) -> float | None:
        return await self._within(lambda tables: tables.oldest())

    # How they are done

    def _begun(self) -> int:
        if self._closed:
            raise ClientClosedError("the journal is closed")
        if self._run is None:
            raise RuntimeError("a journal begins a run before it plans")
        return self._run

    async def _plan(self, plan: Plan) -> Sequence[Entry]:
        async def work(tables: ItemTables) -> Sequence[Entry]:
            count = await tables.count_plan()
            if count is None:
                raise JournalError(
                    "locked", "this run was forgotten; begin another one"
                )
            if plan.count is not None and plan.count < count:
                # It was written, and only the answer did not come.
                return await plan.again(tables)
            plan.count = count
            return await plan.write(tables)

        return await self._within(work)

    async def _within(self, work: Callable[[ItemTables], Awaitable[T]]) -> T:
        """
        Do something with the batch's items.
        """
        if self._batch is None:
            self._batch = await self._do(
                lambda connection: _batch_row(connection, self.name)
            )
        batch, run = self._batch.id, -1 if self._run is None else self._run
        return await self._do(
            lambda connection: work(ItemTables(connection, batch, run))
        )

    async def _do(
        self, work: Callable[[AsyncConnection[Any]], Awaitable[T]]
    ) -> T:
        if self._closed:
            raise ClientClosedError("the journal is closed")
        return await self._end_of(self._database.transact(work))

    async def _end_of(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Whoever waits may go, the work stays.
        """
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _beat(self) -> None:
        """
        Say that this run lives.
        """

        async def work(connection: AsyncConnection[Any]) -> None:
            await connection.execute(
                "UPDATE modelslab_run SET seen_at = now() WHERE id = %s",
                (self._run,),
            )

        while True:
            await asyncio.sleep(self._lease / 4)
            with contextlib.suppress(JournalError):
                await self._database.transact(work)


# Batches and runs.


async def _batch_row(connection: AsyncConnection[Any], name: str) -> BatchRow:
    """
    The batch of that name, which is made if there is none.
    """
    select = (
        "SELECT id, uid, decode(salt, 'hex'), origin, fingerprint, simulator "
        "FROM modelslab_batch WHERE name = %s"
    )
    row = await (await connection.execute(select, (name,))).fetchone()
    if row is None:
        await connection.execute(
            "INSERT INTO modelslab_batch (name, uid, salt) "
            "VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (name, secrets.token_hex(16), secrets.token_hex(16)),
        )
        row = await (await connection.execute(select, (name,))).fetchone()
    if row is None:
        raise JournalError("unwritable", f"batch {name!r} cannot be made")
    return BatchRow(*row)


def _check(batch: BatchRow, identity: Identity, *, new_key: bool) -> bool:
    """
    Whether the batch was last run against a simulator that is gone.

    Raises:
        JournalError: It is another's.
    """
    if batch.origin is None:
        return False
    check_identity(
        Identity(batch.origin),
        identity,
        same_key=batch.fingerprint == fingerprint(batch.salt, identity.key),
        new_key=new_key,
    )
    return batch.origin == SIMULATOR and batch.simulator != identity.run


async def _new_run(
    connection: AsyncConnection[Any], batch: BatchRow, lease: float
) -> int:
    # What was not heard of for so long is nobody's for long.
    await connection.execute(
        "DELETE FROM modelslab_run "
        "WHERE batch = %s AND seen_at < now() - interval '1 day'",
        (batch.id,),
    )
    cursor = await connection.execute(
        "INSERT INTO modelslab_run (batch, lease) VALUES (%s, %s) "
        "RETURNING id",
        (batch.id, lease),
    )
    row = await cursor.fetchone()
    return -1 if row is None else int(row[0])


async def _forget(connection: AsyncConnection[Any], run: int | None) -> None:
    await connection.execute("DELETE FROM modelslab_run WHERE id = %s", (run,))
