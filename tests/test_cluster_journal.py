"""
The journal in PostgreSQL: the laws of all journals, and what comes with many
machines.
"""

from __future__ import annotations

import asyncio
import gc
import random
import secrets

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import attrs
import psycopg
import pytest
import pytest_asyncio

from journals import (
    STEPS,
    US,
    WAYS,
    JournalLaws,
    Storage,
    indexes,
    item,
    items,
    walk,
)
from pgserver import Server, own_server

from modelslab_async.cluster import (
    SCHEMA_VERSION,
    PostgresJournal,
    migrate,
)
from modelslab_async.cluster.delivered import DeliveredJournal
from modelslab_async.errors import ConfigurationError, JournalError
from modelslab_async.journal import (
    Discarded,
    Identity,
    Journal,
    Start,
    State,
    Submitting,
    on_start,
)


@attrs.define
class _InPostgres(Storage):
    dsn: str
    #: One database is enough for batches that know nothing of each other.
    batch: str = attrs.field(factory=lambda: secrets.token_hex(8))
    journal: PostgresJournal | None = None

    async def reopen(self) -> Journal:
        await self.close()
        self.journal = PostgresJournal(
            self.dsn, batch=self.batch, patience=5.0
        )
        return self.journal

    async def close(self) -> None:
        if self.journal is not None:
            await self.journal.aclose()


@pytest.mark.asyncio
class TestPostgresJournal(JournalLaws):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: Server) -> None:
        self.dsn = postgres.dsn

    def storage_in(self, folder: Path) -> Storage:
        return _InPostgres(self.dsn)


# Many at once.


class Begun(Protocol):
    """
    What opens one more journal of a batch.
    """

    async def __call__(self, **options: Any) -> PostgresJournal: ...


@pytest_asyncio.fixture
async def begun(emptied: str) -> AsyncIterator[Begun]:
    """
    What opens one more journal of the same batch, with a run begun.
    """
    async with AsyncExitStack() as stack:

        async def begin(**options: Any) -> PostgresJournal:
            options = {"batch": "cats", "patience": 5.0, **options}
            journal = await stack.enter_async_context(
                PostgresJournal(emptied, **options)
            )
            await journal.begin(US)
            return journal

        yield begin


async def sql(dsn: str, statement: str) -> list[Any]:
    """
    What a person says to the database.
    """
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    async with connection:
        cursor = await connection.execute(statement)
        return [] if cursor.description is None else await cursor.fetchall()


