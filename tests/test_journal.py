"""
A batch's memory: in memory, on disk, and on disks that are full, cut or taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import traceback
import warnings

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from hypothesis import given
from hypothesis import strategies as st
from journals import (
    GENERATION,
    RECEIPT,
    STEPS,
    US,
    JournalLaws,
    MemoryJournal,
    Storage,
    item,
    items,
    walk,
)

from modelslab_async._engine.api_key import ApiKey
from modelslab_async.errors import (
    ClientClosedError,
    JournalError,
    ModelsLabError,
)
from modelslab_async.journal import (
    Accepted,
    Entry,
    Identity,
    IllegalMove,
    Journal,
    SqliteJournal,
    State,
    Submitting,
)


# One suite for both.


@attrs.define
class _InMemory(Storage):
    journal: MemoryJournal | None = None

    async def reopen(self) -> Journal:
        kept = self.journal.reopened() if self.journal else MemoryJournal()
        await self.close()
        self.journal = kept
        return kept

    async def close(self) -> None:
        if self.journal is not None:
            await self.journal.aclose()


@attrs.define
class _OnDisk(Storage):
    path: Path
    journal: SqliteJournal | None = None

    async def reopen(self) -> Journal:
        await self.close()
        self.journal = await SqliteJournal.open(self.path)
        return self.journal

    async def close(self) -> None:
        if self.journal is not None:
            await self.journal.aclose()


@pytest.mark.asyncio
class TestMemoryJournal(JournalLaws):
    def storage_in(self, folder: Path) -> Storage:
        return _InMemory()


@pytest.mark.asyncio
class TestSqliteJournal(JournalLaws):
    def storage_in(self, folder: Path) -> Storage:
        return _OnDisk(folder / "journal.sqlite")


_MOVES = st.lists(
    st.one_of(
        st.text("abc", max_size=4),
        st.tuples(st.integers(0, 4), st.sampled_from(State)),
        st.none(),
    ),
    max_size=30,
)


async def _lived(storage: Storage, life: list[object]) -> list[object]:
    """
    All that a journal says in the course of *life*: texts are inputs, pairs
    are steps, None is a new process.
    """
    journal = await storage.reopen()
    await journal.begin(US)
    said: list[object] = []
    for event in life:
        try:
            match event:
                case None:
                    journal = await storage.reopen()
                    await journal.begin(US)
                case str():
                    said.append(await journal.plan(items(event)))
                case (int() as index, State() as state):
                    said.append(await journal.move(index, STEPS[state]))
        except (IllegalMove, IndexError) as error:
            said.append(type(error))
    said += [await journal.entries(set(State)), await journal.counts()]
    said += [await journal.entries(set(State), unseen=True)]
    await storage.close()
    return said


@given(life=_MOVES)
def test_any_life_is_the_same_on_disk(life: list[object]) -> None:
    """
    Whatever happens in whatever order, both journals say the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        on_disk = _OnDisk(Path(folder) / "journal.sqlite")

        assert asyncio.run(_lived(on_disk, life)) == asyncio.run(
            _lived(_InMemory(), life)
        )


# The file.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest_asyncio.fixture
async def torn(path: Path, tmp_path: Path) -> Path:
    """
    The files of a journal as a killed process left them: part in the
    journal, part in the log.
    """
    journal = await SqliteJournal.open(path)
    await journal.begin(US)
    await journal.plan(items("abcdefgh" * 5))
    await journal.aclose()
    journal = await SqliteJournal.open(path)
    await journal.begin(US)
    for n in range(5):
        await journal.plan(items("abcdefgh" * (4 + n)))
        await walk(journal, n, State.ACCEPTED)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, body in contents(tmp_path).items():
        (copy / name).write_bytes(body)
    await journal.aclose()
    return copy / path.name


@pytest_asyncio.fixture
async def closed(path: Path) -> Path:
    """
    A journal with an item in each state, closed.
    """
    journal = await SqliteJournal.open(path)
    await journal.begin(US)
    await journal.plan([*items("abcdefg"), item("h", "key of h")])
    for n, state in enumerate(State):
        await walk(journal, n, state)
    await journal.aclose()
    return path


