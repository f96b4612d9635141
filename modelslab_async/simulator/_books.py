"""
The simulator's books: what was asked, what was answered, and what became
of it. The client's own account can be held against them.

Times are seconds of the real clock since the simulator was made, as lived:
already divided by ``speed``.
"""

from __future__ import annotations

import collections
import enum
import hashlib
import json

from collections.abc import Callable

import attrs


class Verdict(enum.StrEnum):
    """
    What became of a submit.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAULT = "fault"


@attrs.define(eq=False)
class Record:
    """
    What the books say of one job.

    Attributes:
        id: As the service counts.

        account: Label of the account.

        accepted: When its slot was taken.

        ended: When its slot was given back; None while it runs.

        succeeded: Whether it gave pictures; None while it runs.

        polls: How often it was fetched.

        noticed: When its end was first told to somebody.

        downloads: How often a file of it was asked for.
    """

    id: int
    account: str
    accepted: float
    ended: float | None = None
    succeeded: bool | None = None
    polls: int = 0
    noticed: float | None = None
    downloads: int = 0

    @property
    def unnoticed(self) -> float | None:
        """
        How long it had ended before somebody knew, in seconds.
        """
        if self.ended is None or self.noticed is None:
            return None
        return self.noticed - self.ended


@attrs.frozen
class Entry:
    """
    One submit.

    Attributes:
        at: When it came.

        account: Label of the account; the key itself is not kept.

        track_id: As sent, as a string.

        body: The request without its key, as compact JSON.

        verdict: What became of it. A fault may be accepted all the same.

        job_id: Of the job that was begun, if one was.

        reason: Why it was refused, or the fault that was played.
    """

    at: float
    account: str
    track_id: str | None
    body: str
    verdict: Verdict
    job_id: int | None = None
    reason: str | None = None

    @property
    def spec(self) -> dict[str, object]:
        """
        The request without its key.
        """
        spec: dict[str, object] = json.loads(self.body)
        return spec


@attrs.define
class Books:
    """
    What happened, in order.

    Attributes:
        entries: Every submit.

        jobs: Every job that was begun, by its id.

        polls: How many fetches came, those for unknown jobs included.

        downloads: How many files were asked for, those not there included.

        peaks: The most unfinished jobs that an account had at once.

        strays: Requests to addresses that nobody should ask, method and
            path.
    """

    _clock: Callable[[], float]
    entries: list[Entry] = attrs.field(factory=list)
    jobs: dict[int, Record] = attrs.field(factory=dict)
    polls: int = 0
    downloads: int = 0
    peaks: dict[str, int] = attrs.field(factory=dict)
    strays: list[str] = attrs.field(factory=list)

    @staticmethod
    def label(account: str) -> str:
        """
        The name in the books of an account, or of a key that is its own.
        """
        digest = hashlib.sha256(account.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:12]

    @property
    def accepted(self) -> list[Entry]:
        """
        The submits that began a job, also where the answer was a fault.
        """
        return [entry for entry in self.entries if entry.job_id is not None]

    @property
    def refused(self) -> list[Entry]:
        """
        The submits that the service said no to.
        """
        return [
            entry for entry in self.entries if entry.verdict is Verdict.REFUSED
        ]

    @property
    def accepted_ids(self) -> dict[str | None, list[int]]:
        """
        Ids of the jobs that were begun, by track_id.
        """
        ids: dict[str | None, list[int]] = collections.defaultdict(list)
        for entry in self.entries:
            if entry.job_id is not None:
                ids[entry.track_id].append(entry.job_id)
        return dict(ids)

    @property
    def bought_twice(self) -> dict[str, list[int]]:
        """
        The track_ids that more than one job was begun for.
        """
        return {
            track_id: ids
            for track_id, ids in self.accepted_ids.items()
            if track_id is not None and len(ids) > 1
        }

    @property
    def alike(self) -> dict[tuple[str, object], list[int]]:
        """
        The pairs of prompt and seed that more than one job was begun for.
        """
        ids: dict[tuple[str, object], list[int]] = collections.defaultdict(
            list
        )
        for entry in self.accepted:
            spec = entry.spec
            seed = json.dumps(spec.get("seed"))
            if entry.job_id is not None:
                ids[str(spec.get("prompt")), seed].append(entry.job_id)
        return {pair: found for pair, found in ids.items() if len(found) > 1}

    @property
    def peak(self) -> int:
        """
        The most unfinished jobs that any account had at once.
        """
        return max(self.peaks.values(), default=0)

    @property
    def refusals(self) -> dict[str, int]:
        """
        How many submits were refused, by reason.
        """
        return dict(
            collections.Counter(entry.reason or "" for entry in self.refused)
        )

    @property
    def slot_seconds(self) -> float:
        """
        How long slots were held, all jobs together.
        """
        now = self._clock()
        return sum(
            (now if job.ended is None else job.ended) - job.accepted
            for job in self.jobs.values()
        )

    @property
    def unnoticed_seconds(self) -> float:
        """
        How long ended jobs waited until somebody knew, all together.
        """
        return sum(job.unnoticed or 0.0 for job in self.jobs.values())

    def to_json(self) -> dict[str, object]:
        """
        Everything, as JSON would have it.
        """
        ended = [job for job in self.jobs.values() if job.ended is not None]
        return {
            "totals": {
                "submits": len(self.entries),
                "accepted": len(self.accepted),
                "refused": len(self.refused),
                "ended": len(ended),
                "succeeded": sum(job.succeeded is True for job in ended),
                "noticed": sum(job.noticed is not None for job in ended),
                "polls": self.polls,
                "downloads": self.downloads,
                "peak": self.peak,
                "slot_seconds": self.slot_seconds,
                "unnoticed_seconds": self.unnoticed_seconds,
            },
            "refusals": self.refusals,
            "peaks": dict(self.peaks),
            "bought_twice": self.bought_twice,
            "alike": [
                {"prompt": prompt, "seed": seed, "ids": ids}
                for (prompt, seed), ids in self.alike.items()
            ],
            "strays": list(self.strays),
            "submits": [
                {
                    "at": entry.at,
                    "account": entry.account,
                    "track_id": entry.track_id,
                    "spec": entry.spec,
                    "verdict": entry.verdict.value,
                    "job_id": entry.job_id,
                    "reason": entry.reason,
                }
                for entry in self.entries
            ],
            "jobs": [attrs.asdict(job) for job in self.jobs.values()],
        }