@pytest.mark.asyncio
class TestTakenOver:
    @pytest.mark.parametrize(
        ("now", "then"),
        [
            (State.PLANNED, State.PLANNED),
            (State.SUBMITTING, State.UNKNOWN),
            (State.ACCEPTED, State.ACCEPTED),
            (State.DONE, State.DONE),
            (State.STORED, State.STORED),
            (State.FAILED, State.FAILED),
            (State.UNKNOWN, State.UNKNOWN),
        ],
    )
    async def test_by_whom_it_is_planned(
        self, begun: Begun, now: State, then: State
    ) -> None:
        """
        Who is given an item has it; the worker that had it before, and was
        given up for dead, writes nothing any more.
        """
        first, second = await begun(), await begun()
        await first.plan([item("a", "k")])
        await walk(first, 0, now)

        (taken,) = await second.plan([item("a", "k")])
        late = [
            await error_of(first.move(0, step))
            for step in (*STEPS.values(), Discarded())
        ]

        assert taken.state is then
        assert {error.reason for error in late} == {"locked"}
        assert await second.get(0) == taken

    async def test_beginning_takes_nothing(self, begun: Begun) -> None:
        """
        That another worker begins says nothing of what this one does.
        """
        first = await begun()
        await first.plan(items("ab"))
        await walk(first, 0, State.SUBMITTING)
        await walk(first, 1, State.ACCEPTED)

        second = await begun()
        left = await second.entries(set(State), unseen=True)
        await first.move(0, STEPS[State.ACCEPTED])

        assert left == []
        assert (await second.counts())[State.ACCEPTED] == 2

    async def test_not_heard_of(self, emptied: str, begun: Begun) -> None:
        """
        What a dead process had is free when nobody has heard of it for
        long: its requests are unknown, its jobs are taken up by one.
        """
        first = await begun()
        await first.plan(items("ab"))
        await walk(first, 0, State.SUBMITTING)
        await walk(first, 1, State.ACCEPTED)
        await sql(
            emptied,
            "UPDATE modelslab_run SET lease = -1000000",
        )

        second, third = await begun(), await begun()
        left = [
            await one.entries({State.ACCEPTED}, unseen=True)
            for one in (second, third)
        ]

        assert (await second.get(0)).state is State.UNKNOWN
        assert [indexes(page) for page in left] == [[1], []]
        assert (await error_of(first.move(1, STEPS[State.DONE]))) is not None

    async def test_closed(self, begun: Begun) -> None:
        """
        What a closed journal left is free at once.
        """
        first = await begun()
        await first.plan(items("ab"))
        await walk(first, 0, State.ACCEPTED)
        await first.aclose()

        second = await begun()
        left = await second.entries({State.ACCEPTED}, unseen=True)
        await second.move(0, STEPS[State.DONE])

        assert indexes(left) == [0]

    async def test_run_that_was_forgotten(
        self, emptied: str, begun: Begun
    ) -> None:
        """
        A process that slept for a day plans nothing.
        """
        journal = await begun()
        await sql(emptied, "DELETE FROM modelslab_run")

        error = await error_of(journal.plan(items("a")))

        assert error.reason == "locked"

    async def test_heartbeat(self, emptied: str, begun: Begun) -> None:
        """
        A run that only waits is heard of all the same.
        """
        await begun(lease=0.04)
        said = "SELECT seen_at FROM modelslab_run"

        before = await sql(emptied, said)
        while await sql(emptied, said) == before:
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
class TestPlanning:
    async def test_enlisted(self, begun: Begun) -> None:
        """
        Who plans for others takes nothing from those who work.
        """
        worker, planner = await begun(), await begun()
        await worker.plan([item("a", "k")])
        await walk(worker, 0, State.SUBMITTING)

        found = await planner.enlist([item("a", "k"), item("b", "l")])
        await worker.move(0, STEPS[State.ACCEPTED])
        (taken,) = await worker.plan([item("b", "l")])
        await worker.move(taken.index, STEPS[State.SUBMITTING])

        assert [entry.state for entry in found] == [
            State.SUBMITTING,
            State.PLANNED,
        ]

    async def test_many_at_once(self, begun: Begun) -> None:
        """
        However many plan the same input at once, each item is there once.
        """
        journals = [await begun() for _ in range(4)]
        wanted = [item(f"n{n}", f"k{n}") for n in range(100)]
        pieces = [wanted[n : n + 10] for n in range(0, 100, 10)]

        found = await asyncio.gather(
            *(
                journal.enlist(piece)
                for journal in journals
                for piece in random.sample(pieces, len(pieces))
            )
        )
        known = await journals[0].entries(set(State), limit=1000)

        assert len(known) == len({entry.key for entry in known}) == 100
        assert {e.index for page in found for e in page} == {
            entry.index for entry in known
        }

    async def test_long_key(self, begun: Begun) -> None:
        """
        A key may be as long as a line of an input.
        """
        journal = await begun()
        key = "".join(random.choices("abcdefgh", k=50_000))

        await journal.plan([item("a", key), item("a", key + "x")])
        again = await begun()
        planned = await again.plan([item("a", key + "x"), item("a", key)])

        assert indexes(planned) == [1, 0]

    async def test_batches_apart(self, begun: Begun) -> None:
        """
        Batches of other names know nothing of each other.
        """
        cats, dogs = await begun(), await begun(batch="dogs")

        await cats.plan(items("ab"))
        (dog,) = await dogs.plan(items("b"))

        assert dog.index == 0
        assert cats.id != dogs.id
        assert sum((await dogs.counts()).values()) == 1


