"""
Here lives what a command does once the loop runs, and how it is interrupted.

The first Ctrl-C stops asking, waits for what is paid for, and saves it; the
second leaves at once.  SIGTERM is as the first, with a limit of 30 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import signal
import sys

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import anyio
import attrs

from .._batch.batch import Batch
from .._batch.outcome import Outcome
from .._client import ModelsLab
from .._policy.timeouts import Timeouts
from ..errors import (
    AuthenticationError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
)
from ..results import JSON
from ..simulator import Simulator
from ..specs import TextToImage
from ._input import Check, Row, Source
from ._screen import ProgressLine, Screen, excerpt


ALL_DONE, FAILED, USAGE, ACCOUNT, INTERRUPTED = 0, 1, 2, 3, 130
#: The account says no.
REFUSED = (AuthenticationError, PaymentRequiredError)

#: Seconds that SIGTERM leaves for what is paid for.
_TERM = 30.0
#: Rows that are read at a time, off the loop.
_ROWS = 64
#: What must not be said twice without being meant.
_ONCE = frozenset({"--resubmit-unknown", "--resubmit-failed", "--new-key"})


def program() -> str:
    """
    How this shell was called, to call it again.
    """
    if Path(sys.argv[0]).name == "modelslab-async":
        return sys.argv[0]
    return f"{Path(sys.executable).name} -m modelslab_async"


@attrs.frozen
class Shell:
    """
    What every command knows: where to speak, and what was typed.
    """

    screen: Screen
    arguments: tuple[str, ...]
    #: The working directory; asked for before there is a loop to hold up.
    home: Path = attrs.field(factory=Path.cwd)

    def go_on(self) -> str:
        """
        The same command, which takes up what it left.
        """
        kept = [each for each in self.arguments if each not in _ONCE]
        with_input = ", with the same input" if "-" in kept else ""
        return f"go on with: {program()} {shlex.join(kept)}{with_input}"


@attrs.frozen
class Service:
    """
    Whom to ask: the service itself, or a simulator in this process.
    """

    simulate: bool
    speed: float = 1.0
    slots: int | None = None

    @asynccontextmanager
    async def lab(self) -> AsyncIterator[ModelsLab]:
        """
        A client of it.
        """
        if not self.simulate:
            async with ModelsLab(slots=self.slots) as lab:
                yield lab
            return
        async with Simulator(
            speed=self.speed, slots=self.slots or 5
        ) as simulator:
            lab = ModelsLab(
                "simulated",
                base_url=simulator.url,
                slots=self.slots,
                timeouts=Timeouts().faster(self.speed, silence=5.0),
            )
            # Its jobs end with it, and its port is another each time.
            lab._origin = "simulator"  # noqa: SLF001
            lab._run_id = secrets.token_hex(8)  # noqa: SLF001
            async with lab:
                yield lab


@attrs.define
class Interrupts:
    """
    What Ctrl-C and SIGTERM do while a command runs.

    What changes: whether there was one.
    """

    shell: Shell
    #: Stop asking.
    stop: Callable[[], None]
    #: How to go on, in lines.
    how: Callable[[], str]
    told: bool = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """
        Take the signals meanwhile.
        """
        loop = asyncio.get_running_loop()
        taken = []
        # Only the main thread has signals.
        with contextlib.suppress(RuntimeError, ValueError):
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(each, self._ring, each)
                taken.append(each)
        try:
            yield
        finally:
            for each in taken:
                loop.remove_signal_handler(each)

    def _ring(self, which: signal.Signals) -> None:
        if self.told:
            self._leave()
        self.told = True
        limit = ""
        if which is signal.SIGTERM:
            asyncio.get_running_loop().call_later(_TERM, self._leave)
            limit = f" for {_TERM:.0f} s"
        self.shell.screen.say(
            f"interrupted: asking for nothing more; waiting{limit} for what "
            "is paid for (Ctrl-C again leaves at once)"
        )
        self.stop()

    def _leave(self) -> NoReturn:
        self.shell.screen.say(f"left; {self.how()}")
        sys.stdout.flush()
        sys.stderr.flush()
        # As kill -9 would, which a journal is made for: nothing is tidied up
        # that could take time.
        os._exit(INTERRUPTED)


async def until_told(work: Coroutine[Any, Any, None]) -> None:
    """
    Run a server until Ctrl-C or SIGTERM, which are its usual end.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


