"""
The tables of journals in PostgreSQL, and how they are made and migrated.

Text that PostgreSQL cannot say (a NUL, half a character) is kept as JSON
behind a control character; see `tables`.
"""

from __future__ import annotations

from psycopg import AsyncConnection

from ..errors import JournalError


#: One statement list for each version: what is in place is never edited.
_MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE modelslab_batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    uid text NOT NULL,
    salt text NOT NULL,
    origin text,
    fingerprint text,
    simulator text,
    items bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE modelslab_batch IS
    'Batches of modelslab_async: whose they are.';

CREATE TABLE modelslab_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch bigint NOT NULL REFERENCES modelslab_batch ON DELETE CASCADE,
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    lease double precision NOT NULL,
    plans bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE modelslab_run IS
    'Who has a batch open now, and when each was last heard of.';
COMMENT ON COLUMN modelslab_run.lease IS
    'Seconds of silence after which it is taken for dead.';
COMMENT ON COLUMN modelslab_run.plans IS
    'How many pieces of its input have been planned.';
CREATE INDEX modelslab_run_batch ON modelslab_run (batch);

CREATE TABLE modelslab_item (
    batch bigint NOT NULL REFERENCES modelslab_batch ON DELETE CASCADE,
    "index" bigint NOT NULL,
    spec text NOT NULL,
    identity text NOT NULL,
    "key" text,
    lookup bytea NOT NULL,
    state smallint NOT NULL,
    track_id text,
    attempt integer NOT NULL,
    job_id text,
    receipt text,
    accepted_at double precision,
    done_at double precision,
    stored_at double precision,
    generation_json text,
    files text NOT NULL,
    error_json text,
    ordinal bigint NOT NULL,
    run bigint NOT NULL,
    equals bigint NOT NULL,
    owner bigint,
    moves bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, "index")
) WITH (fillfactor = 80);
COMMENT ON TABLE modelslab_item IS
    'Items of batches: what was asked for, and how it stands.';
COMMENT ON COLUMN modelslab_item.lookup IS
    'The hash of its key, or of what it asks for where it has none.';
COMMENT ON COLUMN modelslab_item.ordinal IS
    'How many items without a key that ask for the same come before it.';
COMMENT ON COLUMN modelslab_item.run IS
    'In which run the item was last in the input.';
COMMENT ON COLUMN modelslab_item.equals IS
    'Of ordinal 0, how many like it that run has had so far.';
COMMENT ON COLUMN modelslab_item.owner IS
    'The run that may change it: the last one that was given it.';
COMMENT ON COLUMN modelslab_item.moves IS
    'How many steps it has taken.';
CREATE UNIQUE INDEX modelslab_item_lookup
    ON modelslab_item (batch, lookup, ordinal);
CREATE INDEX modelslab_item_state ON modelslab_item (batch, state);
""",
    """
ALTER TABLE modelslab_item
    ADD COLUMN bell text,
    ADD COLUMN mark text,
    ADD COLUMN asked_at double precision,
    ADD COLUMN unknown_at double precision;
COMMENT ON COLUMN modelslab_item.bell IS
    'The number of its last request''s webhook.';
COMMENT ON COLUMN modelslab_item.mark IS
    'The highest job id that was known when that request left.';
""",
)


SCHEMA_VERSION = len(_MIGRATIONS)


#: For `pg_advisory_xact_lock`: one migration at a time.
MIGRATION_LOCK = 0x4D4C4142


async def migrate_by(connection: AsyncConnection) -> int:
    """
    Make the tables, or bring them to this version's; give the version that
    was there before, 0 where none was.

    Raises:
        JournalError: `newer`.
    """
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,)
        )
        before = await version_of(connection)
        _refuse_newer(before)
        if before == 0:
            await connection.execute(
                "CREATE TABLE modelslab_schema (version integer NOT NULL)"
            )
            await connection.execute("INSERT INTO modelslab_schema VALUES (0)")
        for statements in _MIGRATIONS[before:]:
            await connection.execute(statements)
        await connection.execute(
            "UPDATE modelslab_schema SET version = %s", (SCHEMA_VERSION,)
        )
    return before


async def check_schema(connection: AsyncConnection) -> None:
    """
    See that the tables are this version's; make them where there are none.

    Raises:
        JournalError: They are of another version.
    """
    version = await version_of(connection)
    if version == 0:
        await migrate_by(connection)
    elif version < SCHEMA_VERSION:
        raise JournalError(
            "mismatch",
            "the tables of modelslab_async are of an earlier version; "
            "migrate them with `modelslab-async cluster migrate`",
        )
    _refuse_newer(version)


async def version_of(connection: AsyncConnection) -> int:
    """
    The version of the tables, 0 where there are none.
    """
    if not await table_exists(connection, "modelslab_schema"):
        return 0
    found = await connection.execute("SELECT version FROM modelslab_schema")
    row = await found.fetchone()
    return 0 if row is None else int(row[0])


async def table_exists(connection: AsyncConnection, name: str) -> bool:
    """
    Whether there is such a table, as seen now: `to_regclass` remembers that
    there was none a moment ago.
    """
    found = await connection.execute(
        "SELECT FROM pg_tables WHERE tablename = %s "
        "AND schemaname = ANY(current_schemas(false))",
        (name,),
    )
    return await found.fetchone() is not None


def _refuse_newer(version: int) -> None:
    if version > SCHEMA_VERSION:
        raise JournalError(
            "newer",
            "the tables of modelslab_async were made by a later version; "
            "update this one to go on",
        )


def unusable(error: Exception) -> JournalError:
    """
    The error of a database that cannot be used now.
    """
    words = " ".join(str(error).split()) or type(error).__name__
    return JournalError(
        "unwritable", f"the journal's database cannot be used: {words}"
    )