async def refusal(path: Path) -> JournalError:
    """
    Why the file cannot be opened; it cannot be looked into either.
    """
    with pytest.raises(JournalError) as opened:
        await SqliteJournal.open(path)
    with pytest.raises(JournalError) as looked:
        await SqliteJournal.inspect(path)
    assert opened.value.reason == looked.value.reason
    return opened.value


def contents(folder: Path) -> dict[str, bytes]:
    """
    Every file of a folder.
    """
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file()
    }


@pytest.mark.asyncio
class TestFile:
    async def test_is_private(self, closed: Path) -> None:
        """
        Prompts are nobody else's business.
        """
        assert stat.S_IMODE(closed.stat().st_mode) == 0o600

    async def test_is_one_file(self, closed: Path) -> None:
        """
        A closed journal can be copied as one file.
        """
        assert list(contents(closed.parent)) == ["journal.sqlite"]

    async def test_says_what_it_is(self, closed: Path) -> None:
        """
        Other programs can tell it from its header.
        """
        header = closed.read_bytes()[:100]

        assert header[68:72] == b"MLAB"
        assert int.from_bytes(header[60:64], "big") == 3

    async def test_no_byte_of_the_key(self, path: Path) -> None:
        """
        The key is in no file, not even while they are open.
        """
        key = "secret-" * 4
        journal = await SqliteJournal.open(path)

        await journal.begin(Identity(US.origin, key))
        await journal.plan(items("ab"))
        await journal.rotate_key(key + "2")
        files = contents(path.parent)
        await journal.aclose()

        assert len(files) == 3
        assert not any(b"secret-" in body for body in files.values())
        assert "secret-" not in repr(Identity(US.origin, key))

    async def test_two_make_one(self, path: Path) -> None:
        """
        Of two that make the same journal at once, one has it.
        """
        found = await asyncio.gather(
            *(SqliteJournal.open(path) for _ in range(2)),
            return_exceptions=True,
        )
        (lost,) = (one for one in found if isinstance(one, JournalError))
        (journal,) = (one for one in found if isinstance(one, SqliteJournal))
        await journal.aclose()

        assert lost.reason == "locked"
        assert list(contents(path.parent)) == ["journal.sqlite"]

    async def test_odd_path(self, tmp_path: Path) -> None:
        """
        No character of a path is an option of SQLite's.
        """
        folder = tmp_path / "a?mode=memory#b %41\udcff"
        folder.mkdir()

        journal = await SqliteJournal.open(folder / "journal.sqlite")
        await journal.aclose()

        assert list(contents(folder)) == ["journal.sqlite"]


