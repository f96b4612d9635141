"""
Every wait of ours, in one place.
"""

from __future__ import annotations

import math

from typing import Any

import attrs

from ..errors import ConfigurationError


@attrs.frozen(kw_only=True)
class Timeouts:
    """
    Every wait of ours, in seconds.

    Attributes:
        speed:
            What all have been divided by; polling divides its own by it.
    """

    speed: float = 1.0
    #: TCP, TLS and proxy handshake.
    connect: float = 10.0
    #: Silence of a poll, and how long a poll may take in all.
    poll: float = 30.0
    #: Silence of a submit: longer than any gateway (Cloudflare: 100 to 120 s),
    #: so that the verdict comes from the service.
    submit_read: float = 170.0
    submit: float = 180.0
    #: Silence of a download.
    file_read: float = 30.0
    #: How long a finished picture's link may be missing, and between looks.
    late_link: float = 120.0
    late_first: float = 0.5
    late_most: float = 8.0
    #: Backoff of what may be repeated: first and longest.
    retry_first: float = 0.5
    retry_most: float = 8.0
    #: A model that has to be loaded first, try by try.
    loading: tuple[float, ...] = (10.0, 30.0, 60.0, 120.0)
    #: The same-request filter, where it does not say.
    same_request: float = 30.0
    #: A ban without a number, and how long a call or a batch waits for one.
    ban: float = 30.0
    ban_call: float = 120.0
    ban_batch: float = 3600.0
    #: After a no to the account: until a probe, and between polls.
    account: float = 30.0
    #: How long an unknown job is asked for.
    not_found: float = 30.0
    #: How long a submit without a verdict keeps its slot, at most.
    unknown_slot: float = 120.0
    #: Between probes under the brake, and until a batch gives up.
    outage_first: float = 5.0
    outage_most: float = 30.0
    outage: float = 1800.0
    #: Between tries of a write that must not be lost.
    insist: float = 1.0
    #: How long leaving waits for submits under way.
    leave: float = 10.0
    #: The line for slots: a place gains 1 for each of these; jitter of a
    #: closed line; how long an unanswered probe keeps it closed.
    ageing: float = 5.0
    reopen_first: float = 1.0
    reopen_most: float = 30.0
    probe: float = 5.0

    def faster(self, times: float, *, silence: float = 0.0) -> Timeouts:
        """
        All waits divided by *times*, for a simulator that runs as fast.

        Args:
            times: Above 0.

            silence: Seconds that the network may be silent all the same: a
                simulator that runs faster draws its pictures no faster.

        Raises:
            ConfigurationError: *times* is no number above 0.
        """
        if not (math.isfinite(times) and times > 0):
            msg = f"speed must be a number above 0, not {times!r}"
            raise ConfigurationError(msg)
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


#: How long the network, and a machine under load, may take.
_SILENCES = (
    "connect",
    "poll",
    "submit_read",
    "submit",
    "file_read",
    "late_link",
)