# One generation


async def generate(
    ours: Shell,
    service: Service,
    spec: TextToImage,
    output: Path,
    *,
    timeout: float | None,
    as_json: bool,
) -> int:
    """
    Ask for one generation, and save it.
    """
    async with service.lab() as lab:
        asking = asyncio.ensure_future(lab.submit(spec, timeout=timeout))
        return await _saved(ours, lab, asking, output, timeout, as_json)


async def fetch(
    ours: Shell,
    service: Service,
    job: str,
    output: Path,
    *,
    timeout: float | None,
    as_json: bool,
) -> int:
    """
    Take up one job, and save it.
    """
    async with service.lab() as lab:
        asking = asyncio.ensure_future(_given(lab.job(job)))
        return await _saved(ours, lab, asking, output, timeout, as_json)


async def _given(job: Any) -> Any:
    return job


async def _saved(
    ours: Shell,
    lab: ModelsLab,
    asking: asyncio.Future[Any],
    output: Path,
    timeout: float | None,
    as_json: bool,
) -> int:
    def stop() -> None:
        if not any(True for _ in lab.jobs()):
            asking.cancel()

    def how() -> str:
        commands = [
            f"go on with: {program()} fetch {job.id} "
            f"-o {shlex.quote(str(output))}"
            for job in lab.jobs()
            if job.id is not None
        ]
        return "\n".join(commands) or "nothing was accepted"

    interrupts = Interrupts(ours, stop, how)
    with interrupts.watched():
        try:
            job = await asking
        except asyncio.CancelledError:
            if not interrupts.told:
                raise
            ours.screen.say("nothing was asked for")
            return INTERRUPTED
        ours.screen.say(f"job {excerpt(job.id)} is accepted")
        try:
            generation = await job.result(timeout=timeout)
            paths = await lab.download(generation, output)
        except ModelsLabError:
            if any(other is job for other in lab.jobs()):
                ours.screen.say(how())
            raise
    if as_json:
        ours.screen.result(
            json.dumps(
                {
                    "job_id": generation.id,
                    "track_id": generation.track_id,
                    "seed": generation.seed,
                    "paths": [str(path) for path in paths],
                }
            )
        )
    else:
        for path in paths:
            ours.screen.result(str(path))
    return INTERRUPTED if interrupts.told else ALL_DONE


# A batch


class _Specs:
    """
    What a source asks for, read off the loop, with its rows' keys in step.
    """

    def __init__(self, source: Source, check: Check) -> None:
        self._source = source
        self._total = check.items
        self._keys: deque[str | None] = deque()

    def __len__(self) -> int:
        return self._total

    async def __aiter__(self) -> AsyncIterator[TextToImage]:
        rows = self._source.rows()
        while some := await anyio.to_thread.run_sync(_some, rows):
            for row in some:
                self._keys.append(row.item)
                yield row.spec

    def keys(self) -> Iterator[str | None]:
        """
        The key of each spec, once it has been given.
        """
        while True:
            yield self._keys.popleft()


def _some(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, _ROWS))


@attrs.define
class _Tally:
    """
    What came of a batch: counts, and who has to be looked for.
    """

    done: int = 0
    failed: int = 0
    images: int = 0
    unknown: list[str] = attrs.field(factory=list)
    #: Paid for, and not finished yet.
    unfinished: int = 0

    def count(self, outcome: Outcome) -> None:
        """
        One more.
        """
        self.images += len(outcome.paths)
        if outcome.error is None:
            self.done += 1
            return
        self.failed += 1
        if isinstance(outcome.error, OutcomeUnknownError):
            self.unknown.append(outcome.error.track_id or "?")
        elif isinstance(outcome.error, JobUnfinishedError):
            self.unfinished += 1