def _foreign(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE item (a)")
        other.commit()


def _patched(path: Path, offset: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value.to_bytes(4, "big"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path) -> None:
    path.unlink()
    os.mknod(path, stat.S_IFSOCK | 0o600)


def _without_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE item")
        other.commit()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _without_main(path: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(b"something")
    path.unlink()


def _replaced(path: Path, body: bytes) -> None:
    path.write_bytes(body)


@pytest.mark.asyncio
class TestRefused:
    async def test_no_frame_shows_the_key(self, closed: Path) -> None:
        """
        A key that does not fit is in no traceback, with all its locals.
        """
        journal = await SqliteJournal.open(closed)
        secret = ApiKey("secret-key")

        with pytest.raises(JournalError) as caught:
            await journal.begin(Identity(US.origin, secret.reveal))
        shown = traceback.TracebackException.from_exception(
            caught.value, capture_locals=True
        )
        await journal.aclose()

        assert "secret-key" not in "".join(shown.format())

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda path: _replaced(path, b""), "corrupt"),
            (lambda path: _replaced(path, b"prompts\n" * 50), "corrupt"),
            (_foreign, "corrupt"),
            (lambda path: (path.unlink(), path.mkdir()), "unwritable"),
            (_pipe, "unwritable"),
            (_socket, "unwritable"),
            (lambda path: _patched(path, 68, 0x12345678), "corrupt"),
            (lambda path: _patched(path, 60, 4), "newer"),
            (lambda path: _patched(path, 60, 1), "mismatch"),
            (lambda path: _patched(path, 60, 0), "corrupt"),
            (_without_table, "corrupt"),
        ],
        ids=[
            "empty",
            "text",
            "foreign",
            "folder",
            "pipe",
            "socket",
            "other program",
            "newer",
            "older",
            "version 0",
            "no table",
        ],
    )
    async def test_is_left_as_it_is(
        self, closed: Path, spoil: Callable[[Path], object], reason: str
    ) -> None:
        """
        What is no journal of ours, or of a later version, is refused with its
        path, and not one byte of the folder changes.
        """
        spoil(closed)
        before = contents(closed.parent)

        error = await refusal(closed)

        assert error.reason == reason
        assert str(closed) in error.detail
        assert contents(closed.parent) == before

    async def test_log_without_its_journal(self, closed: Path) -> None:
        """
        A log whose journal is missing is not read into a new one.
        """
        _without_main(closed)
        before = contents(closed.parent)

        with pytest.raises(JournalError, match="missing") as caught:
            await SqliteJournal.open(closed)

        assert caught.value.reason == "corrupt"
        assert contents(closed.parent) == before

    @pytest.mark.parametrize(
        "place",
        [
            "/proc/journal.sqlite",
            "/no/such/folder/journal.sqlite",
            "/",
            "/dev/null",
            "a\0b",
        ],
    )
    async def test_nowhere_to_write(self, place: str) -> None:
        """
        A place that cannot be written is told before anything is asked for.
        """
        with pytest.raises(JournalError) as caught:
            await SqliteJournal.open(place)

        assert caught.value.reason == "unwritable"

    async def test_links_in_a_circle(self, tmp_path: Path) -> None:
        """
        A link that leads to itself leads to no journal.
        """
        path = tmp_path / "journal.sqlite"
        path.symlink_to(path)

        with pytest.raises(JournalError) as caught:
            await SqliteJournal.open(path)

        assert caught.value.reason == "unwritable"

    @pytest.mark.parametrize("read_only", ["folder", "file"])
    async def test_read_only(
        self, closed: Path, monkeypatch: pytest.MonkeyPatch, read_only: str
    ) -> None:
        """
        A journal that can be read only can be looked into, and is not
        touched.
        """
        locked = closed if read_only == "file" else closed.parent
        # The system lets root write anywhere, so it is asked in its place.
        monkeypatch.setattr(os, "access", lambda path, mode: path != locked)
        before = contents(closed.parent)

        with pytest.raises(JournalError, match="read-only") as caught:
            await SqliteJournal.open(closed)
        await SqliteJournal.inspect(closed)

        assert caught.value.reason == "unwritable"
        assert contents(closed.parent) == before

    async def test_look_at_nothing(self, path: Path) -> None:
        """
        A look makes no file.
        """
        with pytest.raises(JournalError, match="no such file"):
            await SqliteJournal.inspect(path)

        assert contents(path.parent) == {}


async def opens(path: Path) -> list[Entry] | str:
    """
    What is in the journal, or why it was refused; any other error fails.
    """
    before = contents(path.parent)
    try:
        journal = await SqliteJournal.open(path)
    except JournalError as error:
        assert contents(path.parent) == before
        return error.reason
    try:
        await journal.begin(US)
        return list(await journal.entries(set(State)))
    except JournalError as error:
        return error.reason
    finally:
        await journal.aclose()


@pytest.mark.asyncio
class TestCut:
    async def test_journal_cut_anywhere(self, closed: Path) -> None:
        """
        A journal without its end is damaged, wherever the end was cut.
        """
        whole = closed.read_bytes()
        cuts = {*range(0, len(whole), 509), len(whole) - 1, 99, 100, 4096}

        found = {}
        for cut in sorted(cuts):
            closed.write_bytes(whole[:cut])
            found[cut] = await opens(closed)

        assert set(map(str, found.values())) == {"corrupt"}

    @pytest.mark.parametrize("which", ["journal.sqlite", "journal.sqlite-wal"])
    async def test_journal_and_log_cut_anywhere(
        self, torn: Path, which: str
    ) -> None:
        """
        Cut anywhere, a killed process's files open with what was written
        before the cut, or are refused; nothing else happens.
        """
        files = contents(torn.parent)
        whole = files[which]
        cuts = sorted({*range(0, len(whole), 1021), len(whole) - 1, 31, 33})

        found = []
        for cut in cuts:
            for name, body in files.items():
                (torn.parent / name).write_bytes(body)
            (torn.parent / which).write_bytes(whole[:cut])
            found.append(await opens(torn))
        sizes = [len(one) for one in found if isinstance(one, list)]

        assert {one for one in found if isinstance(one, str)} <= {"corrupt"}
        assert sizes == sorted(sizes)

    @pytest.mark.parametrize("seed", range(20))
    async def test_bytes_turned(self, closed: Path, seed: int) -> None:
        """
        A journal with a page of nonsense opens or is refused.
        """
        body = bytearray(closed.read_bytes())
        start = 100 + seed * (len(body) - 300) // 20
        body[start : start + 150] = bytes(seed for _ in range(150))
        closed.write_bytes(body)

        found = await opens(closed)

        assert found == "corrupt" or isinstance(found, list)


