"""
From the input to the queue: items are pulled when there is room, and each
goes where its journal says that it belongs.

What an earlier run had bought is taken up at once, whatever the input says;
what has left the input is finished at the end. All else waits until its item
is pulled, and enters the queue one at a time, so that a batch holds one place
there.
"""

from __future__ import annotations

import asyncio
import logging

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from pathlib import Path
from typing import Any

import attrs

from .._checks import spec_faults
from .._engine.waiters import is_cancelled
from .._protocol.rows import written
from ..errors import (
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    JournalError,
    ModelsLabError,
)
from ..journal import (
    Entry,
    Journal,
    Request,
    Start,
    State,
    on_start,
)
from ..specs import Spec
from .item import (
    BatchJournal,
    Item,
    JournalRecord,
    came_before,
    left_over,
)
from .options import key_fault
from .outcome import Outcome
from .run import Run, download, see_through


_log = logging.getLogger("modelslab_async")


#: Items of the journal that are read at once.
_CHUNK = 500


#: Items that are looked up in the journal at once, at most: there is one wait
#: for the disk for each such page.
_PAGE = 500


#: By a poll, or by a bell.
_GO_ON = frozenset({State.ACCEPTED, State.UNKNOWN})


@attrs.define(eq=False)
class Feeder:
    """
    What pulls the input of a batch.

    What changes: how far it is.

    Attributes:
        broken: What the caller's own iterable raised, or what made it
            impossible to go on; it comes out as it is.
    """

    run: Run
    specs: Iterable[Spec] | AsyncIterable[Spec]
    broken: BaseException | None = attrs.field(default=None, init=False)
    #: Done when the input itself waits for the end of the batch.
    _unawaited: asyncio.Future[None] = attrs.field(init=False)
    _source: Callable[[], Spec | Awaitable[Spec]] = attrs.field(init=False)
    #: What it raises at its end; anything else is a fault of the caller's.
    _end: type[Exception] = attrs.field(init=False)
    _keys: Iterator[str | None] | None = attrs.field(default=None, init=False)
    _pulled: int = attrs.field(default=0, init=False)
    #: How many were known when they were last looked up, twice over.
    _page: int = attrs.field(default=0, init=False)

    def start(self) -> None:
        """
        Begin to pull, in a task of its own.
        """
        run = self.run
        loop = run.rooms.runtime.loop
        run.outcomes.hopeless = self._waits_for_itself
        self._unawaited = loop.create_future()
        run.feeding = loop.create_task(self._pull_all())
        run.feeding.add_done_callback(lambda _: run.end_if_over())

    def raise_broken(self) -> None:
        """
        Have it come out, once.
        """
        broken, self.broken = self.broken, None
        if broken is not None:
            raise broken

    def note_waiter(self, task: asyncio.Task[Any] | None) -> None:
        """
        A task is about to wait for the end of the batch: where that is ours,
        in the caller's iterable, nobody must wait for it.
        """
        if task is not None and task is self.run.feeding:
            self.run.stop()
            if not self._unawaited.done():
                self._unawaited.set_result(None)

    def _waits_for_itself(self) -> bool:
        """
        Whether it is the input that asks for an outcome, while no item is
        under way that could have one.
        """
        run = self.run
        asks = asyncio.current_task(run.rooms.runtime.loop)
        return asks is run.feeding and not run.items

    async def gone(self) -> None:
        """
        Wait until nothing is pulled any more; not for ever, as the caller's
        iterable may wait for the end of the batch in ways of its own.
        """
        if self.run.feeding is None:
            return
        ended, _ = await asyncio.wait(
            {self.run.feeding, self._unawaited},
            timeout=self.run.rooms.runtime.timeouts.close,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not ended:
            _log.warning("the input of a batch that was left does not end")

    async def _pull_all(self) -> None:
        """
        Pull items to the end of the input, and finish what has left it.
        """
        try:
            self._begin()
            journal = self.run.journal
            if journal is None:
                await self._feed_unwritten()
            else:
                await self._feed(journal)
        except ClientClosedError as error:
            self.run.stop(error)
        except BaseException as exc:
            if self.run.rooms.runtime.inherited:
                # The input has forked; its child ends as it likes to.
                if not isinstance(exc, Exception):
                    raise
                self.broken = self.broken or exc
            elif not is_cancelled(exc):
                # The reader gets it.
                self.broken = exc
                self.run.stop(exc if isinstance(exc, ModelsLabError) else None)
            elif not self.run.stopping:
                raise

    def _begin(self) -> None:
        items = self.run.options.items
        try:
            self._source, self._end = _source(self.specs)
            if items is not None:
                self._keys = iter(items)
        except BaseException as exc:  # noqa: BLE001 - the reader gets it
            self._break(exc)

    async def _feed_unwritten(self) -> None:
        while not self._enough and (items := await self._pull()):
            for item in items:
                self.run.outcomes.enter()
                await self._ask(item)

    async def _feed(self, journal: BatchJournal) -> None:
        async for entry in _left(journal.journal, State.ACCEPTED):
            if (item := left_over(journal, entry)) is not None:
                self.run.resume(item)
        while not self._enough and (items := await self._pull()):
            await self._look_up(journal, items)
        if self.run.folder is not None and not self._enough:
            async for entry in _left(journal.journal, State.DONE):
                item = left_over(journal, entry)
                if item is not None and entry.index not in self.run.resumed:
                    await self.run.calm()
                    self.run.start(item, download)

    @property
    def _enough(self) -> bool:
        return self.run.stopping or self.run.full

    # From the input

    async def _pull(self) -> list[Item]:
        """
        The next items of the input, none at its end, as there is room for
        them: one by one, or, where they are looked up in a journal, as many
        as there is room for, and more while all of them are known.
        """
        found: list[Item] = []
        if self.broken is not None or self.run.exhausted:
            return found
        space = await self.run.room()
        space = 1 if self.run.journal is None else max(space, self._page)
        try:
            while len(found) < space:
                spec = self._source()
                if isinstance(spec, Awaitable):
                    spec, space = await spec, 1
                found.append(self._item(spec))
        except BaseException as exc:
            if not self.run.rooms.runtime.inherited and is_cancelled(exc):
                raise
            if isinstance(exc, self._end):
                self.run.exhausted = True
            else:
                self._break(exc)
        return found

    def _break(self, exc: BaseException) -> None:
        """
        Keep what the caller's own iterable raised: it comes out after what
        was paid for.
        """
        if self.run.rooms.runtime.inherited and not isinstance(exc, Exception):
            # It has forked, and its child ends as it likes to.
            raise exc
        self.broken = exc
        if isinstance(exc, StopIteration | StopAsyncIteration):
            # It would end the reader's loop without a word.
            self.broken = RuntimeError(f"the input raised {exc!r}")
            self.broken.__cause__ = exc

    def _item(self, spec: Spec) -> Item:
        for fault in spec_faults(spec):
            raise ConfigurationError(
                f"a batch takes specs, not {type(spec).__name__}: {fault}"
            )
        key = None
        if self._keys is not None:
            try:
                key = next(self._keys)
            except StopIteration:
                reason = "items: fewer than there are specs"
                raise ConfigurationError(reason) from None
            if (wrong := key_fault(key)) is not None:
                raise ConfigurationError(wrong)
        item = Item(self._pulled, self._pulled, spec, key)
        self._pulled += 1
        return item

    # To where it belongs

    async def _look_up(self, journal: BatchJournal, items: list[Item]) -> None:
        """
        See each item where its entry in the journal says.
        """
        entries = await journal.journal.plan(
            [Request(*written(item.spec), item.key) for item in items]
        )
        fresh = self.run.tally.requests
        for item, entry in zip(items, entries, strict=True):
            await self.run.room()
            self.run.outcomes.enter()
            item.index, item.entry = entry.index, entry
            item.record = JournalRecord(item, journal)
            try:
                await self._sort(journal.journal, item, entry)
            except DownloadError as error:
                # Of its line in the manifest.
                if error.disk:
                    self.run.stop(error)
                self.run.give(item, item.outcome(error=error))
            except (JournalError, ClientClosedError):
                raise
            except Exception as exc:  # noqa: BLE001 - the others go on
                self.run.give(item, self.run.fault(item, exc))
        known = self.run.tally.requests == fresh
        self._page = min(_PAGE, 2 * len(items)) if known else 0

    async def _sort(self, journal: Journal, item: Item, entry: Entry) -> None:
        run, options = self.run, self.run.options
        run.tally.elsewhere.discard(entry.index)
        resumed = run.resumed.get(entry.index)
        if resumed is not None:
            resumed.position, resumed.key = item.position, item.key
            return
        saves = run.folder is not None
        if entry.state in _GO_ON or (entry.state is State.DONE and saves):
            # It may have gone on since it was looked up.
            item.entry = entry = await journal.get(entry.index)
        # It has failed in this run, which it would count in.
        item.failures = int(entry.index in run.tally.unmet)
        match on_start(
            entry,
            output=saves,
            resubmit_unknown=options.resubmit_unknown,
            resubmit_failed=options.resubmit_failed
            or 0 < item.failures <= run.policy.resubmit_failed,
        ):
            case Start.GIVE:
                run.give(item, await self._known(item, entry), fresh=False)
            case Start.REPORT:
                error = entry.error or ModelsLabError("it was not said why")
                run.give(item, item.outcome(error=error), fresh=False)
            case Start.POLL:
                run.resume(item)
            case Start.DOWNLOAD:
                run.start(item, download)
            case Start.PLAN:
                error = entry.error or ModelsLabError("it was not said why")
                item.before = came_before(entry, error)
                await self._ask(item)
            case Start.SUBMIT:
                await self._ask(item)

    async def _ask(self, item: Item) -> None:
        """
        See an item into the queue, where it is within the caller's bounds.
        """
        run = self.run
        await run.outcomes.wanted.wait()
        if not (self._enough or run.within_bounds(item)):
            run.fill()
        if self._enough:
            run.give(item, None)
            return
        run.tally.ask(item.spec.pictures)
        submission = run.submit(item)
        run.start(item, see_through)
        await run.lane.join(submission, run.rooms.queue.slots.limit)

    async def _known(self, item: Item, entry: Entry) -> Outcome:
        generation = entry.generation
        if generation is None:
            error = JournalError("corrupt", f"item {item.index} has no links")
            return item.outcome(error=error)
        paths: tuple[Path, ...] = ()
        if self.run.folder is not None:
            await self.run.folder.mend(entry, generation)
            paths = self.run.folder.paths(entry.files)
        return item.outcome(generation, paths=paths)


async def _left(journal: Journal, state: State) -> AsyncGenerator[Entry, None]:
    """
    What is in this state and was not in the input so far.
    """
    last = -1
    while True:
        page = await journal.entries(
            {state}, after=last, limit=_CHUNK, unseen=True
        )
        for entry in page:
            last = entry.index
            yield entry
        if not page:
            return


def _source(
    specs: Iterable[Spec] | AsyncIterable[Spec],
) -> tuple[Callable[[], Spec | Awaitable[Spec]], type[Exception]]:
    """
    What gives the next of any iterable, at once or in a while, and what it
    raises at its end.
    """
    if isinstance(specs, AsyncIterable):
        return aiter(specs).__anext__, StopAsyncIteration
    return iter(specs).__next__, StopIteration
