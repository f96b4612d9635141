"""
A storm: random cancels, stops, closes and hostile replies, from one seed, and
what must hold whatever happens; for `test_storm` and ``benchmarks/storm.py``.

One seed is one client of one simulator: a batch with a journal is begun, left
and begun again, calls come and go beside it, the service lies, and somebody
closes things.  At the end the weather is fine, the batch is run to its end,
and the books of the service are held against all that was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import attrs

from modelslab_async import (
    Batch,
    Generation,
    ModelsLab,
    Outcome,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import (
    ClientClosedError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
)
from modelslab_async.simulator import Edit, Fault, Reply, Simulator


SPEED = 100.0
#: Seconds that one storm may take; far more than any does.
HANGS = 60.0

#: What comes instead of an answer to a submit, or spoils it.
SUBMIT_FAULTS: tuple[Fault | Reply | Edit, ...] = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.SERVER_ERROR,
    Fault.REDIRECT,
    Fault.RESET_AFTER,
    Fault.GATEWAY_TIMEOUT,
    Fault.TORN,
    Fault.HALF_BODY,
    Fault.HTML,
    Fault.SLOW_BODY,
    Reply(429, {"status": "error", "message": "Maximum 2 queued requests"}),
    Reply(200, {"status": "error", "message": "Try Again"}),
    Reply(200, {"status": "error", "message": "something else is wrong"}),
    Edit({"eta": -3}, without=("fetch_result",)),
    # Not the id: a job that failed at once and has none says "Try Again", as
    # a model that is being loaded does, which nobody can tell apart.
    Edit(status=503),
)
FETCH_FAULTS: tuple[Fault | Reply | Edit, ...] = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.SERVER_ERROR,
    Fault.TORN,
    Fault.HTML,
    Fault.GZIP_BOMB,
    Reply(200, {"status": "success", "output": []}),
    Reply(200, {"status": "error", "message": "Rate limit exceeded"}),
    Reply(404, {"status": "failed", "message": "Request not found"}),
    Edit({"status": "queued"}, without=("output",)),
)
FILE_FAULTS: tuple[Fault | Reply | Edit, ...] = (
    Fault.RESET_BEFORE,
    Fault.MISSING,
    Fault.TORN,
    Fault.HALF_BODY,
    Fault.UNSIZED,
    Fault.HTML,
    Fault.WRONG_TYPE,
)


@attrs.frozen
class Call:
    """
    What came of one call beside the batch.
    """

    prompt: str
    result: Generation | BaseException


@attrs.define
class Told:
    """
    Everything that the client said, by what names a job.

    What changes: it grows.
    """

    calls: list[Call] = attrs.field(factory=list)
    outcomes: list[Outcome] = attrs.field(factory=list)
    #: Prompts of jobs that were in `ModelsLab.jobs()` at a close.
    left: set[str] = attrs.field(factory=set)


@attrs.define
class Storm:
    """
    One seed's weather.

    What changes: the dice, and what was told so far.
    """

    seed: int
    folder: Path
    told: Told = attrs.field(factory=Told)
    dice: random.Random = attrs.field(init=False)

    @dice.default
    def _dice(self) -> random.Random:
        return random.Random(self.seed)

    async def run(self) -> list[str]:
        """
        Play it; give what did not hold, which should be nothing.
        """
        try:
            async with asyncio.timeout(HANGS):
                return await self._played()
        except TimeoutError:
            return [f"seed {self.seed}: it hangs"]

    async def _played(self) -> list[str]:
        dice = self.dice
        async with Simulator(
            speed=SPEED,
            pictures="plain",
            seed=self.seed,
            slots=dice.randint(1, 6),
            latency=dice.choice([1.0, 5.0]),
            hold=dice.choice([0.0, 0.2, 3.0]),
            instant=dice.choice([0.0, 0.0, 0.3]),
            queue_full=dice.choice(["maximum", "bare"]),
            profile=dice.choice(["classic", "documented"]),
            late_links=dice.choice([0.0, 2.0]),
            failures=dice.choice([0.0, 0.05]),
        ) as service:
            lab = ModelsLab(
                "a-key",
                base_url=service.url,
                slots=dice.choice([None, None, 2, 8]),
                timeouts=Timeouts().faster(SPEED, silence=5.0),
            )
            faults: list[str] = []
            for _ in range(dice.randint(1, 3)):
                self._cloud(service)
                await self._weather(lab)
            service.forget_orders()
            await self._fine(lab)
            faults += self._idle(lab)
            await lab.aclose()
            faults += self._audit(service)
        return [f"seed {self.seed}: {fault}" for fault in faults]

    def _cloud(self, service: Simulator) -> None:
        """
        Order what goes wrong next.
        """
        dice = self.dice
        for kind, faults in (
            ("submit", SUBMIT_FAULTS),
            ("fetch", FETCH_FAULTS),
            ("file", FILE_FAULTS),
        ):
            for _ in range(dice.randint(0, 5)):
                service.next(
                    kind,  # type: ignore[arg-type]  # one of its three words
                    dice.choice(faults),
                    times=dice.randint(1, 2),
                    prompt=self._some(dice.random()),
                )

    def _some(self, share: float) -> Callable[[str], bool]:
        return lambda _: self.dice.random() < share

    # The weather

    async def _weather(self, lab: ModelsLab) -> None:
        """
        A run of the batch that somebody disturbs, and calls beside it.
        """
        dice = self.dice
        batch = self._batch(lab)
        tasks = [
            asyncio.ensure_future(self._reader(batch)),
            asyncio.ensure_future(self._disturb(lab, batch)),
        ]
        tasks += [
            asyncio.ensure_future(self._call(lab, number))
            for number in range(dice.randint(0, 4))
        ]
        if dice.random() < 0.3:
            tasks.append(asyncio.ensure_future(self._reader(batch)))
        if dice.random() < 0.5:
            await asyncio.sleep(dice.uniform(0.0, 0.4))
            dice.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ClientClosedError):
            await batch.aclose()

    def _batch(self, lab: ModelsLab) -> Batch:
        ordered = self.dice.random() < 0.3
        return lab.batch(
            self._specs(), output=self.folder / "out", ordered=ordered
        )

    def _specs(self) -> Iterator[TextToImage]:
        for number in range(12):
            yield TextToImage(
                f"item {number} of {self.seed}.", model_id="sdxl", seed=number
            )

    async def _reader(self, batch: Batch) -> None:
        """
        Read some of it, or all.
        """
        most = self.dice.choice([0, 3, 1000])
        with contextlib.suppress(ModelsLabError):
            if self.dice.random() < 0.5:
                async with batch:
                    await self._read(batch, most)
            else:
                await self._read(batch, most)

    async def _read(self, batch: AsyncIterator[Outcome], most: int) -> None:
        for _ in range(most):
            try:
                self.told.outcomes.append(await anext(batch))
            except StopAsyncIteration:
                break

    async def _disturb(self, lab: ModelsLab, batch: Batch) -> None:
        dice = self.dice
        await asyncio.sleep(dice.uniform(0.0, 0.5))
        act = dice.choice(["nothing", "stop", "leave", "close", "close"])
        if act == "stop":
            batch.stop()
        elif act == "leave":
            await batch.aclose()
        elif act == "close":
            self.told.left |= {
                job.spec.caption for job in lab.jobs() if job.spec is not None
            }
            await lab.aclose()
            async with lab:
                # Open anew; the last one out would close it.
                pass

    async def _call(self, lab: ModelsLab, number: int) -> None:
        dice = self.dice
        prompt = f"call {number} of {self.seed}, {dice.random()}."
        spec = TextToImage(prompt, model_id="sdxl")
        await asyncio.sleep(dice.uniform(0.0, 0.2))
        timeout = dice.choice([None, 0.01, 0.1])
        try:
            result: Generation | BaseException = await lab.generate(
                spec, timeout=timeout
            )
        except (ModelsLabError, asyncio.CancelledError) as error:
            result = error
        self.told.calls.append(Call(prompt, result))

    # The end

    async def _fine(self, lab: ModelsLab) -> None:
        """
        Run the batch to its end, in fine weather, and wait for what is left.
        """
        async with lab:
            async with self._batch(lab) as batch:
                await self._read(batch, 1000)
            for job in lab.jobs():
                with contextlib.suppress(ModelsLabError):
                    await job.result(timeout=20)

    def _idle(self, lab: ModelsLab) -> Iterator[str]:
        stats = lab.stats()
        if lab.jobs():
            yield f"never finished: {lab.jobs()}"
        if stats.waiting:
            yield f"{stats.waiting} still wait in a queue without anybody"

    def _audit(self, service: Simulator) -> Iterator[str]:
        """
        Hold the books of the service against what was told.
        """
        told = self.told
        paid = Counter(
            str(entry.spec["prompt"]) for entry in service.books.accepted
        )
        last = {outcome.spec.caption: outcome for outcome in told.outcomes}
        for spec in self._specs():
            outcome = last.get(spec.prompt)
            if paid[spec.prompt] > 1:
                yield f"{spec.prompt!r} was bought {paid[spec.prompt]} times"
            if outcome is None:
                yield f"{spec.prompt!r} has no outcome"
            elif outcome.error is None and not outcome.paths:
                yield f"{spec.prompt!r} has no pictures"
            elif outcome.error is not None:
                yield from self._excused(spec.prompt, outcome.error, paid)
        for call in told.calls:
            if isinstance(call.result, ClientClosedError) and (
                paid[call.prompt] and call.prompt not in told.left
            ):
                yield f"{call.prompt!r} was paid, and its caller not told"
            if paid[call.prompt] > 1:
                yield f"{call.prompt!r} was bought {paid[call.prompt]} times"
            if (
                isinstance(call.result, JobUnfinishedError)
                and not call.result.sent
                and paid[call.prompt]
            ):
                yield f"{call.prompt!r} was paid, and called not sent"

    def _excused(
        self, prompt: str, error: ModelsLabError, paid: Counter[str]
    ) -> Iterator[str]:
        """
        An item that ended without pictures: was it asked for in vain?
        """
        if isinstance(error, OutcomeUnknownError):
            return
        if isinstance(error, JobUnfinishedError):
            yield f"{prompt!r} never finished: {error}"
        if isinstance(error, ClientClosedError):
            yield f"{prompt!r} ended by a close in fine weather"
        if type(error).__module__.partition(".")[0] != "modelslab_async":
            yield f"{prompt!r} ended by a stranger: {error!r}"
