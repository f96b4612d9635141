"""
What is unknown in a journal, and what it may have become.

The service's ids rise, all families together.  A request's job has an id
between the highest that was known when it left, and the first of those that
were asked for after its loss was noticed.  What the account made in between
and no item owns is a candidate.  Nothing is ever claimed, or sent again,
without a person's word: a wrong claim gives one item another's picture.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
import warnings

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from .._checks import is_file_path
from .._engine.receipts import acceptance
from .._engine.verification import Doubt
from .._protocol.assets import ASSET_PATHS, encode_assets, read_assets
from .._protocol.job_ids import job_number
from .._protocol.rows import read_spec
from .._quoting import in_short
from .._rooms import Rooms
from ..errors import (
    ApiError,
    ConfigurationError,
    JournalError,
    ModelsLabError,
    SpecError,
    TransportError,
)
from ..journal import Accepted, Entry, Identity, Journal, Planned, State
from ..results import Candidate, UnknownItem
from ..specs import Spec


_log = logging.getLogger("modelslab_async")


_PAGE = 500


#: Pages of what the account has made that are read, at most.
_MOST_PAGES = 500


@attrs.frozen
class Unknowns:
    """
    The unknown items of a journal that no batch is using.

    Attributes:
        place: The folder of a batch, its journal's path, or a journal.
    """

    rooms: Rooms
    place: str | os.PathLike[str] | Journal

    async def items(self) -> tuple[UnknownItem, ...]:
        """
        All of them, with their candidates.
        """
        async with self._journal() as journal:
            unknown = await _entries(journal, [State.UNKNOWN])
            if not unknown:
                return ()
            others = await _entries(journal, _ASKED_FOR)
        made = await self._made()
        spans = [_Span.of(entry, others, self._longest) for entry in unknown]
        owned = {entry.job_id for entry in others}
        owned |= {job.id for job in self.rooms.jobs()}
        free = [one for one in made or () if one.job_id not in owned]
        found = [[one for one in free if one in span] for span in spans]
        return tuple(
            _item_of(
                entry,
                None if made is None else mine,
                known=span.known,
                alone=_alone(mine, found),
            )
            for entry, mine, span in zip(unknown, found, spans, strict=True)
        )

    async def settle(
        self, accept: Mapping[str, str], resubmit: Iterable[str]
    ) -> None:
        """
        See `ModelsLab.settle_unknown`.
        """
        async with self._journal() as journal:
            unknown = await _entries(journal, [State.UNKNOWN])
            chosen = [
                (_the_one(unknown, track_id), job_id)
                for track_id, job_id in accept.items()
            ]
            again = [_the_one(unknown, track_id) for track_id in resubmit]
            twice = [one for one, _ in chosen if one in again]
            if twice or len(set(accept.values())) < len(accept):
                raise ConfigurationError(
                    "a job is one request's, and a request is accepted or "
                    "asked for again"
                )
            owners = {}
            if chosen:
                others = await _entries(journal, _ASKED_FOR)
                owners = {entry.job_id: entry for entry in others}
            steps = []
            for entry, job_id in chosen:
                if (owner := owners.get(job_id)) is not None:
                    raise ConfigurationError(
                        f"job {job_id} is that of item {owner.index}"
                    )
                steps.append((entry, await self._accepted(entry, job_id)))
            for entry, step in steps:
                await journal.move(entry.index, step)
            for entry in again:
                await journal.move(entry.index, Planned())

    async def _accepted(self, entry: Entry, job_id: str) -> Accepted:
        spec = _spec_asked_for(entry)
        if spec is None:
            raise ConfigurationError(
                f"item {entry.index} was asked for with what is not known here"
            )
        found = await self.rooms.on_demand.verification.look(
            spec, entry.track_id, job_id
        )
        match found:
            case Doubt.ANOTHER:
                raise ConfigurationError(
                    f"job {job_id} is another request's, not that of "
                    f"{entry.track_id}"
                )
            case Doubt.MISSING:
                raise ConfigurationError(
                    f"the service knows no job {job_id}; nothing was changed"
                )
            case Doubt.UNSURE:
                raise TransportError(
                    f"job {job_id} cannot be asked for now; nothing was "
                    "changed",
                    sent=False,
                )
        receipt = acceptance(spec.endpoint, entry.track_id or "", found)
        return Accepted(receipt, time.time())

    @property
    def _longest(self) -> float:
        """
        How long after it left a request may have been taken, at most.
        """
        timeouts = self.rooms.runtime.timeouts
        return timeouts.connect + timeouts.submit

    @contextlib.asynccontextmanager
    async def _journal(self) -> AsyncIterator[Journal]:
        """
        The journal, in a run of its own.

        Raises:
            JournalError: There is none, a batch is using it, or it is
                another's.
        """
        options, place = self.rooms.options, self.place
        opened = None
        if isinstance(place, str | os.PathLike):
            from ..journal.sqlite import SqliteJournal

            path = await self.rooms.downloads.disk.run(
                lambda: _file_of(Path(place))
            )
            opened = await SqliteJournal.open(path)
            journal: Journal = opened
        else:
            journal = place
        try:
            key = options.key.snapshot()
            await journal.begin(
                Identity(options.origin, key.reveal, options.run)
            )
            yield journal
        finally:
            if opened is not None:
                await opened.aclose()

    async def _made(self) -> tuple[Candidate, ...] | None:
        """
        What the account has made; None where the service does not tell.
        """
        for path in ASSET_PATHS:
            try:
                return await self._listed(path)
            except ApiError as error:
                if error.status != 404:
                    _log.warning("the account's assets: %s", error)
                    return None
            except ModelsLabError as error:
                _log.warning("the account's assets: %s", error)
                return None
        return None

    async def _listed(self, path: str) -> tuple[Candidate, ...]:
        found: dict[str, Candidate] = {}
        page = last = 1
        while page <= min(last, _MOST_PAGES):
            call = encode_assets(self.rooms.pool.base_url, path, page)
            listed, last = await self.rooms.on_demand.calls.answer(
                call, read_assets, "the account's assets"
            )
            found |= {one.job_id: one for one in listed}
            page += 1
        if last > _MOST_PAGES:
            _log.warning(
                "the account has made more than is looked through: %d pages "
                "of %d",
                _MOST_PAGES,
                last,
            )
        return tuple(found.values())


@attrs.frozen
class _Span:
    """
    Between which ids a request's job lies.

    Attributes:
        known: Whether *low* was written down when it left.
    """

    low: float
    high: float
    known: bool

    @classmethod
    def of(
        cls, entry: Entry, others: Sequence[Entry], longest: float
    ) -> _Span:
        """
        That of *entry*, by its mark and by what was asked for before and
        after; its loss was noticed after *longest* seconds, at the latest.
        """
        low = job_number(entry.mark) or -math.inf
        high, asked = math.inf, entry.asked_at
        if asked is None:
            return cls(low, high, known=False)
        lost = entry.unknown_at or asked + longest
        for other in others:
            number = job_number(other.job_id)
            if number is None:
                continue
            if other.accepted_at is not None and other.accepted_at <= asked:
                low = max(low, number)
            if other.asked_at is not None and other.asked_at > lost:
                high = min(high, number)
        return cls(low, high, known=low > -math.inf)

    def __contains__(self, one: Candidate) -> bool:
        number = job_number(one.job_id)
        return number is not None and self.low < number < self.high


#: Items that may have a job.
_ASKED_FOR = [
    State.SUBMITTING,
    State.ACCEPTED,
    State.DONE,
    State.STORED,
    State.FAILED,
]


async def _entries(journal: Journal, states: Sequence[State]) -> list[Entry]:
    """
    All items in these states, without what they have made.
    """
    found: list[Entry] = []
    while page := await journal.entries(
        states, after=found[-1].index if found else -1, limit=_PAGE
    ):
        found += [attrs.evolve(entry, generation_json=None) for entry in page]
    return found


def _alone(
    mine: Sequence[Candidate], found: Sequence[Sequence[Candidate]]
) -> bool:
    """
    Whether there is one candidate, and no other item has it.
    """
    return len(mine) == 1 and sum(mine[0] in each for each in found) == 1


def _item_of(
    entry: Entry,
    mine: Sequence[Candidate] | None,
    *,
    known: bool,
    alone: bool,
) -> UnknownItem:
    spec = _spec_asked_for(entry)
    return UnknownItem(
        entry.index,
        entry.key,
        entry.track_id,
        "" if spec is None else spec.caption,
        entry.asked_at,
        None if mine is None else tuple(mine),
        mine[0] if mine and known and alone else None,
    )


def _spec_asked_for(entry: Entry) -> Spec | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_spec(json.loads(entry.spec))
    except (SpecError, ValueError):
        return None


def _the_one(unknown: Sequence[Entry], track_id: str) -> Entry:
    """
    The unknown item whose request has that name.

    Raises:
        ConfigurationError: There is none, or more than one.
    """
    found = [entry for entry in unknown if entry.track_id == track_id]
    if len(found) != 1:
        count = f"{len(found)} are" if found else "none is"
        raise ConfigurationError(
            f"which unknown item has the track_id {track_id!r}? {count} "
            "called so; nothing was changed"
        )
    return found[0]


def check_settling(
    place: object, accept: object = None, resubmit: object = ()
) -> None:
    """
    Refuse what nothing can be looked up in, or for.

    Raises:
        ConfigurationError: All that is wrong.
    """
    faults = []
    if not is_file_path(place) and not hasattr(place, "begin"):
        faults.append(f"a path or a Journal is needed, not {in_short(place)}")
    if accept is not None and not isinstance(accept, Mapping):
        faults.append(
            "accept: a job's id for each track_id, as {'…': '134701497'}, "
            f"not {in_short(accept)}"
        )
    if isinstance(resubmit, str | bytes) or not isinstance(resubmit, Iterable):
        faults.append(f"resubmit: track_ids, not {in_short(resubmit)}")
    if faults:
        raise ConfigurationError("; ".join(faults))


def _file_of(place: Path) -> Path:
    path = place / "journal.sqlite" if place.is_dir() else place
    if not path.exists():
        raise JournalError("unwritable", f"there is no journal {path}")
    return path
