"""
What a batch would ask for.
"""

from __future__ import annotations

import json

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._protocol.rows import written
from ..journal.foresight import foresee
from ..journal.protocol import Request
from ..journal.states import Start
from ..results import JSON
from .exit_codes import ALL_DONE
from .input_file import Check, Source
from .screen import Screen
from .words import number_of


_ASKED = (Start.SUBMIT, Start.PLAN)


def dry_run(
    screen: Screen,
    source: Source,
    check: Check,
    output: Path,
    choices: Mapping[str, Any],
    *,
    as_json: bool,
) -> int:
    """
    Say what would be asked for, and what is there already.

    Raises:
        JournalError: The folder's journal cannot be read.
    """
    starts, pictures = Counter({Start.SUBMIT: check.items}), check.pictures
    journal = output / "journal.sqlite"
    if journal.exists():
        starts, pictures = _foreseen(source, journal, choices)
    requests = sum(starts[each] for each in _ASKED)
    facts: dict[str, JSON] = {
        "requests": requests,
        "pictures": pictures,
        "there": starts[Start.GIVE],
        "fetched": starts[Start.POLL] + starts[Start.DOWNLOAD],
        "reported": starts[Start.REPORT],
    }
    if as_json:
        screen.result(json.dumps(facts))
        return ALL_DONE
    screen.result(
        f"would ask for {number_of(requests, 'request')}, "
        f"{number_of(pictures, 'picture')}"
    )
    if facts["there"]:
        screen.result(f"{facts['there']} are there already")
    if facts["fetched"]:
        screen.result(f"{facts['fetched']} are paid for, and would be fetched")
    if facts["reported"]:
        screen.result(
            f"{facts['reported']} failed or are unknown, and would not be "
            "asked for again without --resubmit-failed or --resubmit-unknown"
        )
    return ALL_DONE


def _foreseen(
    source: Source, journal: Path, choices: Mapping[str, Any]
) -> tuple[Counter[Start], int]:
    sizes: deque[int] = deque()

    def items() -> Iterator[Request]:
        for row in source.rows():
            sizes.append(row.spec.pictures)
            yield Request(*written(row.spec), row.item)

    starts: Counter[Start] = Counter()
    pictures = 0
    for start in foresee(
        journal,
        items(),
        resubmit_unknown=choices["resubmit_unknown"],
        resubmit_failed=choices["resubmit_failed"],
    ):
        starts[start] += 1
        size = sizes.popleft()
        pictures += size if start in _ASKED else 0
    return starts, pictures
