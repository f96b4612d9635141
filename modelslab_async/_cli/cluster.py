"""
The commands for a batch on many machines.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import sys
import time
import warnings

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from ..errors import ConfigurationError, SpecWarning
from ..results import JSON
from ..specs import SPECS
from . import options
from .arguments import PicturesCommand
from .context import Context, Service
from .exit_codes import ALL_DONE, USAGE
from .input_file import Check, Source
from .interrupts import until_told
from .names import Commands
from .screen import Screen
from .source_specs import SourceSpecs, passed
from .status import STATE_WORDS
from .usual import Usual
from .words import duration


if TYPE_CHECKING:
    # What they need is imported when a command is run.
    from ..cluster import BatchReport, ClusterReport


_dsn = click.option(
    "--dsn",
    envvar="MODELSLAB_CLUSTER_DSN",
    required=True,
    help="The PostgreSQL database; better in MODELSLAB_CLUSTER_DSN, where "
    "nobody else sees its password.",
)


@click.group(cls=Commands, short_help="One batch on many machines.")
def cluster() -> None:
    """
    One batch on many machines, by a PostgreSQL database.

    Needs more than the other commands:
    pip install "modelslab-async[cli,cluster]"
    """
    for name in ("procrastinate", "psycopg"):
        if importlib.util.find_spec(name) is None:
            reason = (
                f"this needs {name}: "
                'pip install "modelslab-async[cli,cluster]"'
            )
            raise ConfigurationError(reason)


# The database.


@cluster.command("migrate")
@_dsn
@click.pass_obj
def cluster_migrate(context: Context, /, dsn: str) -> int:
    """
    Make the database's tables, or bring them to this version's.
    """
    from ..cluster import SCHEMA_VERSION, migrate

    before = asyncio.run(migrate(dsn))
    context.screen.result(
        f"version {SCHEMA_VERSION}, as before"
        if before == SCHEMA_VERSION
        else f"version {SCHEMA_VERSION}, before: {before or 'none'}"
    )
    return ALL_DONE


# Planning.


@cluster.command(
    "batch",
    cls=PicturesCommand,
    short_help="Plan everything in a file for the workers.",
)
@options.input_
@_dsn
@click.option("--name", required=True, help="The name of the batch.")
@options.endpoint
@options.images
@options.model
@options.kind
@options.resubmit_unknown
@options.resubmit_failed
@options.new_key
@options.as_json
@click.pass_obj
def cluster_batch(
    context: Context,
    /,
    input: str,  # noqa: A002
    endpoint: str,
    images: tuple[str, ...],
    model: str | None,
    kind: Any,
    as_json: bool,
    **choices: Any,
) -> int:
    """
    Plan everything in INPUT for the workers; nothing is asked for here.

    INPUT is what `modelslab-async batch` takes. Run again with the same
    name, it adds what is new.
    """
    usual = Usual(SPECS[endpoint], model, images, context.home)
    with Source.open(input, sys.stdin, usual, kind=kind) as source:
        check = source.check()
        if not passed(context.screen, source, check):
            return USAGE
        warnings.simplefilter("ignore", SpecWarning)
        found = asyncio.run(_plan(context.screen, source, check, **choices))
    context.screen.result(
        json.dumps(found)
        if as_json
        else f"{found['items']} items, {found['added']} of them new; "
        f"{found['deferred']} given to the workers"
    )
    return ALL_DONE


async def _plan(
    screen: Screen, source: Source, check: Check, *, name: str, **choices: Any
) -> dict[str, JSON]:
    from ..cluster import plan

    specs = SourceSpecs(source, check)
    async with Service(simulate=False).lab(screen) as lab:
        found = await plan(
            lab, specs, batch=name, items=specs.keys(), **choices
        )
    return {
        "items": found.items,
        "added": found.added,
        "deferred": found.deferred,
    }


# Working.


@cluster.command("worker", short_help="Work on what is planned.")
@_dsn
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the pictures, with one in it for each batch and worker; "
    "nothing is downloaded without.",
)
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    help="Unfinished jobs at once of this worker, at most; learnt if not "
    "given.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Items that it has in hand, waiting ones included: some more than "
    "the account has slots for it.",
)
@click.option(
    "--worker-name",
    default=socket.gethostname,
    help="Names its folder; the host's name if not given.",
)
@click.option(
    "--stalled",
    type=click.FloatRange(min=3.0),
    default=30.0,
    show_default=True,
    help="Seconds of silence after which a worker is taken for dead.",
)
@options.talk
@options.network
@click.pass_obj
def cluster_worker(
    context: Context,
    /,
    dsn: str,
    output: Path | None,
    slots: int | None,
    worker_name: str,
    service: Service,
    **choices: Any,
) -> int:
    """
    Work on what is planned, until Ctrl-C or SIGTERM.

    Then it has 30 s for what is paid for; the rest is another worker's.
    """
    from ..cluster import Worker, WorkerOptions

    found = WorkerOptions(
        None if output is None else context.home / output,
        worker_name,
        **choices,
    )

    async def work() -> None:
        asked = attrs.evolve(service, slots=slots)
        async with asked.lab(context.screen) as lab:
            await Worker(lab, dsn, found).run()

    context.screen.say(f"worker {worker_name}: working")
    warnings.simplefilter("ignore", SpecWarning)
    asyncio.run(until_told(work()))
    return ALL_DONE


# Looking.


@cluster.command("status")
@_dsn
@click.option("--name", help="Of this batch only.")
@options.as_json
@click.pass_obj
def cluster_status(
    context: Context, /, dsn: str, name: str | None, as_json: bool
) -> int:
    """
    Say how the batches stand, who works, and what is unknown.
    """
    from ..cluster import report

    found = asyncio.run(report(dsn, name))
    if as_json:
        context.screen.result(json.dumps(_cluster_facts(found)))
        return ALL_DONE
    for batch in found.batches:
        for line in _batch_lines(batch):
            context.screen.result(line)
    context.screen.result(f"{found.waiting} items wait for a worker")
    for worker in found.workers:
        context.screen.result(
            f"worker {worker.id}: {worker.items} items, heard of "
            f"{duration(worker.silent)} ago"
        )
    if not found.workers:
        context.screen.result("no worker")
    return ALL_DONE


def _batch_lines(batch: BatchReport) -> Iterator[str]:
    yield f"{batch.name}: {sum(batch.counts.values())} items"
    for state, words in STATE_WORDS.items():
        if count := batch.counts.get(state, 0):
            yield f"  {count} {words}"
    yield f"  {60 * batch.rate:.1f} a minute, in the last five"
    if batch.oldest is not None:
        yield (
            "  the oldest result that is not saved was asked for "
            f"{duration(time.time() - batch.oldest)} ago"
        )
    yield from (f"  unknown: {track_id}" for track_id in batch.unknown)


def _cluster_facts(found: ClusterReport) -> JSON:
    return {
        "batches": [
            {
                "name": batch.name,
                "states": {
                    state.name.lower(): count
                    for state, count in batch.counts.items()
                },
                "rate": batch.rate,
                "unknown": list(batch.unknown),
                "oldest_age": None
                if batch.oldest is None
                else time.time() - batch.oldest,
            }
            for batch in found.batches
        ],
        "waiting": found.waiting,
        "workers": [
            {
                "id": worker.id,
                "items": worker.items,
                "silent": worker.silent,
            }
            for worker in found.workers
        ],
    }
