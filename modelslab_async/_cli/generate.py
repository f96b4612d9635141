"""
The commands that ask for one generation, or take one up.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import warnings

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import attrs
import click

from .._client import ModelsLab
from .._engine.job import Job
from .._output.disk import check_writable, make_folder
from .._protocol.refusals import read_topics
from .._protocol.replies import Topic
from .._protocol.rows import read_row
from ..errors import (
    DownloadError,
    JobNotFoundError,
    ModelNotFoundError,
    SpecError,
    SpecWarning,
)
from ..results import JSON, Generation, JobState
from ..specs import SPECS, Spec, required_parameters
from . import options
from .arguments import PicturesCommand, how_to_say, request_of
from .context import Context, Service, program
from .exit_codes import ALL_DONE, EXIT_CODES, FAILED, INTERRUPTED
from .input_file import InputError
from .interrupts import Interrupts
from .model_names import model_meant
from .names import EndpointName
from .requests import (
    FROM_PICTURE,
    USUAL_ENDPOINT,
    WITH_PICTURE,
    settings_of,
    with_model,
)
from .screen import Screen, WorkingLine
from .words import duration, excerpt


#: Ids that a shell takes for no option, and nobody misreads.
_AS_TYPED = re.compile(r"[0-9A-Za-z][\w.-]*")


#: Seconds between two lines about a job, where no line moves.
_EVERY = 10.0


#: How a job is come by: asked for, or taken up.
_Begin = Callable[[ModelsLab], Awaitable[Job]]


@click.command(
    cls=PicturesCommand,
    short_help="Ask for one generation, and save its pictures.",
    epilog=f"""
    \b
    Examples:
      modelslab-async generate "a red fox in fresh snow" --simulate
      modelslab-async generate "a fox" -m sdxl --width 768 -n 4 --seed 7
      modelslab-async generate "in oil" -e {WITH_PICTURE} --image cat.png
      modelslab-async generate -e {FROM_PICTURE} cat.png
      modelslab-async generate "all as one" -e {WITH_PICTURE} --image cats/*
    """
    + EXIT_CODES,
)
@click.argument("words", nargs=-1, metavar="[PROMPT]")
@options.endpoint
@options.images
@options.model
@options.output
@click.option(
    "--overwrite", is_flag=True, help="Replace files of the same names."
)
@options.field("width", "--width", about="Pixels", type=int)
@options.field("height", "--height", about="Pixels", type=int)
@options.field(
    "samples", "-n", "--samples", about="How many pictures", type=int
)
@options.field(
    "seed", "--seed", about="The same for the same picture again", type=int
)
@options.field(
    "num_inference_steps", "--steps", about="Steps of denoising", type=int
)
@options.field(
    "guidance_scale",
    "--guidance",
    about="How closely to follow the prompt",
    type=float,
)
@options.field(
    "negative_prompt", "--negative", about="What should not be there"
)
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Any other field of the request; the value is JSON, or text.",
)
@options.timeout
@options.as_json
@options.talk
@options.service
@click.pass_obj
def generate(
    context: Context,
    /,
    words: tuple[str, ...],
    endpoint: str,
    images: tuple[str, ...],
    model: str | None,
    output: Path,
    overwrite: bool,
    more: tuple[str, ...],
    timeout: float | None,
    as_json: bool,
    service: Service,
    **fields: JSON,
) -> int:
    """
    Ask for one generation, save its pictures, and print where they are.

    PROMPT says what they show, in quotes where it is of several words; where
    the endpoint takes none, it is the picture that it begins with.
    """
    kind = SPECS[endpoint]
    fields["model_id"] = model
    said = settings_of(
        more,
        {name: value for name, value in fields.items() if value is not None},
    )
    try:
        row = request_of(kind, words, said, images)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    row = with_model(kind, row) | {"endpoint": endpoint}
    try:
        spec = _spec_of(context, row)
    except SpecError as exc:
        lacks = [name for name in required_parameters(kind) if name not in row]
        if not lacks:
            raise
        raise click.UsageError(
            f"{exc}; say {how_to_say(kind, lacks)}"
        ) from exc
    saving = _Saving(context, output, overwrite, timeout, as_json)
    begin = partial(_asked_for, spec=spec, timeout=timeout)
    try:
        with saving.folder_ready():
            return asyncio.run(_one(context, service, begin, saving))
    except ModelNotFoundError as exc:
        context.screen.warn(
            f"{type(exc).__name__}: {exc}{model_meant(exc, spec)}"
        )
        return FAILED


@click.command(
    short_help="Take up one job, and save its pictures.",
    epilog="""
    \b
    Examples:
      modelslab-async fetch 134701497 -o pictures
      modelslab-async fetch 134701497 -e ENDPOINT
    """
    + EXIT_CODES,
)
@click.argument("job")
@click.option(
    "-e",
    "--endpoint",
    type=EndpointName(),
    metavar="NAME",
    help="What the job of an id was asked of; a handle knows it.  "
    f"[default: {USUAL_ENDPOINT}]",
)
@options.output
@click.option(
    "--overwrite", is_flag=True, help="Replace files of the same names."
)
@options.timeout
@options.as_json
@options.talk
@options.service
@click.pass_obj
def fetch(
    context: Context,
    /,
    job: str,
    endpoint: str | None,
    output: Path,
    overwrite: bool,
    timeout: float | None,
    as_json: bool,
    service: Service,
) -> int:
    """
    Take up JOB, an id or a handle: wait for it, and save its pictures.
    """
    saving = _Saving(context, output, overwrite, timeout, as_json)
    kind = SPECS[endpoint or USUAL_ENDPOINT]
    begin = partial(_taken_up, job=job, kind=kind)
    try:
        with saving.folder_ready():
            return asyncio.run(_one(context, service, begin, saving))
    except JobNotFoundError as exc:
        if endpoint is None and job == exc.job_id:
            # Each endpoint has jobs of its own.
            hint = f"was it asked of another endpoint than {USUAL_ENDPOINT}?"
            context.screen.warn(f"{hint} say -e ENDPOINT")
        raise


def _spec_of(context: Context, row: dict[str, JSON]) -> Spec:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpecWarning)
        spec = read_row(row, folder=context.home)
    for warning in caught:
        context.screen.say(f"note: {warning.message}")
    return spec


async def _asked_for(
    lab: ModelsLab, *, spec: Spec, timeout: float | None
) -> Job:
    return await lab.submit(spec, timeout=timeout)


async def _taken_up(lab: ModelsLab, *, job: str, kind: type[Spec]) -> Job:
    return lab.job(job, endpoint=kind)


@attrs.frozen
class _Saving:
    """
    What becomes of a job's pictures.
    """

    context: Context
    output: Path
    overwrite: bool
    timeout: float | None
    as_json: bool

    @property
    def folder(self) -> Path:
        """
        Whoever reads JSON may do so elsewhere.
        """
        home = self.context.home
        return home / self.output if self.as_json else self.output

    def fetching(self, job: Job) -> str:
        """
        The command that takes a job up; nothing where it has no id yet.
        """
        if job.id is None:
            return ""
        words = ["fetch", job.id]
        if _AS_TYPED.fullmatch(job.id) is None:
            words = ["fetch", job.handle]
        elif job.receipt.endpoint != USUAL_ENDPOINT:
            words += ["-e", job.receipt.endpoint]
        words += ["-o", str(self.folder)]
        return f"go on with: {program()} {shlex.join(words)}"

    @contextmanager
    def folder_ready(self) -> Iterator[None]:
        """
        See that pictures can be kept, before they are paid for.

        Raises:
            InputError: They cannot.
        """
        made = not self.folder.exists()
        try:
            make_folder(self.folder)
            check_writable(self.folder)
        except OSError as exc:
            raise InputError(
                f"cannot write into {str(self.folder)!r}: "
                f"{exc.strerror or exc}; nothing was asked for"
            ) from exc
        try:
            yield
        finally:
            if made:
                # Only where nothing came of it.
                with suppress(OSError):
                    self.folder.rmdir()

    async def save(self, lab: ModelsLab, generation: Generation) -> None:
        """
        Save, and print what is where.
        """
        paths = await self._paths(lab, generation)
        if not self.as_json:
            for path in paths:
                self.context.screen.result(str(path))
            return
        facts: dict[str, JSON] = {
            "job_id": generation.id,
            "track_id": generation.track_id,
            "seed": generation.seed,
            "paths": [str(path) for path in paths],
        }
        self.context.screen.result(json.dumps(facts))

    async def _paths(
        self, lab: ModelsLab, generation: Generation
    ) -> tuple[Path, ...]:
        name, number = generation.id, 1
        while True:
            try:
                return await lab.download(
                    generation, self.folder, overwrite=self.overwrite
                )
            except DownloadError as error:
                # Of another service's job that had the same number.
                if name is None or "is another picture" not in error.reason:
                    raise
                number += 1
                generation = attrs.evolve(generation, id=f"{name}-{number}")


async def _one(
    context: Context, service: Service, begin: _Begin, saving: _Saving
) -> int:
    """
    See one job to its end; say how to go on with what is left of it.
    """
    left: tuple[Job, ...] = ()
    try:
        async with service.lab(context.screen) as lab:
            try:
                return await _awaited(context, service, lab, begin, saving)
            finally:
                left = () if service.simulate else lab.jobs()
    finally:
        # Only now: closing waits for answers, and they bring ids.
        for job in left:
            ended = job.state in {JobState.FAILED, JobState.LOST}
            if not ended and (how := saving.fetching(job)):
                context.screen.warn(how)


async def _awaited(
    context: Context,
    service: Service,
    lab: ModelsLab,
    begin: _Begin,
    saving: _Saving,
) -> int:
    screen = context.screen
    asking = asyncio.ensure_future(begin(lab))

    def stop() -> None:
        if not lab.jobs():
            asking.cancel()

    def how() -> str:
        if service.simulate:
            return "the job ended with its simulator"
        commands = map(saving.fetching, lab.jobs())
        return "\n".join(filter(None, commands)) or "nothing was accepted"

    interrupts = Interrupts(context, stop, how)
    with interrupts.watched(), screen.working() as line:
        line.say("waiting to be accepted")
        try:
            job = await asking
        except asyncio.CancelledError:
            if not interrupts.told:
                raise
            screen.warn("nothing was asked for")
            return INTERRUPTED
        if job.spec is not None:
            about = _guessed_time("; ", job.eta)
            screen.say(f"job {excerpt(job.id)} is accepted{about}")
        showing = asyncio.create_task(_show(job, screen, line))
        try:
            generation = await job.result(timeout=saving.timeout)
            line.say(f"job {job.id} is done; loading its pictures")
            await saving.save(lab, generation)
        except DownloadError:
            # Not kept, yet paid for.
            if not service.simulate:
                screen.warn(saving.fetching(job))
            raise
        finally:
            showing.cancel()
    return INTERRUPTED if interrupts.told else ALL_DONE


async def _show(job: Job, screen: Screen, line: WorkingLine) -> None:
    """
    Say how a job stands: in the line that moves, or now and then.
    """
    known: float | None = None
    missing, told = False, 0.0
    line.say(f"waiting for job {job.id}")
    async for update in job.updates():
        if update.state is not JobState.PROCESSING:
            return
        if known is None:
            known = update.eta
            line.say(f"job {job.id} is processing", known)
        topics = read_topics(update.message or "", None, "", job.id)
        what = "known" if Topic.NOT_FOUND in topics else "done"
        if not missing and what == "known":
            missing = True
            screen.say(
                f"the service does not know job {excerpt(job.id)} yet; "
                "asking again"
            )
        if not screen.moves and update.elapsed >= told + _EVERY:
            told = update.elapsed
            screen.say(
                f"job {excerpt(job.id)} is not {what} yet, {duration(told)}"
                + _guessed_time(" of ", known)
            )


def _guessed_time(between: str, eta: float | None) -> str:
    return f"{between}about {duration(eta)}" if eta and eta >= 1 else ""
