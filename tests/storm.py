"""
A storm: random cancels, stops, closes, broken disks and hostile replies, from
one seed, and what must hold whatever happens; for `test_storm` and
``benchmarks/storm.py``.

One seed is one service and one client: batches with a journal and without are
begun, left and begun again, calls of all kinds come and go beside them, the
service lies, and somebody closes things, at any await.  At the end the weather
is fine, the batches are run to their ends, and `storm_audit` holds the books
of the service against all that was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import random
import time
import traceback

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from killing import entries_of
from PIL import Image
from stepping import Steps
from storm_audit import (
    Call,
    Ends,
    Run,
    Told,
    folder_faults,
    idle_fault,
    outcome_faults,
    slots_fault,
)
from storm_hang import Hangs, within
from storm_weather import (
    ITEMS,
    KEY,
    account,
    calm,
    clear,
    items,
    loose,
    order,
    served,
    service,
)

from modelslab_async import (
    ModelsLab,
    RetryPolicy,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import JournalError, ModelsLabError
from modelslab_async.journal import Entry, SqliteJournal, Step
from modelslab_async.simulator import Simulator
from modelslab_async.specs import Spec
from modelslab_async.webhooks import Doorbell


#: Seconds that a part of a storm may take; far more than any does.
PATIENCE = 40.0

Input: TypeAlias = "Iterator[Spec] | AsyncIterator[Spec]"


class FlakyJournal(SqliteJournal):
    """
    A journal whose disk is full now and then, as long as there are dice.
    """

    __slots__ = ()

    dice: random.Random | None = None

    async def plan(self, items: Any) -> Any:
        self._stumble(0.02)
        return await super().plan(items)

    async def move(self, index: int, step: Step) -> Entry:
        self._stumble(0.05)
        return await super().move(index, step)

    def _stumble(self, share: float) -> None:
        if self.dice is not None and self.dice.random() < share:
            raise JournalError("unwritable", "the disk is full, say the dice")


@contextlib.contextmanager
def full_disk(dice: random.Random, share: float) -> Iterator[None]:
    """
    Refuse to keep a share of the pictures meanwhile.
    """
    really = os.fsync

    def fsync(fd: Any) -> None:
        name = str(Path(f"/proc/self/fd/{fd}").readlink())
        if "/images" in name and dice.random() < share:
            raise OSError(errno.ENOSPC, "No space left on device")
        really(fd)

    os.fsync = fsync
    try:
        yield
    finally:
        os.fsync = really


class Deliberate(Exception):
    """
    What an input raises of its own.
    """


@attrs.define(eq=False)
class Round:
    """
    What is under way beside each other.

    What changes: what was begun.
    """

    lab: ModelsLab
    dice: random.Random
    tasks: list[asyncio.Task[None]] = attrs.field(factory=list)
    calm: bool = False
    cancelled: set[asyncio.Task[None]] = attrs.field(factory=set)
    runs: list[Run] = attrs.field(factory=list)
    journals: list[SqliteJournal] = attrs.field(factory=list)

    def begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        # Where its loop ends nobody looks at it.
        task.add_done_callback(lambda one: one.cancelled() or one.exception())
        self.tasks.append(task)

    def cancel(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self.cancelled.add(task)

    async def over(self) -> Iterator[str]:
        """
        Wait for all, also for what is begun meanwhile; give what came out of
        it that should not.
        """
        while not all(task.done() for task in self.tasks):
            await asyncio.wait(self.tasks)
        return self._strangers()

    def _strangers(self) -> Iterator[str]:
        for task in self.tasks:
            if task.cancelled():
                if task not in self.cancelled:
                    yield f"nobody has cancelled {task}"
            elif not isinstance(
                task.exception(), ModelsLabError | Deliberate | None
            ):
                yield f"a stranger came out: {task.exception()!r}"


@attrs.define(eq=False)
class Storm:
    """
    One seed's weather.

    What changes: what was told so far, and the client of the moment.
    """

    seed: int
    folder: Path
    told: Told = attrs.field(factory=Told)
    lab: ModelsLab = attrs.field(init=False)
    at: Simulator = attrs.field(init=False)
    bell: Doorbell | None = attrs.field(default=None, init=False)
    #: Of the pictures that some items begin with; None where none does.
    picture: Path | None = attrs.field(default=None, init=False)
    again: int = attrs.field(default=0, init=False)
    _rounds: list[Round] = attrs.field(factory=list, init=False)
    _labs: list[ModelsLab] = attrs.field(factory=list, init=False)

    def dice(self, name: object) -> random.Random:
        """
        Dice that are nobody else's, so that who comes first changes nothing.
        """
        return random.Random(f"{self.seed}/{name}")

    def run(self) -> list[str]:
        """
        Play it; give what did not hold, which should be nothing.
        """
        climate = self.dice("climate")
        speed = climate.choice([100.0, 200.0, 400.0, 400.0])
        if climate.random() < 0.4:
            self.picture = self.folder / "a.png"
            Image.new("RGB", (64, 64), "teal").save(self.picture)
        self.again = climate.choice([0, 0, 0, 1])
        logs = [logging.getLogger(n) for n in ("modelslab_async", "asyncio")]
        for log in logs:
            log.addHandler(self.told)
        faults: list[str] = []
        try:
            with served(
                service(climate, speed), bell=climate.random() < 0.3
            ) as (self.at, self.bell):
                self.lab = self._client()
                self._play(climate)
            ends = self._ends()
            faults += ends.faults()
            faults += folder_faults(
                self._journal.parent, ends.journals["picture "]
            )
        except Hangs as hung:
            faults.append(f"it hangs\n{hung}")
        except Exception:  # noqa: BLE001 - it is what did not hold
            faults.append(traceback.format_exc())
        finally:
            for log in logs:
                log.removeHandler(self.told)
        return [f"seed {self.seed}: {fault}" for fault in faults]

    def _play(self, climate: random.Random) -> None:
        runner = asyncio.Runner()
        try:
            for number in range(climate.randint(1, 3)):
                if climate.random() < 0.2:
                    # All that is under way is cut off with its loop.
                    runner.close()
                    runner = asyncio.Runner()
                    for before in self._rounds:
                        for journal in before.journals:
                            journal.abandon()
                    self._rounds.clear()
                runner.run(within(PATIENCE, self._round(number)))
                if climate.random() < 0.2:
                    # Nobody serves the loop, and the world goes on.
                    time.sleep(0.05)
            runner.run(within(PATIENCE, self._fine()))
        finally:
            runner.close()
            # What was thrown away while it was under way is told of.
            del runner
            gc.collect()

    def _client(self) -> ModelsLab:
        dice = self.dice("client")
        speed = self.at.settings.speed
        lab = ModelsLab(
            KEY,
            base_url=self.at.url,
            slots=dice.choice([None, None, 2, 8]),
            timeouts=self._timeouts,
            retry=RetryPolicy(resubmit_failed=self.again),
            observers=[self.told.events.append],
            doorbell=self.bell,
            job_timeout=dice.choice([1800.0, 1800.0, 60.0]) / speed
            if speed < 200
            else 1800.0,
        )
        self._labs.append(lab)
        return lab

    @property
    def _timeouts(self) -> Timeouts:
        silence = self.dice("silence").choice([0.3, 0.6, 1.0])
        return Timeouts().faster(self.at.settings.speed, silence=silence)

    def _ends(self) -> Ends:
        journals = {"picture ": entries_of(self._journal)}
        second = self.folder / "second.sqlite"
        if second.exists():
            journals["second-"] = entries_of(second)
        return Ends(self.at.books, self.told, journals, self.again)

    @property
    def _journal(self) -> Path:
        return self.folder / "out" / "journal.sqlite"

    # The weather

    async def _round(self, number: int) -> None:
        """
        Batches that somebody disturbs, and calls beside them.
        """
        dice = self.dice(f"round {number}")
        order(self.at, dice)
        await self._anew(dice)
        now = Round(self.lab, dice)
        self._rounds.append(now)
        await self._begin_batches(now, number)
        for call in range(dice.randint(0, 4)):
            now.begin(self._call(now, f"call {number}.{call}."))
        for _ in range(dice.randint(0, 3)):
            now.begin(self._disturb(now, dice.uniform(0.0, 0.3)))
        with contextlib.ExitStack() as stack:
            if dice.random() < 0.2:
                stack.enter_context(full_disk(dice, 0.3))
            if dice.random() < 0.6:
                stack.enter_context(self._lightning(now))
            if dice.random() < 0.15:
                # Nobody waits for it; the next one begins beside it.
                await asyncio.sleep(dice.uniform(0.0, 0.3))
            else:
                await self._settle(now)

    async def _anew(self, dice: random.Random) -> None:
        """
        Open the client, or take another one.
        """
        if dice.random() < 0.15 and not self.lab._lifetime.alive():
            self.lab = self._client()
        elif dice.random() < 0.1:
            await self.lab.aclose()
            self.lab = self._client()
        if dice.random() < 0.8:
            await self.lab.__aenter__()

    async def _settle(self, now: Round) -> None:
        """
        See all of it to its end, and take what outcomes are left.
        """
        # Who waits for somebody else's slots would wait for ever.
        now.calm = True
        calm(self.at)
        self.told.faults += await now.over()
        for run in now.runs:
            await run.batch.aclose()
            await self._rest(run)
        for journal in now.journals:
            await journal.aclose()
        self._rounds.remove(now)
        self.told.faults += slots_fault(self.lab)

    async def _rest(self, run: Run) -> None:
        """
        Take what nobody has taken.
        """
        if run.awaited:
            run.outcomes = list(run.batch.outcomes)
        with contextlib.suppress(ModelsLabError, Deliberate):
            await self._read(run, 1000)
        run.whole, run.until = True, len(self.at.books.entries)

    @contextlib.contextmanager
    def _lightning(self, now: Round) -> Iterator[None]:
        """
        Disturb it at any await meanwhile.
        """
        loop, dice = asyncio.get_running_loop(), now.dice
        seldom = dice.choice([80, 400])
        steps = Steps(dice.randint(1, seldom), print)

        def strike() -> None:
            steps.at = steps.count + dice.randint(1, seldom)
            self._act(now)

        steps.strike = strike
        loop.set_task_factory(steps.task)
        try:
            yield
        finally:
            loop.set_task_factory(None)
            steps.at = 0

    async def _disturb(self, now: Round, after: float) -> None:
        await asyncio.sleep(after)
        self._act(now)

    def _act(self, now: Round) -> None:
        """
        Do harm, or look.
        """
        dice = now.dice
        self.told.faults += slots_fault(now.lab)
        match dice.randrange(20):
            case 0 | 1 | 2 | 3:
                now.cancel(dice.choice(now.tasks))
            case 4 | 5 if now.runs:
                dice.choice(now.runs).batch.stop()
            case 6 | 7 if now.runs:
                now.begin(dice.choice(now.runs).batch.aclose())
            case 8:
                now.begin(self._close(now.lab, opens=dice.random() < 0.8))
            case 9 if not now.calm:
                account(self.at, dice)
            case 10:
                order(self.at, dice)
            case 11:
                time.sleep(0.02)
            case 12:
                now.begin(self._ask(now))
            case 13 if now.runs:
                now.begin(self._reader(now, dice.choice(now.runs), dice))

    async def _close(self, lab: ModelsLab, *, opens: bool) -> None:
        await lab.aclose()
        if opens:
            await lab.__aenter__()

    # Batches

    async def _begin_batches(self, now: Round, number: int) -> None:
        dice = now.dice
        begun: list[Awaitable[Run]] = [self._main(now)]
        if dice.random() < 0.4:
            begun.append(self._main(now))
        if dice.random() < 0.4:
            begun.append(self._second(now))
        begun += [
            self._loose(now, f"loose {number}.{each}")
            for each in range(dice.choice([0, 0, 1, 2]))
        ]
        dice.shuffle(begun)
        for beginning in begun:
            with contextlib.suppress(JournalError):
                run = await beginning
                now.runs.append(run)
                self.told.runs.append(run)
                self._readers(now, run)

    def _readers(self, now: Round, run: Run) -> None:
        dice = now.dice
        if dice.random() < 0.25:
            run.awaited = True
            now.begin(self._await(run))
            return
        for _ in range(dice.choice([1, 1, 1, 2])):
            own = random.Random(dice.random())
            now.begin(self._reader(now, run, own))

    async def _main(self, now: Round) -> Run:
        """
        Of the batch that has a folder.
        """
        dice, journal = now.dice, None
        if dice.random() < 0.2 and not now.journals:
            self._journal.parent.mkdir(exist_ok=True)
            FlakyJournal.dice = random.Random(dice.random())
            journal = await FlakyJournal.open(self._journal)
            now.journals.append(journal)
        wanted = items(self.picture)
        if dice.random() < 0.3:
            # Some have left the input, or come in another order.
            wanted = dice.sample(wanted, dice.randint(ITEMS // 2, ITEMS))
        return self._begin(
            now,
            "picture ",
            wanted,
            output=self.folder / "out",
            journal=journal,
        )

    async def _second(self, now: Round) -> Run:
        """
        Of a batch that has a journal alone.
        """
        specs, names = self._keyed()
        return self._begin(
            now,
            "second-",
            specs,
            items=names,
            journal=self.folder / "second.sqlite",
        )

    def _keyed(self) -> tuple[list[TextToImage], list[str] | None]:
        """
        What the second is asked for, and its keys, where it has some.
        """
        specs = loose("second", ITEMS // 2)
        if self.dice("keys").random() < 0.5:
            return specs, None
        return specs, [f"no. {number}" for number in range(len(specs))]

    async def _loose(self, now: Round, name: str) -> Run:
        """
        Of a batch that nobody remembers.
        """
        return self._begin(now, f"{name}-", loose(name, 5))

    def _begin(
        self, now: Round, name: str, specs: list[Any], **options: Any
    ) -> Run:
        dice = now.dice
        most = dice.choice([None, None, None, 3])
        broken = dice.choice([None] * 8 + [4])
        batch = now.lab.batch(
            self._input(specs, dice.random() < 0.3, broken),
            ordered=dice.random() < 0.3,
            priority=dice.choice([0, 10]),
            max_failures=dice.choice([None, None, None, 2]),
            max_jobs=most,
            max_images=dice.choice([None, None, None, 7]),
            resubmit_failed=bool(self.again) and dice.random() < 0.3,
            **options,
        )
        # What an earlier one left behind would be counted as its own.
        counts = most if not self.told.runs else None
        since = len(self.at.books.entries)
        return Run(name, batch, since, most=counts)

    def _input(
        self, specs: list[Spec], slow: bool, broken: int | None
    ) -> Input:
        """
        The input of a batch, which may break off.
        """

        def read() -> Iterator[Spec]:
            for number, spec in enumerate(specs):
                if number == broken:
                    raise Deliberate
                yield spec

        async def read_slowly() -> AsyncIterator[Spec]:
            for spec in read():
                await asyncio.sleep(0.001)
                yield spec

        return read_slowly() if slow else read()

    async def _await(self, run: Run) -> None:
        await run.batch

    async def _reader(self, now: Round, run: Run, dice: random.Random) -> None:
        """
        Read some of it, or all, from inside or not.
        """
        most = dice.choice([0, 3, 1000, 1000])
        if run.awaited:
            return
        if dice.random() < 0.5:
            async with run.batch:
                await self._read(run, most)
        else:
            await self._read(run, most)

    async def _read(self, run: Run, most: int) -> None:
        if most == 0:
            return
        async for outcome in run.batch:
            run.outcomes.append(outcome)
            most -= 1
            if most == 0:
                break

    # Calls

    async def _call(self, now: Round, prompt: str) -> None:
        """
        One job, asked for in some way.
        """
        dice = random.Random(now.dice.random())
        await asyncio.sleep(dice.uniform(0.0, 0.2))
        call = Call(prompt)
        self.told.calls.append(call)
        spec = TextToImage(prompt, model_id="sdxl")
        timeout = dice.choice([None, None, 0.01, 0.1])
        priority = dice.choice([0, 0, 20])
        lab = now.lab
        try:
            if dice.random() < 0.5:
                call.result = await lab.generate(
                    spec, timeout=timeout, priority=priority
                )
                self.told.pictures.append(call.result)
            else:
                job = await lab.submit(
                    spec, timeout=timeout, priority=priority
                )
                call.result = job
                self.told.handles.append(job.handle)
                if dice.random() < 0.5:
                    await job.result(timeout)
                else:
                    await self._follow(lab, job.handle, dice)
        except (ModelsLabError, asyncio.CancelledError) as error:
            call.result = call.result or error
            raise

    async def _follow(
        self, lab: ModelsLab, handle: str, dice: random.Random
    ) -> None:
        """
        Take a job up, and look at it.
        """
        job = lab.job(handle)
        left = dice.choice([1, 3, 1000])
        match dice.randrange(3):
            case 0:
                async for _ in job.updates():
                    left -= 1
                    if left == 0:
                        break
            case 1:
                await job.refresh()
            case _:
                await job.result(dice.choice([None, 0.05]))

    async def _ask(self, now: Round) -> None:
        """
        For anything but a new job.
        """
        lab, told = now.lab, self.told
        dice = random.Random(now.dice.random())
        ways: list[Callable[[], Awaitable[object]]] = [
            lab.balance,
            lab.models,
            lab.processing_count,
        ]
        if self.picture is not None:
            picture = self.picture
            ways.append(lambda: lab.upload(picture))
        if told.handles:
            handle = dice.choice(told.handles)
            ways.append(lambda: self._follow(lab, handle, dice))
        if told.pictures:
            have = dice.choice(told.pictures)
            image, place = have.images[0], self.folder / "calls"
            ways.append(lambda: lab.download(have, place, overwrite=True))
            ways.append(lambda: lab.read(image))
            ways.append(lambda: lab.save(image, self.folder / "one.png"))
        await dice.choice(ways)()

    # The end

    async def _fine(self) -> None:
        """
        Run the batches to their ends, in fine weather, and wait for what is
        left.
        """
        FlakyJournal.dice = None
        for before in tuple(self._rounds):
            await self._settle(before)
        clear(self.at)
        async with self.lab as lab:
            # After a refusal of the account one goes first.
            await asyncio.sleep(1.1 * self._timeouts.account_probe)
            await self._finish(lab)
            for job in lab.jobs():
                with contextlib.suppress(ModelsLabError):
                    await job.result(timeout=20)
            await self._slots_free(lab)
            self.told.faults += idle_fault(lab)
        for lab in self._labs:
            # Somebody may have opened an old one again.
            await lab.aclose()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        # One waits for us.
        if len(left) > 1:
            self.told.faults.append(f"left running: {left}")

    async def _finish(self, lab: ModelsLab) -> None:
        wanted = items(self.picture)
        async with lab.batch(wanted, output=self.folder / "out") as batch:
            outcomes = [outcome async for outcome in batch]
        if batch.stopped is not None:
            self.told.faults.append(f"the last run: {batch.stopped!r}")
        self.told.faults += outcome_faults(
            "the last run", outcomes, ITEMS, self.at.books, saved=True
        )
        second = self.folder / "second.sqlite"
        if second.exists():
            specs, names = self._keyed()
            told = await lab.batch(specs, items=names, journal=second)
            self.told.faults += outcome_faults(
                "second", told, len(specs), self.at.books, saved=False
            )

    async def _slots_free(self, lab: ModelsLab) -> None:
        """
        Those of requests without a verdict come back by themselves.
        """
        patience = 2 * self._timeouts.unknown_slot + 5
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while lab.stats().slots_held:
                    await asyncio.sleep(0.01)
