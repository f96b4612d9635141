"""
The command that says what is unknown in a batch's folder, and what it may be.

Nothing is claimed, and nothing is asked for again, but what is named.
"""

from __future__ import annotations

import asyncio
import json
import shlex

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import attrs
import click

from ..journal.sqlite import SqliteJournal
from ..journal.states import State
from ..results import JSON, UnknownItem
from . import options
from .context import Context, Service, program
from .exit_codes import ALL_DONE, EXIT_CODES, FAILED
from .status import STATE_WORDS, batch_journal
from .words import excerpt


@click.command(
    short_help="List what was sent and got no verdict.",
    epilog="""
    \b
    Examples:
      modelslab-async unknown pictures
      modelslab-async unknown pictures --accept 831902746190283746=134701497
    """
    + EXIT_CODES,
)
@click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="TRACK_ID=JOB_ID",
    help="That request became this job: fetch it, and save its pictures.",
)
@click.option(
    "--resubmit",
    multiple=True,
    metavar="TRACK_ID",
    help="The next run asks for it again, although it may have been paid for.",
)
@options.as_json
@options.talk
@options.service
@click.pass_obj
def unknown(
    context: Context,
    /,
    folder: Path,
    accepted: tuple[str, ...],
    resubmit: tuple[str, ...],
    as_json: bool,
    service: Service,
) -> int:
    """
    List what the batch in DIR has sent and got no verdict of, and which jobs
    of the account it may have become.

    A candidate is a hint, no proof: look at its pictures before you accept
    it.
    """
    batch_journal(folder)
    accept = dict(map(_pair, accepted))
    if len(accept) < len(accepted):
        raise click.UsageError("--accept: a TRACK_ID twice")
    if accept or resubmit:
        return asyncio.run(
            _settled(context, service, folder, accept, resubmit)
        )
    items = asyncio.run(_items_of(context, service, folder))
    if as_json:
        for item in items:
            context.screen.result(json.dumps(_item_facts(item)))
        return ALL_DONE
    if not items:
        context.screen.say("nothing is unknown")
    for item in items:
        for line in _item_lines(item):
            context.screen.result(line)
    if items:
        context.screen.say(
            f"say what they are with: {program()} unknown "
            f"{shlex.quote(str(folder))} "
            "--accept TRACK_ID=JOB_ID, or --resubmit TRACK_ID"
        )
    return ALL_DONE


def _pair(text: str) -> tuple[str, str]:
    # A name may have any sign in it, an id has no such.
    track_id, equals, job_id = text.rpartition("=")
    if not (equals and track_id and job_id.strip()):
        raise click.UsageError(f"--accept: TRACK_ID=JOB_ID, not {text!r}")
    return track_id, job_id.strip()


async def _items_of(
    context: Context, service: Service, folder: Path
) -> tuple[UnknownItem, ...]:
    async with service.lab(context.screen) as lab:
        return await lab.unknown(folder)


async def _settled(
    context: Context,
    service: Service,
    folder: Path,
    accept: dict[str, str],
    resubmit: tuple[str, ...],
) -> int:
    async with service.lab(context.screen) as lab:
        await lab.settle_unknown(folder, accept=accept, resubmit=resubmit)
        for track_id in resubmit:
            context.screen.say(f"{track_id}: the next run asks for it again")
        if not accept:
            return ALL_DONE
        # Nothing new is asked for: what is paid for is fetched and saved.
        async with lab.batch((), output=folder) as batch:
            async for _ in batch:
                pass
    return await _came_of(context, folder, set(accept))


async def _came_of(context: Context, folder: Path, names: set[str]) -> int:
    """
    Say what came of the requests of these names.
    """
    journal = await SqliteJournal.open(folder / "journal.sqlite")
    code, last = ALL_DONE, -1
    try:
        while page := await journal.entries(set(State), after=last):
            last = page[-1].index
            for entry in page:
                if entry.track_id not in names:
                    continue
                if entry.state is not State.STORED:
                    code = FAILED
                    why = entry.error or STATE_WORDS[entry.state]
                    context.screen.warn(f"{entry.track_id}: {why}")
                for file in entry.files:
                    context.screen.result(str(folder / "images" / file))
    finally:
        await journal.aclose()
    return code


def _item_facts(item: UnknownItem) -> dict[str, JSON]:
    facts: dict[str, JSON] = attrs.asdict(item)
    return facts


def _item_lines(item: UnknownItem) -> Iterator[str]:
    """
    An item, for people.
    """
    asked = "at a time that is not known"
    if item.asked_at is not None:
        then = datetime.fromtimestamp(item.asked_at).astimezone()
        asked = then.strftime("%Y-%m-%d %H:%M:%S")
    yield f"{item.track_id}  {asked}  {excerpt(item.caption)}"
    if item.candidates is None:
        yield "  the service does not say what the account has made"
    elif not item.candidates:
        yield "  nothing that the account has made may be it"
    for one in item.candidates or ():
        words = "probably this one: " if one == item.probable else ""
        yield f"  {words}job {one.job_id}  {' '.join(one.urls)}"
