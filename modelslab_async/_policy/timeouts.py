"""
How long we wait for what: every timeout and pause, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from .._fact import Fact
from .._quoting import in_short
from .numbers import is_number, number_faults, refuse


@attrs.frozen(repr=False, kw_only=True)
class Timeouts(Fact):
    """
    How long a client waits for what; all in seconds.

    Attributes:
        connect: For TCP, TLS and a proxy's handshake.

        poll: For the answer to a poll, whole, and for each part of it.

        submit_read:
            For each part of the answer to a submit. Longer than any gateway
            waits (Cloudflare: 100 to 120), so that the verdict comes from
            the service.

        submit: For the whole answer to a submit.

        file_read: For each part of a picture.

        late_link:
            How long the link of a finished picture may be missing: the
            service says that it is done before its store has the file.

        link_retry_first: Until the first look again for such a link.

        link_retry_longest: The most between two looks; each pause doubles.

        retry_first: Before the first retry of what may be repeated.

        retry_longest: The most before a later one; each pause doubles.

        model_loading:
            Before each retry while a model is being loaded, which takes two
            minutes, says the service.

        same_request:
            How long the same-request filter holds a request, where it does
            not say: 30 in its documentation.

        ban: How long a ban lasts that gives no number.

        ban_call: The longest ban that a call waits for.

        ban_batch: The longest pause of a batch for a ban.

        account_probe:
            From a refusal of the account until one call may try again, and
            between the polls of a job that met one.

        not_found:
            How long a job that the service does not know is asked for: right
            after a submit it may not know it yet.

        unknown_slot:
            How long a submit without a verdict keeps its slot at most; less
            where jobs are known to take less.

        bell_grace:
            How long, after the time that a job usually takes, a submit
            without a verdict waits for its webhook; *unknown_slot* in all.

        outage_probe_first: From an outage until the first probe.

        outage_probe_longest: The most between two; each pause doubles.

        outage: Until a batch gives up.

        journal_retry: Between tries of a write that must not be lost.

        close: How long closing waits for submits under way.

        queue_ageing:
            Who waits in the queue for slots gains 1 in priority for each of
            these.

        reopen_first:
            From one slot that gets free to the next, where nothing is known
            of the jobs: 5 slots with jobs of 5 s. A queue that was refused is
            tried again after two or three of these, then ever later.

        reopen_longest: The most until such a try.

        probe_answer:
            How long a request that tries the queue keeps the others waiting.
            Refusals come at once; an acceptance may take as long as the job.

        upload_used:
            How long the URL of an uploaded picture is used: the service
            throws it away after 24 hours.

        quiet_wait:
            How long something may wait before a WARNING, and a batch's
            progress, say what for.

        speed: What all have been divided by; polling divides its own by it.

    Raises:
        ConfigurationError: What is no number of seconds, all of it.
    """

    speed: float = 1.0
    connect: float = 10.0
    poll: float = 30.0
    submit_read: float = 170.0
    submit: float = 180.0
    file_read: float = 30.0
    late_link: float = 120.0
    link_retry_first: float = 0.5
    link_retry_longest: float = 8.0
    retry_first: float = 0.5
    retry_longest: float = 8.0
    model_loading: tuple[float, ...] = (10.0, 30.0, 60.0, 120.0)
    same_request: float = 30.0
    ban: float = 30.0
    ban_call: float = 120.0
    ban_batch: float = 3600.0
    account_probe: float = 30.0
    not_found: float = 30.0
    unknown_slot: float = 120.0
    bell_grace: float = 15.0
    outage_probe_first: float = 5.0
    outage_probe_longest: float = 30.0
    outage: float = 1800.0
    journal_retry: float = 1.0
    close: float = 10.0
    queue_ageing: float = 5.0
    reopen_first: float = 1.0
    reopen_longest: float = 30.0
    probe_answer: float = 5.0
    upload_used: float = 23 * 3600.0
    quiet_wait: float = 10.0

    def __attrs_post_init__(self) -> None:
        refuse("Timeouts", self._faults())

    def _faults(self) -> Iterator[str]:
        for field in attrs.fields(type(self)):
            value: object = getattr(self, field.name)
            if field.name == "model_loading":
                if not isinstance(value, tuple) or not all(
                    is_number(each) and each >= 0 for each in value
                ):
                    given = in_short(value)
                    yield f"{field.name}: a tuple of seconds, not {given}"
            else:
                above = field.name == "speed"
                yield from number_faults(field.name, value, above=above)

    def faster(self, times: float, *, silence: float = 0.0) -> Timeouts:
        """
        All of them divided by *times*, for a simulator that runs as fast.

        Args:
            times: Above 0.

            silence: Seconds that the network may be silent all the same: a
                simulator that runs faster draws its pictures no faster.

        Raises:
            ConfigurationError: *times* is no number above 0.
        """
        refuse("Timeouts.faster", _speed_faults(times, silence))
        timeouts: dict[str, Any] = {
            name: tuple(one / times for one in wait)
            if isinstance(wait, tuple)
            else wait / times
            for name, wait in attrs.asdict(self, recurse=False).items()
        }
        for name in _SILENCES:
            timeouts[name] = max(
                timeouts[name], min(silence, getattr(self, name))
            )
        return Timeouts(**timeouts | {"speed": self.speed * times})


def _speed_faults(times: object, silence: object) -> Iterator[str]:
    yield from number_faults("speed", times, above=True, finite=True)
    yield from number_faults("silence", silence)


#: How long the network, and a machine under load, may take.
_SILENCES = (
    "connect",
    "poll",
    "submit_read",
    "submit",
    "file_read",
    "late_link",
)