@pytest.mark.asyncio
class TestClaimed:
    async def test_by_one_that_lives(self, emptied: str, begun: Begun) -> None:
        """
        What a worker has that lives is given to no other; what a dead one had
        is, as a run that takes it over finds it.
        """
        first, second = await begun(), await begun()
        await first.enlist(items("ab"))
        mine = await first.claim(0)
        await walk(first, 0, State.SUBMITTING)

        refused = await second.claim(0)
        again = await first.claim(0)
        await sql(
            emptied,
            "UPDATE modelslab_run SET lease = -1000000 "
            "WHERE id = (SELECT min(id) FROM modelslab_run)",
        )
        taken = await second.claim(0)
        late = await error_of(first.move(0, STEPS[State.ACCEPTED]))

        assert mine is not None
        assert mine.state is State.PLANNED
        assert refused is None
        assert again is not None
        assert again.state is State.SUBMITTING
        assert taken is not None
        assert taken.state is State.UNKNOWN
        assert late.reason == "locked"

    async def test_after_the_server_was_down(
        self, emptied: str, begun: Begun
    ) -> None:
        """
        Who could not say that he lives, as the server was down, lives.
        """
        first, second = await begun(lease=600.0), await begun()
        await first.enlist(items("a"))
        await first.claim(0)
        await sql(
            emptied,
            "UPDATE modelslab_run SET seen_at = now() - interval '1 h'",
        )

        assert await second.claim(0) is None

    async def test_delivered(self, emptied: str, begun: Begun) -> None:
        """
        A worker's batch finds what was claimed; what it has lost meanwhile
        is reported, and left alone.
        """
        other = await begun()
        await other.enlist(items("ab"))
        async with DeliveredJournal(
            emptied, batch="cats", lease=60.0
        ) as worker:
            await worker.begin(US)
            await worker.claim(0)
            await worker.claim(1)
            await (await begun()).plan(items("b"))

            found = await worker.plan([item("b", "1"), item("a", "0")])

        assert indexes(found) == [1, 0]
        assert on_start(found[0], output=True) is Start.REPORT
        assert isinstance(found[0].error, JournalError)
        assert on_start(found[1], output=True) is Start.SUBMIT


# Databases that come and go.


def answer_lost(journal: PostgresJournal, times: int = 1) -> None:
    """
    Have the next transactions committed, and then the connection cut.
    """
    really = journal._database._try
    left = times

    async def lose(work: Callable[[Any], Awaitable[Any]]) -> Any:
        nonlocal left
        found = await really(work)
        if left > 0:
            left -= 1
            raise psycopg.OperationalError("the connection was cut")
        return found

    journal._database._try = lose  # type: ignore[method-assign]  # the point