# Whom it belongs to.

_HOLD = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from journals import *
from modelslab_async.journal.sqlite import SqliteJournal

async def main():
    journal = await SqliteJournal.open({path!r})
    await journal.begin(US)
    {body}

asyncio.run(main())
"""


def script(path: Path, body: str) -> list[str]:
    """
    Another process that has the journal open.
    """
    tests = str(Path(__file__).parent)
    text = _HOLD.format(tests=tests, path=str(path), body=body)
    return [sys.executable, "-c", text]


@contextlib.contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """
    Another process that has the journal until it is killed.
    """
    body = (
        "await journal.plan(items('ab')); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        script(path, body),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


@pytest.mark.asyncio
class TestLock:
    async def test_second_process(self, path: Path) -> None:
        """
        A journal that another process has is refused at once; when that one
        is killed, nothing of its lock is left, and all that it wrote is.
        """
        with holder(path) as process:
            error = await refusal(path)
            process.kill()
            process.wait()
        journal = await SqliteJournal.open(path)
        found = await journal.entries(set(State))
        await journal.aclose()

        assert error.reason == "locked"
        assert len(found) == 2

    async def test_second_batch(self, path: Path) -> None:
        """
        A second batch of one process is refused, by any name of the file, and
        does not take away the first one's lock.
        """
        journal = await SqliteJournal.open(path)
        other = path.with_name("other.sqlite")
        other.symlink_to(path)

        errors = [await refusal(path), await refusal(other)]
        code = script(path, "")
        outside = await asyncio.to_thread(
            subprocess.run, code, capture_output=True, text=True, check=False
        )
        await journal.aclose()

        assert [error.reason for error in errors] == ["locked", "locked"]
        assert "JournalError" in outside.stderr
        assert "locked" in outside.stderr

    async def test_free_again(self, closed: Path) -> None:
        """
        Neither closing nor a refusal leaves a lock.
        """
        first = await SqliteJournal.open(closed)
        await refusal(closed)
        await first.aclose()

        second = await SqliteJournal.open(closed)
        await second.aclose()

    async def test_look(self, closed: Path) -> None:
        """
        A look gives counts, names and age, as a start would find them, and
        changes no byte.
        """
        before = contents(closed.parent)

        found = await SqliteJournal.inspect(closed)

        assert found.counts == {**dict.fromkeys(State, 1), State.PLANNED: 2}
        assert found.unknown == ("track-1", "track-1")
        assert found.oldest == 1000.5
        assert contents(closed.parent) == before

    async def test_look_at_what_is_torn(self, torn: Path) -> None:
        """
        What only the log has is seen, and still not touched.
        """
        before = contents(torn.parent)

        found = await SqliteJournal.inspect(torn)

        assert found.counts[State.ACCEPTED] == 5
        assert "journal.sqlite-wal" in before
        assert contents(torn.parent) == before

    @pytest.mark.slow
    async def test_look_after_a_kill(self, path: Path) -> None:
        """
        What a killed process has written is seen, and still not touched.
        """
        with holder(path):
            pass
        before = contents(path.parent)

        found = await SqliteJournal.inspect(path)

        assert found.counts[State.PLANNED] == 2
        assert "journal.sqlite-wal" in before
        assert contents(path.parent) == before


# Writing.


@contextlib.contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """
    No file may grow beyond what the log has now.
    """
    size = path.with_name(path.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest_asyncio.fixture
async def journal(path: Path) -> SqliteJournal:
    """
    A journal with one planned item; the test closes it.
    """
    journal = await SqliteJournal.open(path)
    await journal.begin(US)
    await journal.plan(items("a"))
    return journal


@pytest.mark.asyncio
class TestWriting:
    async def test_full_disk(self, journal: SqliteJournal) -> None:
        """
        A step that finds no room is told to all who took one, none of it is
        half written, and it can be taken again.
        """
        await journal.move(0, Submitting("t"))
        with full_disk(journal.path):
            found = await asyncio.gather(
                journal.move(0, Accepted(RECEIPT, 1.0)),
                journal.plan(items("bc" * 300)),
                return_exceptions=True,
            )
        reasons = [getattr(error, "reason", error) for error in found]
        state = (await journal.get(0)).state
        again = await journal.move(0, Accepted(RECEIPT, 1.0))
        counts = await journal.counts()
        await journal.aclose()

        assert reasons == ["unwritable", "unwritable"]
        assert state is State.SUBMITTING
        assert again.state is State.ACCEPTED
        assert sum(counts.values()) == 1

    async def test_cancelled_writer(
        self, journal: SqliteJournal, path: Path
    ) -> None:
        """
        Who no longer waits for a write has it written all the same.
        """
        task = asyncio.create_task(journal.move(0, Submitting("t")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        found = await journal.get(0)
        await journal.aclose()

        assert found.state is State.SUBMITTING

    async def test_bad_neighbour(self, journal: SqliteJournal) -> None:
        """
        An illegal step in the same transaction harms nobody else's.
        """
        found = await asyncio.gather(
            journal.move(0, STEPS[State.STORED]),
            journal.move(9, STEPS[State.STORED]),
            journal.move(0, Submitting("t")),
            journal.plan([item("x", "k"), item("y", "k")]),
            journal.plan(items("b")),
            return_exceptions=True,
        )
        counts = await journal.counts()
        await journal.aclose()

        assert [type(one) for one in found] == [
            IllegalMove,
            IndexError,
            Entry,
            JournalError,
            list,
        ]
        assert sum(counts.values()) == 2

    async def test_queue_is_written_before_closing(
        self, journal: SqliteJournal, path: Path
    ) -> None:
        """
        Closing waits for what was asked for before.
        """
        writing = asyncio.gather(
            *(journal.plan(items("bbb")) for _ in range(700))
        )
        await asyncio.sleep(0)
        await journal.aclose()
        planned = await writing

        found = await SqliteJournal.inspect(path)

        assert len(planned) == 700
        assert found.counts[State.PLANNED] == 2101

    async def test_closed_in_a_cancelled_task(
        self, journal: SqliteJournal, path: Path
    ) -> None:
        """
        A cancelled close is a close.
        """
        task = asyncio.create_task(journal.aclose())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        with pytest.raises(ClientClosedError):
            await journal.get(0)
        await journal.aclose()

        await SqliteJournal.inspect(path)


def test_loop_closed_under_it(tmp_path: Path) -> None:
    """
    A journal outlives its loop: what was queued is written, and another loop
    can use it and close it.
    """
    path = tmp_path / "journal.sqlite"

    async def first() -> SqliteJournal:
        journal = await SqliteJournal.open(path)
        await journal.begin(US)
        task = asyncio.create_task(journal.plan(items("abc")))
        await asyncio.sleep(0)
        task.cancel()
        return journal

    async def second(journal: SqliteJournal) -> int:
        found = await journal.entries(set(State))
        await journal.aclose()
        return len(found)

    journal = asyncio.run(first())

    assert asyncio.run(second(journal)) == 3


def test_forgotten(tmp_path: Path) -> None:
    """
    A journal that nobody closed warns, and lets go of its file.
    """
    path = tmp_path / "journal.sqlite"

    async def forget() -> None:
        journal = await SqliteJournal.open(path)
        await journal.begin(US)
        ended = journal._writer.ended
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del journal
            gc.collect()
        await asyncio.wrap_future(ended)
        assert [warning.category for warning in caught] == [ResourceWarning]

    asyncio.run(forget())

    assert list(contents(tmp_path)) == ["journal.sqlite"]


@pytest.mark.asyncio
async def test_abandoned_opening(path: Path) -> None:
    """
    Who no longer waits for a journal to open does not keep it.
    """
    task = asyncio.create_task(SqliteJournal.open(path))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    journal = None
    for _ in range(1000):
        with contextlib.suppress(ModelsLabError):
            journal = await SqliteJournal.open(path)
            break

    assert journal is not None
    await journal.aclose()


# Kill -9.

_LIFE = """
    await journal.plan(items("abc"))
    for n in range(3):
        for step in (State.SUBMITTING, State.ACCEPTED, State.DONE,
                     State.STORED):
            await journal.move(n, STEPS[step])
    await journal.plan(items("d"))
    await walk(journal, 3, State.UNKNOWN)
    await journal.move(3, STEPS[State.PLANNED])
    await walk(journal, 3, State.FAILED)
    await journal.aclose()
