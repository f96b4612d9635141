"""
A worker: it is handed items by the engine, and brings them home by batches
of its client.

For each batch that has items for it there is one `Batch` of ours, fed as
items come, so that slots, breakers and output folder are as on one machine.
An item that is delivered reads the journal first: what is at its end is left
as it is, what is accepted is polled, what is done is downloaded; and what
another worker has, that lives, is left to that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket

from collections import deque
from collections.abc import (
    AsyncIterator,
    Iterator,
)
from pathlib import Path

import attrs
import psycopg

from procrastinate import exceptions

from .._client import ModelsLab
from .._output.disk import make_folder
from .._protocol.rows import read_spec
from ..errors import ModelsLabError
from ..journal import Entry, State
from ..journal.file_lock import LockedError, lock_path
from ..specs import Spec
from .delivered import DeliveredJournal
from .engine import Engine, LaterError
from .setup import migrate


_log = logging.getLogger("modelslab_async")


#: Seconds until a database that went away is looked for again.
_PAUSE = 1.0


#: At their end, until the user says otherwise.
_ENDED = {State.STORED, State.FAILED, State.UNKNOWN}


@attrs.frozen
class WorkerOptions:
    """
    How a worker works.

    Attributes:
        output: Where pictures go: a folder for each batch, and in it one for
            each worker. None: nothing is downloaded.

        name: What the worker is called; its folders have that name.

        concurrency: How many items it has at once: a few more than its slots.

        stalled: Seconds after which a worker that was not heard of is taken
            for dead, and its items are delivered again.

        grace: Seconds that its items have to end when it is stopped.
    """

    output: Path | None = None
    name: str = attrs.field(factory=socket.gethostname)
    concurrency: int = 20
    stalled: float = 30.0
    grace: float = 30.0


class Worker:
    """
    A worker of a cluster.

    What changes: which batches it works on.
    """

    def __init__(
        self, lab: ModelsLab, dsn: str, options: WorkerOptions
    ) -> None:
        self._lab = lab
        self._dsn = dsn
        self._options = options
        self._name = options.name
        self._engine = Engine.at(dsn)
        self._engine.on_item(self._bring_home)
        self._batches: dict[str, WorkedBatch] = {}
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """
        Work until cancelled; a database that goes away is waited for.

        Raises:
            JournalError: It cannot be used at the start.
        """
        await migrate(self._dsn)
        watching = asyncio.ensure_future(self._watch_stalled())
        with contextlib.ExitStack() as stack:
            try:
                await asyncio.to_thread(self._take_name, stack)
                while True:
                    await self._work()
                    await asyncio.sleep(_PAUSE)
            finally:
                watching.cancel()
                for batch in self._batches.values():
                    await batch.aclose()
                # The name's file lies on a disk.
                await asyncio.to_thread(stack.close)

    def _take_name(self, stack: contextlib.ExitStack) -> None:
        """
        Two workers of one name and folder have a folder each.
        """
        output = self._options.output
        if output is None:
            return
        make_folder(output)
        for name in itertools.chain(
            [self._name], (f"{self._name}-{n}" for n in itertools.count(2))
        ):
            with contextlib.suppress(LockedError):
                stack.enter_context(lock_path(output / as_file_name(name)))
                self._name = name
                return

    async def _work(self) -> None:
        """
        Work until cancelled, or until the database goes away.
        """
        options = self._options
        try:
            async with self._engine.app.open_async():
                await self._engine.run(
                    name=self._name,
                    concurrency=options.concurrency,
                    stalled=options.stalled,
                    grace=options.grace,
                )
        except (exceptions.ProcrastinateException, psycopg.Error) as error:
            _log.warning(
                "the engine's database cannot be used: %s",
                error.__cause__ or error,
            )

    async def _watch_stalled(self) -> None:
        stalled = self._options.stalled
        while True:
            await asyncio.sleep(stalled / 3)
            with contextlib.suppress(
                exceptions.ProcrastinateException, psycopg.Error
            ):
                again = await self._engine.deliver_stalled(stalled)
                if again:
                    _log.warning(
                        "%d items of a worker that is not heard of any more "
                        "are delivered again",
                        again,
                    )

    async def _bring_home(self, name: str, index: int) -> str:
        """
        Bring an item to its end; say what came of it.

        Raises:
            LaterError: It is to be delivered again.
        """
        async with self._changing:
            batch = self._batches.get(name)
            if batch is None or batch.over:
                if batch is not None:
                    # They have a folder in common.
                    await batch.aclose()
                journal = DeliveredJournal(
                    self._dsn, batch=name, lease=self._options.stalled
                )
                batch = self._batches[name] = WorkedBatch(
                    self._lab, journal, self._folder(name)
                )
        return await batch.bring_home(index)

    def _folder(self, batch: str) -> Path | None:
        output = self._options.output
        if output is None:
            return None
        return output / as_file_name(batch) / as_file_name(self._name)


def as_file_name(name: str) -> str:
    """
    A name as one part of a path.
    """
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return kept.lstrip(".") or "_"


class WorkedBatch:
    """
    What a worker does of one batch, until that is stopped.

    What changes: which items are under way.
    """

    def __init__(
        self, lab: ModelsLab, journal: DeliveredJournal, output: Path | None
    ) -> None:
        self._feed = Feed()
        self._journal = journal
        self._saves = output is not None
        self._under_way: dict[int, asyncio.Future[None]] = {}
        self._batch = lab.batch(
            self._feed,
            items=self._feed.keys(),
            journal=journal,
            output=output,
        )
        self._begun = asyncio.Event()
        self._running = asyncio.ensure_future(self._run())

    @property
    def over(self) -> bool:
        """
        Whether nothing more is asked for.
        """
        return self._running.done() or self._batch.stopped is not None

    async def bring_home(self, index: int) -> str:
        """
        Bring an item to its end; say what came of it.

        Raises:
            LaterError: It is to be delivered again.
        """
        try:
            await self._begun.wait()
            waiting = self._under_way.get(index)
            if waiting is None:
                # Before anything else: it may be delivered twice at once.
                waiting = self._under_way[index] = asyncio.Future()
                try:
                    await self._hand_in(index)
                except BaseException:
                    self._settle(index)
                    raise
            await asyncio.shield(waiting)
            entry = await self._journal.get(index)
        except ModelsLabError as error:
            raise LaterError(str(error)) from error
        if self._ended(entry):
            return entry.state.name.lower()
        raise LaterError(f"item {index} is {entry.state.name.lower()} still")

    async def _hand_in(self, index: int) -> None:
        """
        Give an item to the batch, if there is anything to do.
        """
        entry = await self._journal.claim(index)
        if entry is None:
            raise LaterError(f"item {index} is with another worker")
        if self._running.done():
            raise LaterError("the worker has left the batch")
        if self._ended(entry):
            self._settle(index)
        else:
            self._feed.put(read_spec(json.loads(entry.spec)), index)

    def _ended(self, entry: Entry) -> bool:
        return entry.state in _ENDED or (
            entry.state is State.DONE and not self._saves
        )

    async def _run(self) -> None:
        reason: object = "the worker has left the batch"
        try:
            async with self._journal, self._batch:
                self._begun.set()
                async for outcome in self._batch:
                    self._settle(int(outcome.item or -1))
        except ModelsLabError as error:
            reason = error
            _log.warning("batch %r: %s", self._journal.name, error)
        finally:
            self._begun.set()
            later = LaterError(str(self._batch.stopped or reason))
            for waiting in self._under_way.values():
                if not waiting.done():
                    waiting.set_exception(later)
                    # It may be that nobody waits any more.
                    waiting.exception()

    def _settle(self, index: int) -> None:
        waiting = self._under_way.pop(index, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def aclose(self) -> None:
        """
        Leave the batch.
        """
        await self._batch.aclose()
        await asyncio.wait({self._running})


class Feed:
    """
    The input of a worker's batch: items as the engine delivers them.

    What changes: what is not pulled yet.
    """

    def __init__(self) -> None:
        self._delivered: asyncio.Queue[tuple[Spec, int]] = asyncio.Queue()
        self._keys: deque[str] = deque()

    def put(self, spec: Spec, index: int) -> None:
        """
        One more item.
        """
        self._delivered.put_nowait((spec, index))

    async def __aiter__(self) -> AsyncIterator[Spec]:
        while True:
            spec, index = await self._delivered.get()
            self._keys.append(str(index))
            yield spec

    def keys(self) -> Iterator[str]:
        """
        The index of each item, once it was pulled.
        """
        while True:
            yield self._keys.popleft()
