"""
What a batch would ask for, or why it would be refused.
"""

from __future__ import annotations

import json

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._batch.rehearsal import Rehearsal, rehearse
from ..journal import Start
from ..results import JSON
from .context import Context, Service
from .exit_codes import ALL_DONE
from .input_file import Source
from .words import number_of


#: Choices of a batch that change what it asks for, or whether it may.
_CHOICES = ("new_key", "resubmit_unknown", "resubmit_failed", "max_images")


def dry_run(
    context: Context,
    service: Service,
    source: Source,
    output: Path,
    *,
    as_json: bool,
    choices: Mapping[str, Any],
) -> int:
    """
    Say what would be asked for, and what is there already.

    Raises:
        ModelsLabError: What a run would be refused with.
    """
    identity = service.identity()
    choices = {name: choices[name] for name in _CHOICES}
    # Nobody can say whose the folder is.
    if not (identity.key or service.simulate):
        context.screen.say("note: a run needs a key in MODELSLAB_API_KEY")
        choices["new_key"] = True
    found = rehearse(
        output,
        identity,
        ((row.spec, row.item) for row in source.rows()),
        **choices,
    )
    if as_json:
        context.screen.result(json.dumps(_facts(found)))
        return ALL_DONE
    for line in _sentences_of(found, choices["max_images"]):
        context.screen.result(line)
    return ALL_DONE


def _facts(found: Rehearsal) -> dict[str, JSON]:
    return {
        "requests": found.requests,
        "pictures": found.pictures,
        "there": found.starts[Start.GIVE],
        "fetched": found.fetched,
        "reported": found.starts[Start.REPORT],
    }


def _sentences_of(found: Rehearsal, max_images: int | None) -> Iterator[str]:
    yield (
        f"would ask for {number_of(found.requests, 'request')}, "
        f"{number_of(found.pictures, 'picture')}"
    )
    if found.beyond:
        yield (
            f"would not ask for {found.beyond} more, by "
            f"--max-images {max_images}"
        )
    if there := found.starts[Start.GIVE]:
        yield f"{there} are there already"
    if found.fetched:
        yield f"{found.fetched} are paid for, and would be fetched"
    if reported := found.starts[Start.REPORT]:
        yield (
            f"{reported} failed or are unknown, and would not be "
            "asked for again without --resubmit-failed or --resubmit-unknown"
        )