"""
#: SQLite with a kill just before, or just after, a commit of this life.
_DEADLY = """
import functools, os, signal, sqlite3

class Deadly(sqlite3.Connection):
    left = {commits}

    def execute(self, sql, *values):
        if sql != "COMMIT":
            return super().execute(sql, *values)
        # Opening has one of its own.
        Deadly.left -= 1
        if Deadly.left < 0 and {before}:
            os.kill(os.getpid(), signal.SIGKILL)
        found = super().execute(sql, *values)
        if Deadly.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

sqlite3.connect = functools.partial(sqlite3.connect, factory=Deadly)
"""
#: What each commit adds: the run begins, three items, their steps, and so on.
_STATES = [
    [],
    [],
    [0, 0, 0],
    *[[state, 0, 0] for state in (1, 2, 3, 4)],
    *[[4, state, 0] for state in (1, 2, 3, 4)],
    *[[4, 4, state] for state in (1, 2, 3, 4)],
    # `walk` ends with a look, which commits nothing new.
    *[[4, 4, 4, state] for state in (0, 1, 6, 6, 0, 1, 5, 5)],
]


def killed_at(path: Path, commits: int, *, before: bool) -> int:
    """
    Live until the commit that comes after so many; give how it ended.
    """
    command = script(path, _LIFE.strip())
    command[-1] = _DEADLY.format(commits=commits, before=before) + command[-1]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.asyncio
class TestKilled:
    @pytest.mark.parametrize("before", [True, False])
    @pytest.mark.parametrize("commits", range(1, len(_STATES)))
    async def test_step_is_there_or_not(
        self, path: Path, commits: int, before: bool
    ) -> None:
        """
        Killed before its commit, a step was never taken; after it, it is
        there for good.
        """
        code = await asyncio.to_thread(killed_at, path, commits, before=before)

        journal = await SqliteJournal.open(path)
        found = await journal.entries(set(State))
        await journal.aclose()

        assert code == -signal.SIGKILL
        assert [entry.state for entry in found] == (_STATES[commits - before])

    async def test_never_reached(self, path: Path) -> None:
        """
        A commit that does not come ends nothing.
        """
        code = await asyncio.to_thread(
            killed_at, path, len(_STATES), before=True
        )

        found = await SqliteJournal.inspect(path)

        assert code == 0
        assert found.counts[State.STORED] == 3


@pytest.mark.slow
def test_fork_does_not_close_it(tmp_path: Path) -> None:
    """
    A child that forgets the journal of its parent writes nothing to it.
    """
    body = """
    await journal.plan(items("abc"))
    import os, gc
    child = os.fork()
    if not child:
        journal._writer.stopped = True
        del journal
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    before = os.path.getsize(journal.path.with_name("journal.sqlite-wal"))
    await journal.plan(items("d"))
    print(before > 0, sum((await journal.counts()).values()))
    await journal.aclose()
"""
    path = tmp_path / "journal.sqlite"

    done = subprocess.run(
        script(path, body.strip()), capture_output=True, text=True, check=True
    )

    assert done.stdout == "True 4\n"


@pytest.mark.asyncio
async def test_generation_is_whole(closed: Path) -> None:
    """
    Pictures that came inside of an answer are there until they are files.
    """
    copy = closed.with_name("copy.sqlite")
    shutil.copy(closed, copy)
    journal = await SqliteJournal.open(copy)
    done = await journal.get(State.DONE)
    stored = await journal.get(State.STORED)
    await journal.aclose()

    assert GENERATION.images[1].data is not None
    assert done.generation == GENERATION
    assert stored.generation is not None
    assert {image.data for image in stored.generation.images} == {None}
