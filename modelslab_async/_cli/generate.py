"""
The commands that ask for one generation, or take one up.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import warnings

from pathlib import Path
from typing import Any

import click

from .._client import ModelsLab
from .._protocol.rows import read_row
from ..errors import ModelsLabError, SpecWarning
from ..results import JSON
from ..specs import Spec
from . import options
from .context import Context, Service, program
from .exit_codes import ALL_DONE, INTERRUPTED
from .interrupts import Interrupts
from .screen import excerpt


@click.command()
@click.argument("prompt")
@options.model
@options.output
@options.field("width", "Pixels, divisible by 8.", type=int)
@options.field("height", "Pixels, divisible by 8.", type=int)
@click.option("-n", "--samples", type=int, help="Pictures, from 1 to 4.")
@options.field("seed", "For the same picture again.", type=int)
@options.field("steps", "Steps of denoising.", type=int)
@options.field("guidance", "How closely to follow the prompt.", type=float)
@options.field("negative", "What should not be in the picture.")
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Any other field of the request; the value is JSON, or text.",
)
@options.timeout
@options.as_json
@options.simulated
@click.pass_obj
def generate(
    context: Context,
    /,
    prompt: str,
    model: str,
    output: Path,
    more: tuple[str, ...],
    timeout: float | None,
    as_json: bool,
    simulate: bool,
    speed: float,
    steps: int | None,
    guidance: float | None,
    negative: str | None,
    **fields: JSON,
) -> int:
    """
    Ask for one generation, save its pictures, and print where they are.
    """
    fields |= {
        "prompt": prompt,
        "model_id": model,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "negative_prompt": negative,
    }
    for text in more:
        name, equals, value = text.partition("=")
        if not equals or not name or name.strip().lower() == "key":
            raise click.UsageError(f"--set wants FIELD=VALUE, not {name!r}")
        fields[name] = options.value_of(value)
    row = {name: value for name, value in fields.items() if value is not None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpecWarning)
        spec = read_row(row)
    for warning in caught:
        context.screen.say(f"note: {warning.message}")
    return asyncio.run(
        _generate(
            context,
            Service(simulate, speed),
            spec,
            context.home / output if as_json else output,
            timeout=timeout,
            as_json=as_json,
        )
    )


@click.command()
@click.argument("job")
@options.output
@options.timeout
@options.as_json
@options.simulated
@click.pass_obj
def fetch(
    context: Context,
    /,
    job: str,
    output: Path,
    timeout: float | None,
    as_json: bool,
    simulate: bool,
    speed: float,
) -> int:
    """
    Take up JOB, an id or a handle: wait for it, and save its pictures.
    """
    return asyncio.run(
        _fetch(
            context,
            Service(simulate, speed),
            job,
            context.home / output if as_json else output,
            timeout=timeout,
            as_json=as_json,
        )
    )


async def _generate(
    context: Context,
    service: Service,
    spec: Spec,
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
        return await _saved(context, lab, asking, output, timeout, as_json)


async def _fetch(
    context: Context,
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
        return await _saved(context, lab, asking, output, timeout, as_json)


async def _given(job: Any) -> Any:
    return job


async def _saved(
    context: Context,
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

    interrupts = Interrupts(context, stop, how)
    with interrupts.watched():
        try:
            job = await asking
        except asyncio.CancelledError:
            if not interrupts.told:
                raise
            context.screen.say("nothing was asked for")
            return INTERRUPTED
        context.screen.say(f"job {excerpt(job.id)} is accepted")
        try:
            generation = await job.result(timeout=timeout)
            paths = await lab.download(generation, output)
        except ModelsLabError:
            if any(other is job for other in lab.jobs()):
                context.screen.say(how())
            raise
    if as_json:
        context.screen.result(
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
            context.screen.result(str(path))
    return INTERRUPTED if interrupts.told else ALL_DONE
