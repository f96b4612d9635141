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

        endpoint: Its path, with the version.
    """

    id: int
    account: str
    accepted: float
    ended: float | None = None
    succeeded: bool | None = None
    polls: int = 0
    noticed: float | None = None
    downloads: int = 0
    endpoint: str = ""

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

        endpoint: Its path, with the version.

        remarks: What the documentation has against it, though it was let
            pass: a flag in another dialect, an unknown field, a number out
            of its range.
    """

    at: float
    account: str
    track_id: str | None
    body: str
    verdict: Verdict
    job_id: int | None = None
    reason: str | None = None
    endpoint: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def spec(self) -> dict[str, object]:
        """
        The request without its key.
        """
        spec: dict[str, object] = json.loads(self.body)
        return spec


@attrs.frozen
class Upload:
    """
    A picture that was uploaded.

    Attributes:
        at: When it came.

        account: Label of the account.

        endpoint: Where, with the version.

        sha256: Of its bytes, in hex.

        size: In bytes.

        url: Where it lies until it dies; None, if it was refused.
    """

    at: float
    account: str
    endpoint: str
    sha256: str
    size: int
    url: str | None


@attrs.frozen
class Ring:
    """
    A webhook that was called.

    Attributes:
        at: When.

        job_id: Of the job that has ended, whatever was said.

        url: Who was called.

        how: Which way of the settings'.

        status: The answer's code; None where none came.
    """

    at: float
    job_id: int
    url: str
    how: str
    status: int | None


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

        uploads: Every picture that was uploaded.

        rings: Every call of a webhook.

        calls: How often each of the account's own calls was made.

        born: On the monotonic clock, when all times here begin.
    """

    _clock: Callable[[], float]
    born: float = 0.0
    entries: list[Entry] = attrs.field(factory=list)
    jobs: dict[int, Record] = attrs.field(factory=dict)
    polls: int = 0
    downloads: int = 0
    peaks: dict[str, int] = attrs.field(factory=dict)
    strays: list[str] = attrs.field(factory=list)
    uploads: list[Upload] = attrs.field(factory=list)
    rings: list[Ring] = attrs.field(factory=list)
    calls: collections.Counter[str] = attrs.field(factory=collections.Counter)

    def begin(self, record: Record) -> None:
        """
        Write a new job down.
        """
        self.jobs[record.id] = record

    def peak_of(self, account: str, unfinished: int) -> None:
        """
        Write down how many unfinished jobs an account has now.
        """
        self.peaks[account] = max(self.peaks.get(account, 0), unfinished)

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
        What more than one job was begun for: the same endpoint, prompt, seed
        and pictures. By prompt (the first picture, where there is none) and
        seed.
        """
        ids: dict[tuple[object, ...], list[int]] = collections.defaultdict(
            list
        )
        hashes = {each.url: each.sha256 for each in self.uploads}
        for entry in self.accepted:
            spec = entry.spec
            pictures = [
                # The same picture has another link when uploaded again.
                (name, hashes.get(str(value), str(value)))
                for name, value in sorted(spec.items())
                if "image" in name
            ]
            said = spec.get("prompt", pictures[0][1] if pictures else None)
            seed = json.dumps(spec.get("seed"))
            mark = (str(said), seed, entry.endpoint, *pictures)
            if entry.job_id is not None:
                ids[mark].append(entry.job_id)
        return {
            (str(mark[0]), mark[1]): found
            for mark, found in ids.items()
            if len(found) > 1
        }

    @property
    def asked(self) -> dict[str, list[Entry]]:
        """
        Every submit, by endpoint.
        """
        entries: dict[str, list[Entry]] = collections.defaultdict(list)
        for entry in self.entries:
            entries[entry.endpoint].append(entry)
        return dict(entries)

    @property
    def uploaded_twice(self) -> dict[str, int]:
        """
        How often each picture was uploaded that one upload was enough for,
        by its hash.
        """
        counts = collections.Counter(
            each.sha256 for each in self.uploads if each.url is not None
        )
        return {sha256: n for sha256, n in counts.items() if n > 1}

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
            "calls": dict(self.calls),
            "uploads": [attrs.asdict(each) for each in self.uploads],
            "rings": [attrs.asdict(each) for each in self.rings],
            "submits": [
                {
                    "at": entry.at,
                    "account": entry.account,
                    "track_id": entry.track_id,
                    "spec": entry.spec,
                    "verdict": entry.verdict.value,
                    "job_id": entry.job_id,
                    "reason": entry.reason,
                    "endpoint": entry.endpoint,
                    "remarks": list(entry.remarks),
                }
                for entry in self.entries
            ],
            "jobs": [attrs.asdict(job) for job in self.jobs.values()],
        }
