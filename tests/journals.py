"""
A journal in memory, and the laws that every journal keeps.

A journal of another make is held to them by a subclass of `JournalLaws` with a
`storage` of its own.
"""

from __future__ import annotations

import abc
import secrets

from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from modelslab_async.errors import (
    ClientClosedError,
    GenerationFailedError,
    JournalError,
    OutcomeUnknownError,
)
from modelslab_async.journal import (
    MOVES,
    SIMULATOR,
    Accepted,
    Discarded,
    Done,
    Entry,
    Failed,
    Identity,
    IllegalMove,
    Journal,
    Planned,
    Receipt,
    Request,
    State,
    Step,
    Stored,
    Submitting,
    Unknown,
    after,
    check_identity,
    fingerprint,
    first_step,
    item_changed,
    item_repeated,
)
from modelslab_async.results import Generation, Image


# A double.


@attrs.define(eq=False)
class MemoryJournal:
    """
    A `Journal` that is gone with its process; for tests of what uses one.

    `reopened` is what a next process would find.
    """

    _entries: list[Entry] = attrs.field(factory=list)
    _meta: dict[str, str] = attrs.field(factory=dict)
    _seen: set[int] = attrs.field(factory=set, init=False)
    _equals: Counter[str] = attrs.field(factory=Counter, init=False)
    _begun: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    id: str = attrs.field(factory=lambda: secrets.token_hex(8), kw_only=True)

    def reopened(self) -> MemoryJournal:
        return MemoryJournal(list(self._entries), dict(self._meta), id=self.id)

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        self._check()
        print_ = fingerprint(b"salt", identity.key)
        origin, run = self._meta.get("origin"), self._meta.get("run")
        if origin is not None:
            check_identity(
                Identity(origin),
                identity,
                same_key=self._meta["key"] == print_,
                new_key=new_key,
            )
        self._meta |= {"origin": identity.origin, "key": print_}
        if identity.run is not None:
            self._meta["run"] = identity.run
        another = origin == SIMULATOR and run != identity.run
        for index, entry in enumerate(self._entries):
            step = first_step(entry, another_simulator=another)
            if step is not None:
                self._entries[index] = after(entry, step)
        self._seen.clear()
        self._equals.clear()
        self._begun = True

    async def rotate_key(self, key: str | Callable[[], str]) -> None:
        self._check()
        self._meta["key"] = fingerprint(b"salt", key)

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        self._check()
        if not self._begun:
            raise RuntimeError("a journal begins a run before it plans")
        before = list(self._entries), set(self._seen), Counter(self._equals)
        try:
            return [self._plan(item) for item in items]
        except JournalError:
            self._entries, self._seen, self._equals = before
            raise

    def _plan(self, item: Request) -> Entry:
        if item.key is None:
            like = [
                entry
                for entry in self._entries
                if entry.key is None and entry.identity == item.identity
            ]
            ordinal = self._equals[item.identity]
            self._equals[item.identity] += 1
            found = like[ordinal] if ordinal < len(like) else None
        else:
            found = next((e for e in self._entries if e.key == item.key), None)
            if found is not None and found.identity != item.identity:
                raise item_changed(item.key)
            if found is not None and found.index in self._seen:
                raise item_repeated(item.key)
        if found is None:
            index = len(self._entries)
            found = Entry(index, item.spec, item.identity, item.key)
            self._entries.append(found)
        self._seen.add(found.index)
        return found

    async def move(self, index: int, step: Step) -> Entry:
        self._check()
        then = after(self._entries[index], step)
        self._entries[index] = then
        return then

    async def get(self, index: int) -> Entry:
        self._check()
        return self._entries[index]

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        self._check()
        return [
            entry
            for entry in self._entries
            if entry.state in states
            and entry.index > after
            and not (unseen and entry.index in self._seen)
        ][:limit]

    async def find(
        self,
        *,
        job_id: str | None = None,
        track_id: str | None = None,
        bell: str | None = None,
    ) -> Sequence[Entry]:
        self._check()
        live = {State.SUBMITTING, State.ACCEPTED, State.UNKNOWN}
        return [
            entry
            for entry in self._entries
            if entry.state in live
            and (
                (job_id is not None and entry.job_id == job_id)
                or (track_id is not None and entry.track_id == track_id)
                or (bell is not None and entry.bell == bell)
            )
        ]

    async def counts(self) -> Mapping[State, int]:
        self._check()
        found = Counter(entry.state for entry in self._entries)
        return {state: found[state] for state in State}

    async def oldest(self) -> float | None:
        self._check()
        return min(
            (
                entry.accepted_at
                for entry in self._entries
                if entry.state in {State.ACCEPTED, State.DONE}
                and entry.accepted_at is not None
            ),
            default=None,
        )

    async def aclose(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise ClientClosedError("the journal is closed")


# The laws.

US = Identity("https://modelslab.example", "a-key")

GENERATION = Generation(
    "134701497",
    "track-2",
    (
        Image(0, "https://files.example/0.png", "https://proxy.example/0.png"),
        Image(1, None, None, b"\x89PNG\r\n\x00\xff"),
    ),
    seed=4294967295,
    generation_time=1.5,
    nsfw=False,
    meta_json='{"prompt":"çat"}'.encode(),
    raw_json=b'{"status":"success"}',
)

RECEIPT = Receipt(
    "134701497",
    "text2img",
    "track-1",
    "https://modelslab.example/fetch/134701497",
    12.5,
    7,
    ("https://files.example/0.png",),
    '{"seed":7,"prompt":"çat"}'.encode(),
)

#: A step to each state.
STEPS: Mapping[State, Step] = {
    State.PLANNED: Planned(),
    State.SUBMITTING: Submitting("track-1", "007", "134701400", 999.5),
    State.ACCEPTED: Accepted(RECEIPT, 1000.5),
    State.DONE: Done(GENERATION, 1010.5),
    State.STORED: Stored(("000000-7-0.png", "000000-7-1.png"), 1011.5),
    State.FAILED: Failed(
        GenerationFailedError("1", "track-1", "no", {"a": 1})
    ),
    State.UNKNOWN: Unknown(
        OutcomeUnknownError("track-1", "waiting", "gone"), 1180.5
    ),
}

#: A way to each state.
WAYS: Mapping[State, tuple[State, ...]] = {
    State.PLANNED: (),
    State.SUBMITTING: (State.SUBMITTING,),
    State.ACCEPTED: (State.SUBMITTING, State.ACCEPTED),
    State.DONE: (State.SUBMITTING, State.ACCEPTED, State.DONE),
    State.STORED: (
        State.SUBMITTING,
        State.ACCEPTED,
        State.DONE,
        State.STORED,
    ),
    State.FAILED: (State.SUBMITTING, State.FAILED),
    State.UNKNOWN: (State.SUBMITTING, State.UNKNOWN),
}


def item(name: str, key: str | None = None) -> Request:
    """
    An item that asks for *name*.
    """
    return Request(f'{{"prompt":"{name}"}}', f"identity of {name}", key)


def items(names: str) -> list[Request]:
    """
    One item for each letter.
    """
    return [item(name) for name in names]


def indexes(entries: Sequence[Entry]) -> list[int]:
    return [entry.index for entry in entries]


async def walk(journal: Journal, index: int, state: State) -> Entry:
    """
    Lead an item to *state*; give it as it is there.
    """
    for step in WAYS[state]:
        await journal.move(index, STEPS[step])
    return await journal.get(index)


class Storage(abc.ABC):
    """
    Where one journal is kept.

    What changes: whether it is open.
    """

    @abc.abstractmethod
    async def reopen(self) -> Journal:
        """
        Open it, closing it first where it is open.
        """

    @abc.abstractmethod
    async def close(self) -> None: ...


class JournalLaws(abc.ABC):
    """
    What every journal keeps to.
    """

    @abc.abstractmethod
    def storage_in(self, folder: Path) -> Storage: ...

    @pytest_asyncio.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        storage = self.storage_in(tmp_path)
        yield storage
        await storage.close()

    @pytest_asyncio.fixture
    async def journal(self, storage: Storage) -> Journal:
        journal = await storage.reopen()
        await journal.begin(US)
        return journal

    # Recognising

    async def test_indexes_follow_the_input(self, journal: Journal) -> None:
        """
        New items are numbered from 0, in the order in which they came.
        """
        first = await journal.plan(items("ab"))
        second = await journal.plan(items("c"))

        assert indexes([*first, *second]) == [0, 1, 2]
        assert first[0] == Entry(0, item("a").spec, "identity of a")

    async def test_next_run_recognises(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        An edited and shuffled input keeps each item's index.
        """
        await journal.plan(items("abc"))

        journal = await storage.reopen()
        await journal.begin(US)
        planned = await journal.plan(items("cxa"))

        assert indexes(planned) == [2, 3, 0]

    async def test_equals_are_counted_in_each_run(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        The n-th of equal items is the same item in every run, however the
        input is cut into pieces.
        """
        first = await journal.plan(items("aab"))
        first = [*first, *await journal.plan(items("a"))]

        journal = await storage.reopen()
        await journal.begin(US)
        second = await journal.plan(items("a"))
        second = [*second, *await journal.plan(items("baaa"))]
        await journal.begin(US)
        third = await journal.plan(items("a"))

        assert indexes(first) == [0, 1, 2, 3]
        assert indexes(second) == [0, 2, 1, 3, 4]
        assert indexes(third) == [0]

    async def test_keys_know_their_items(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        An item with a key is another than its equal without one.
        """
        await journal.plan([item("a", "k"), item("a"), item("a", "l")])

        journal = await storage.reopen()
        await journal.begin(US)
        planned = await journal.plan(
            [item("a", "l"), item("a", "k"), item("a", "m"), item("a")]
        )

        assert indexes(planned) == [2, 0, 3, 1]
        assert [entry.key for entry in planned] == ["l", "k", "m", None]

    @pytest.mark.parametrize("key", ["", "ключ", "a\x00b", "name-\udcff.png"])
    async def test_any_text_is_a_key(
        self, storage: Storage, journal: Journal, key: str
    ) -> None:
        """
        A key comes back as it was, also one from a file's odd name.
        """
        await journal.plan([item("a"), item("a", key)])

        journal = await storage.reopen()
        await journal.begin(US)
        (planned,) = await journal.plan([item("a", key)])

        assert planned.index == 1
        assert planned.key == key

    async def test_changed_item_under_its_old_key(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        A key that stands for another request is refused, and its whole piece
        with it: nothing is planned, nothing counts as seen.
        """
        await journal.plan([item("a", "k"), item("b")])
        journal = await storage.reopen()
        await journal.begin(US)

        with pytest.raises(JournalError, match="another request") as caught:
            await journal.plan([item("new"), item("b"), item("c", "k")])
        planned = await journal.plan([item("b"), item("b")])

        assert caught.value.reason == "mismatch"
        assert indexes(planned) == [1, 2]

    @pytest.mark.parametrize("known", [True, False])
    async def test_key_that_comes_twice(
        self, storage: Storage, journal: Journal, known: bool
    ) -> None:
        """
        One key cannot stand for two items of an input.
        """
        await journal.plan([item("a", "k")] if known else [])
        journal = await storage.reopen()
        await journal.begin(US)
        await journal.plan([item("a", "k")])

        with pytest.raises(JournalError, match="twice"):
            await journal.plan([item("a", "k")])

    async def test_plan_before_begin(self, storage: Storage) -> None:
        """
        Without a run, nobody could say what is in its input.
        """
        journal = await storage.reopen()

        with pytest.raises(RuntimeError, match="begins"):
            await journal.plan(items("a"))

    # Steps

    @pytest.mark.parametrize("then", State)
    @pytest.mark.parametrize("now", State)
    async def test_every_step_from_every_state(
        self, storage: Storage, journal: Journal, now: State, then: State
    ) -> None:
        """
        A legal step is kept as `after` says, also by the next process; an
        illegal one is refused and changes nothing.
        """
        await journal.plan(items("a"))
        before = await walk(journal, 0, now)

        try:
            wanted = after(before, STEPS[then])
        except IllegalMove:
            wanted = before
            with pytest.raises(IllegalMove):
                await journal.move(0, STEPS[then])
        else:
            assert await journal.move(0, STEPS[then]) == wanted
        found = await (await storage.reopen()).get(0)

        assert found == wanted
        assert (found.state is then) == (
            now in MOVES[type(STEPS[then])].sources or now is then
        )

    @pytest.mark.parametrize("now", State)
    async def test_discarded(
        self, storage: Storage, journal: Journal, now: State
    ) -> None:
        """
        What ended with its simulator is planned again, what is on disk or
        refused is not.
        """
        await journal.plan(items("a"))
        before = await walk(journal, 0, now)

        try:
            wanted = after(before, Discarded())
        except IllegalMove:
            wanted = before
            with pytest.raises(IllegalMove):
                await journal.move(0, Discarded())
        else:
            await journal.move(0, Discarded())
        found = await (await storage.reopen()).get(0)

        assert found == wanted

    async def test_text_of_any_kind_is_kept(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        What the service or the caller sent is no reason not to write down
        what was paid for, as it was.
        """
        receipt = attrs.evolve(
            RECEIPT,
            id="gen:12/3\ud800",
            fetch_result="https://x/\udfff",
            meta_json=b"\xff\x00",
        )
        await journal.plan(items("a"))
        await journal.move(0, Submitting("track-\ud800-é\x00"))
        await journal.move(0, Accepted(receipt, 1.0))

        found = await (await storage.reopen()).get(0)

        assert found.state is State.ACCEPTED
        assert found.receipt == receipt
        assert found.track_id == "track-\ud800-é\x00"
        assert found.job_id == receipt.id

    async def test_results_come_back(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        Generation and error are the next process's as they were this one's.
        """
        await journal.plan(items("ab"))
        await walk(journal, 0, State.DONE)
        await walk(journal, 1, State.UNKNOWN)

        journal = await storage.reopen()
        done, unknown = await journal.get(0), await journal.get(1)

        assert done.generation == GENERATION
        assert done.receipt == RECEIPT
        assert isinstance(unknown.error, OutcomeUnknownError)
        assert unknown.error.track_id == "track-1"
        assert unknown.error.phase == "waiting"

    async def test_no_such_item(self, journal: Journal) -> None:
        """
        An index that was never given is a bug, and is said to be one.
        """
        with pytest.raises(IndexError):
            await journal.get(0)
        with pytest.raises(IndexError):
            await journal.move(7, Planned())

    # Beginning

    async def test_what_was_submitting_is_unknown(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        Of a request that was under way when its process died, nobody knows;
        all else is as it was.
        """
        await journal.plan(items("abcdefg"))
        before = [await walk(journal, n, State(n)) for n in range(7)]

        journal = await storage.reopen()
        await journal.begin(US)
        found = [await journal.get(n) for n in range(7)]
        error = found[1].error

        assert found[1].state is State.UNKNOWN
        assert isinstance(error, OutcomeUnknownError)
        assert (error.track_id, error.phase) == ("track-1", "killed")
        assert found[:1] + found[2:] == before[:1] + before[2:]

    @pytest.mark.parametrize(
        ("known", "now", "words"),
        [
            (US, Identity("https://other.example", "a-key"), "address"),
            (US, Identity(US.origin, "b-key"), "new_key=True"),
            (US, Identity(SIMULATOR, run="1"), "choose another folder"),
            (Identity(SIMULATOR, run="1"), US, "choose another folder"),
        ],
    )
    async def test_another_identity(
        self, storage: Storage, known: Identity, now: Identity, words: str
    ) -> None:
        """
        Who has another address or key is told what to do, and nothing
        changes.
        """
        journal = await storage.reopen()
        await journal.begin(known)
        await journal.plan(items("a"))
        before = await walk(journal, 0, State.SUBMITTING)
        journal = await storage.reopen()

        with pytest.raises(JournalError, match=words) as caught:
            await journal.begin(now)

        assert caught.value.reason == "mismatch"
        assert "b-key" not in str(caught.value)
        assert await journal.get(0) == before
        await journal.begin(known)

    async def test_new_key(self, storage: Storage, journal: Journal) -> None:
        """
        The user's word that a key is of the same account is taken once, and
        the old key is then another one; it is no word about addresses.
        """
        new = Identity(US.origin, "b-key")

        await journal.begin(new, new_key=True)
        journal = await storage.reopen()
        await journal.begin(new)

        with pytest.raises(JournalError, match="another API key"):
            await journal.begin(US)
        with pytest.raises(JournalError, match="address"):
            await journal.begin(
                Identity("https://other.example", "b-key"), new_key=True
            )

    async def test_rotated_key(
        self, storage: Storage, journal: Journal
    ) -> None:
        """
        A key that changed while a batch ran is the one to come back with.
        """
        await journal.rotate_key("b-key")

        journal = await storage.reopen()
        await journal.begin(Identity(US.origin, "b-key"))

        with pytest.raises(JournalError, match="another API key"):
            await journal.begin(US)

    async def test_another_simulator(self, storage: Storage) -> None:
        """
        Jobs die with their simulator: what it had not finished is planned
        again, what was kept or refused stays.
        """
        journal = await storage.reopen()
        await journal.begin(Identity(SIMULATOR, run="1"))
        await journal.plan(items("abcdefg"))
        before = [await walk(journal, n, State(n)) for n in range(7)]

        journal = await storage.reopen()
        await journal.begin(Identity(SIMULATOR, run="2"))
        found = [await journal.get(n) for n in range(7)]

        assert found == [
            before[0],
            after(before[1], Discarded()),
            after(before[2], Discarded()),
            after(before[3], Discarded()),
            before[4],
            before[5],
            after(before[6], Discarded()),
        ]

    async def test_same_simulator(self, storage: Storage) -> None:
        """
        A simulator that still runs still has its jobs.
        """
        journal = await storage.reopen()
        await journal.begin(Identity(SIMULATOR, run="1"))
        await journal.plan(items("a"))
        before = await walk(journal, 0, State.ACCEPTED)

        await journal.begin(Identity(SIMULATOR, run="1"))

        assert await journal.get(0) == before

    # Looking

    async def test_pages(self, journal: Journal) -> None:
        """
        Pages follow each other without gap or overlap, in order of index.
        """
        await journal.plan(items("abcdefgh"))
        await walk(journal, 1, State.ACCEPTED)
        await walk(journal, 4, State.UNKNOWN)
        await walk(journal, 6, State.ACCEPTED)
        wanted = {State.ACCEPTED, State.UNKNOWN}

        first = await journal.entries(wanted, limit=2)
        second = await journal.entries(wanted, limit=2, after=4)
        third = await journal.entries(wanted, limit=2, after=6)

        assert [indexes(page) for page in (first, second, third)] == [
            [1, 4],
            [6],
            [],
        ]

    async def test_unseen(self, storage: Storage, journal: Journal) -> None:
        """
        Items that have left the input are known from those still in it.
        """
        await journal.plan([*items("aab"), item("c", "k"), item("d", "l")])
        for n in range(5):
            await walk(journal, n, State.ACCEPTED)

        journal = await storage.reopen()
        await journal.begin(US)
        await journal.plan([item("a"), item("c", "k"), item("new")])
        left = await journal.entries({State.ACCEPTED}, unseen=True)

        assert indexes(left) == [1, 2, 4]

    async def test_find(self, journal: Journal) -> None:
        """
        A bell finds what waits for it by either name, and nothing else.
        """
        await journal.plan(items("abcd"))
        await walk(journal, 0, State.ACCEPTED)
        await walk(journal, 1, State.STORED)
        await walk(journal, 2, State.UNKNOWN)

        by_job = await journal.find(job_id="134701497")
        by_track = await journal.find(track_id="track-1")
        by_bell = await journal.find(bell="007")

        assert indexes(by_job) == [0]
        assert indexes(by_track) == [0, 2]
        assert indexes(by_bell) == [0, 2]
        assert (by_bell[0].mark, by_bell[0].asked_at) == ("134701400", 999.5)
        assert by_bell[1].unknown_at == 1180.5
        assert await journal.find(bell="134701497") == []
        assert await journal.find(job_id="track-1") == []
        assert await journal.find() == []

    @pytest.mark.parametrize(
        "name", ["gen:12/3", "msg.01A", "é", "a\x00b", "\ud800", "' OR 1=1"]
    )
    async def test_find_by_odd_names(
        self, journal: Journal, name: str
    ) -> None:
        """
        Whatever the service calls a job, it is found by that, and only it.
        """
        await journal.plan(items("ab"))
        await walk(journal, 0, State.ACCEPTED)
        await journal.move(1, Submitting(name))
        await journal.move(1, Accepted(Receipt(name, "text2img"), 1.0))

        assert indexes(await journal.find(job_id=name)) == [1]
        assert indexes(await journal.find(track_id=name)) == [1]

    async def test_counts(self, journal: Journal) -> None:
        """
        Each state is counted, also those that nothing is in.
        """
        empty = await journal.counts()
        await journal.plan(items("abcde"))
        await walk(journal, 0, State.STORED)
        await walk(journal, 1, State.ACCEPTED)
        await walk(journal, 2, State.ACCEPTED)

        counts = await journal.counts()

        assert empty == dict.fromkeys(State, 0)
        assert counts == {
            **empty,
            State.STORED: 1,
            State.ACCEPTED: 2,
            State.PLANNED: 2,
        }

    async def test_oldest(self, journal: Journal) -> None:
        """
        The age of links counts from acceptance, until they are fetched.
        """
        nothing = await journal.oldest()
        await journal.plan(items("abc"))
        for n, at in enumerate([30.0, 20.0, 10.0]):
            await journal.move(n, STEPS[State.SUBMITTING])
            await journal.move(n, Accepted(Receipt(str(n), "text2img"), at))
        await journal.move(1, Done(GENERATION, 50.0))
        await journal.move(2, Done(GENERATION, 50.0))
        await journal.move(2, STEPS[State.STORED])

        assert nothing is None
        assert await journal.oldest() == 20.0

    async def test_id(self, storage: Storage, journal: Journal) -> None:
        """
        A journal keeps its name: folders know it by that.
        """
        before = journal.id

        journal = await storage.reopen()
        await journal.begin(US)

        assert journal.id == before != ""

    async def test_closed(self, journal: Journal) -> None:
        """
        A closed journal says that it is closed, and can be closed again.
        """
        await journal.aclose()
        await journal.aclose()

        with pytest.raises(ClientClosedError, match="closed"):
            await journal.plan(items("a"))


assert all(MOVES[type(step)].target is then for then, step in STEPS.items())