async def batch(
    ours: Shell,
    service: Service,
    source: Source,
    check: Check,
    output: Path,
    *,
    as_json: bool,
    **choices: Any,
) -> int:
    """
    Ask for every row of *source*; say how it goes, and what came of it.
    """
    screen, tally = ours.screen, _Tally()
    specs = _Specs(source, check)
    async with (
        service.lab() as lab,
        lab.batch(
            specs,
            output=output,
            items=specs.keys() if check.keyed else None,
            **choices,
        ) as running,
    ):
        interrupts = Interrupts(ours, running.stop, ours.go_on)
        with interrupts.watched(), screen.bars(check.items):
            looking = asyncio.create_task(_look(screen, lab, running, check))
            try:
                async for outcome in running:
                    tally.count(outcome)
                    _tell(screen, outcome, as_json=as_json)
                    if screen.unread:
                        running.stop()
            finally:
                looking.cancel()
        stopped = running.stopped
    screen.say(_summary(tally, check, output, ours.home))
    if interrupts.told or screen.unread:
        screen.say(ours.go_on())
        return INTERRUPTED
    if stopped is not None:
        screen.say(f"stopped early: {stopped}")
        screen.say(ours.go_on())
        return ACCOUNT if isinstance(stopped, REFUSED) else FAILED
    return ALL_DONE if tally.done == check.items else FAILED


async def _look(
    screen: Screen, lab: ModelsLab, running: Batch, check: Check
) -> None:
    while True:
        await asyncio.sleep(screen.pause)
        now, stats = running.progress, lab.stats()
        screen.show(
            ProgressLine(
                total=check.items,
                done=now.done,
                failed=now.failed,
                in_flight=now.in_flight,
                waiting=max(
                    0, check.items - now.done - now.failed - now.in_flight
                ),
                slots=(stats.slots_held, stats.slots),
                rate=now.rate,
                left=now.time_left,
            )
        )


def _tell(screen: Screen, outcome: Outcome, *, as_json: bool) -> None:
    if outcome.error is not None:
        name = outcome.item or excerpt(outcome.spec.prompt)
        screen.say(
            f"failed: {name}: {type(outcome.error).__name__}: {outcome.error}"
        )
    if as_json:
        screen.result(json.dumps(_facts(outcome)))
        return
    for path in outcome.paths:
        screen.result(str(path))


def _facts(outcome: Outcome) -> dict[str, JSON]:
    error = outcome.error
    generation = outcome.generation
    return {
        "index": outcome.index,
        "item": outcome.item,
        "prompt": outcome.spec.prompt,
        "model_id": outcome.spec.model_id,
        "track_id": outcome.track_id,
        "job_id": outcome.job_id,
        "seed": None if generation is None else generation.seed,
        "paths": [str(path) for path in outcome.paths],
        "error": None
        if error is None
        else {"type": type(error).__name__, "message": str(error)},
    }


def _summary(tally: _Tally, check: Check, output: Path, home: Path) -> str:
    ended = tally.done + tally.failed
    lines = [
        f"{tally.done} of {check.items} done, {tally.failed} failed"
        + (f", {check.items - ended} not asked for" * (ended < check.items))
    ]
    if tally.unfinished:
        lines.append(
            f"{tally.unfinished} are paid for and not finished; "
            "run again to fetch them"
        )
    if tally.unknown:
        lines.append(
            f"{len(tally.unknown)} unknown: sent, and no answer came; they "
            "may run and be billed, so they are not sent again unless you "
            "say --resubmit-unknown; look for them in your account by their "
            "track_id:"
        )
        lines += [f"  {track_id}" for track_id in tally.unknown]
    lines.append(f"pictures: {home / output / 'images'} ({tally.images})")
    lines.append(f"to look at: {home / output / 'index.html'}")
    return "\n".join(lines)