@pytest.mark.asyncio
class TestLine:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        A connection that was cut is made anew after 5 ms.
        """
        monkeypatch.setattr("modelslab_async.cluster.database._PAUSE", 0.005)

    @pytest.mark.parametrize("state", [s for s in State if WAYS[s]])
    async def test_step_whose_answer_was_lost(
        self, begun: Begun, state: State
    ) -> None:
        """
        A step that was committed is not taken a second time.
        """
        journal = await begun()
        await journal.plan(items("a"))
        for step in WAYS[state][:-1]:
            await journal.move(0, STEPS[step])
        answer_lost(journal, 2)

        moved = await journal.move(0, STEPS[state])

        assert moved.state is state
        assert await journal.get(0) == moved

    async def test_step_that_the_batch_tries_again(self, begun: Begun) -> None:
        """
        Also where we gave up, and were asked for the same step later.
        """
        journal = await begun(patience=0.0)
        await journal.plan(items("a"))
        await journal.move(0, STEPS[State.SUBMITTING])
        answer_lost(journal)

        error = await error_of(journal.move(0, STEPS[State.ACCEPTED]))
        moved = await journal.move(0, STEPS[State.ACCEPTED])

        assert error.reason == "unwritable"
        assert moved.state is State.ACCEPTED

    @pytest.mark.parametrize("wanted", ["aab", "a"])
    async def test_plan_whose_answer_was_lost(
        self, begun: Begun, wanted: str
    ) -> None:
        """
        Items that were planned are not planned a second time.
        """
        journal = await begun()
        await journal.plan(items("a"))
        answer_lost(journal)

        first = await journal.plan([*items(wanted), item("k", "k")])
        second = await journal.plan(items("a"))

        count = len(wanted) + 1
        assert indexes(first) == list(range(1, count + 1))
        assert indexes(second) == [count + 1]

    async def test_connection_ended(self, emptied: str, begun: Begun) -> None:
        """
        A connection that the server ends is made anew.
        """
        journal = await begun()
        await journal.plan(items("a"))
        await sql(
            emptied,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

        moved = await journal.move(0, STEPS[State.SUBMITTING])

        assert moved.state is State.SUBMITTING

    @pytest.mark.slow
    async def test_server_stopped_in_the_middle(self) -> None:
        """
        A server that is killed and started loses no step that was told to be
        written, and none is taken twice.
        """
        with own_server() as server:
            journal = PostgresJournal(server.dsn, batch="cats")
            await journal.begin(US)
            await journal.plan(items("abcdefghij"))
            walks = asyncio.gather(
                *(walk(journal, n, State.STORED) for n in range(10))
            )
            while not (await journal.counts())[State.ACCEPTED]:
                pass
            await asyncio.to_thread(server.stop, "immediate")
            await asyncio.to_thread(server.start)
            found = await walks
            counts = await journal.counts()
            await journal.aclose()

        assert {entry.attempt for entry in found} == {1}
        assert counts[State.STORED] == 10

    async def test_nobody_there(self, tmp_path: Path) -> None:
        """
        A database that cannot be reached is told, and how.
        """
        journal = PostgresJournal(
            f"host={tmp_path} password=secret", batch="b", patience=0.05
        )

        error = await error_of(journal.begin(US))
        await journal.aclose()

        assert error.reason == "unwritable"
        assert "secret" not in str(error)

    @pytest.mark.parametrize(
        "dsn", ["postgresql://me:secret@[", "secret", "hst=x password=secret"]
    )
    async def test_no_dsn(self, dsn: str) -> None:
        """
        What is no DSN is told before anything else, without its password.
        """
        with pytest.raises(ConfigurationError) as caught:
            PostgresJournal(dsn, batch="b")

        assert "secret" not in str(caught.value)

    async def test_cancelled_writer(self, begun: Begun) -> None:
        """
        Who no longer waits for a write has it written all the same.
        """
        journal = await begun()
        await journal.plan(items("a"))
        task = asyncio.create_task(journal.move(0, Submitting("t")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await journal.get(0)).state is State.SUBMITTING

    async def test_closing_waits(self, begun: Begun) -> None:
        """
        Closing waits for what was asked for before.
        """
        journal = await begun()
        await journal.plan(items("a"))
        writing = asyncio.create_task(journal.move(0, Submitting("t")))
        await asyncio.sleep(0)

        await journal.aclose()

        assert (await writing).state is State.SUBMITTING

    async def test_forgotten(self, database: str) -> None:
        """
        A journal that nobody closed warns.
        """
        journal = PostgresJournal(database, batch="cats")
        await journal.begin(US)
        await journal._database.aclose()
        assert journal._heart is not None
        journal._heart.cancel()
        await asyncio.sleep(0)
        del journal
        with pytest.warns(ResourceWarning, match="never closed"):
            gc.collect()


# Its tables.


@pytest.mark.asyncio
class TestSchema:
    async def test_made_once(self, database: str) -> None:
        """
        However many make the tables at once, they are there once; made again,
        nothing changes.
        """
        found = await asyncio.gather(*(migrate(database) for _ in range(4)))
        again = await migrate(database)

        assert sorted(found) == [0, *[SCHEMA_VERSION] * 3]
        assert again == SCHEMA_VERSION

    async def test_later_version(self, database: str) -> None:
        """
        Tables of a later version are refused, also by the migration.
        """
        await migrate(database)
        await sql(database, "UPDATE modelslab_schema SET version = 99")
        journal = PostgresJournal(database, batch="cats")

        errors = [
            await error_of(journal.begin(US)),
            await error_of(migrate(database)),
        ]
        await journal.aclose()

        assert [error.reason for error in errors] == ["newer", "newer"]

    async def test_no_byte_of_the_key(
        self, emptied: str, begun: Begun
    ) -> None:
        """
        The key is in no row.
        """
        key = "secret-key-of-mine"
        journal = PostgresJournal(emptied, batch="dogs")
        await journal.begin(Identity(US.origin, key))
        await journal.plan(items("a"))
        await journal.rotate_key(key + "2")
        await journal.aclose()

        rows = [
            await sql(emptied, f"SELECT * FROM modelslab_{name}")
            for name in ("batch", "run", "item", "schema")
        ]

        assert len(rows[0]) == 1
        assert "secret-key" not in repr(rows)


async def error_of(call: Awaitable[object]) -> JournalError:
    """
    Why a call was refused.
    """
    with pytest.raises(JournalError) as caught:
        await call
    return caught.value
