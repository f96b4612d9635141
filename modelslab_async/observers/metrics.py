"""
What happens, as metrics for Prometheus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..events import (
    BreakerClosed,
    BreakerOpened,
    CallRetried,
    DownloadFailed,
    DownloadRetried,
    Event,
    FileSaved,
    FileUploaded,
    FreeCallRetried,
    JobAccepted,
    JobFinished,
    JobResumed,
    OutcomeUnknown,
    PollRetried,
    QueueFull,
    SlotsChanged,
    WaitsLong,
)
from ..results import JobState


if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


_KIND = ("endpoint", "model")


#: Name, what it is, labels.
_COUNTERS = (
    ("jobs_accepted", "Requests that the service took.", _KIND),
    ("jobs_finished", "Jobs that ended.", (*_KIND, "outcome")),
    ("outcomes_unknown", "Sent, and no verdict came.", _KIND),
    ("queue_full", "Submits that met a full queue.", ()),
    ("retries", "What was tried again.", ("call", "reason")),
    ("files_saved", "Pictures on disk.", ()),
    ("download_failures", "Pictures not had, or not kept.", ("disk",)),
    ("uploads", "Local pictures uploaded.", ()),
    ("long_waits", "WARNINGs that something waits.", ("reason",)),
)


_GAUGES = (
    ("slots_limit", "Slots that the account is thought to have.", ()),
    ("slots_in_use", "Slots that are ours.", ()),
    ("slots_waiting", "Requests in the queue.", ()),
    ("jobs_unfinished", "Jobs that are watched.", ()),
    ("breaker_open", "Whether requests are held back.", ("breaker",)),
)


#: With the bounds of their buckets.
_LONG = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600, 1800)
_SHORT = (0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_HISTOGRAMS = (
    ("queue_duration_seconds", "Wait for a slot.", (), _LONG),
    ("submit_duration_seconds", "From slot to acceptance.", _KIND, _SHORT),
    ("job_duration_seconds", "From acceptance to its end.", _KIND, _LONG),
    ("poll_overshoot_seconds", "How late an end was seen.", _KIND, _SHORT),
    ("polls_per_job", "Polls until the end.", _KIND, (1, 2, 3, 5, 8, 13, 30)),
    ("eta_ratio", "Time over its first guess.", _KIND, (0.3, 0.7, 1, 1.5, 3)),
    ("download_duration_seconds", "For a job's pictures.", (), _SHORT),
)


class PrometheusObserver:
    """
    Counts and measures what its client does, as ``modelslab_…``.

    Args:
        registry: Default: `prometheus_client.REGISTRY`.

    Raises:
        ConfigurationError: prometheus_client is not installed.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError:
            raise ConfigurationError(
                "prometheus_client is missing: "
                "pip install 'modelslab-async[prometheus]'"
            ) from None
        where = prometheus.REGISTRY if registry is None else registry
        self._counts = {
            name: prometheus.Counter(
                f"{_PREFIX}{name}", what, labels, registry=where
            )
            for name, what, labels in _COUNTERS
        }
        self._gauges = {
            name: prometheus.Gauge(
                f"{_PREFIX}{name}", what, labels, registry=where
            )
            for name, what, labels in _GAUGES
        }
        self._times = {
            name: prometheus.Histogram(
                f"{_PREFIX}{name}", what, labels, registry=where, buckets=most
            )
            for name, what, labels, most in _HISTOGRAMS
        }

    def __call__(self, event: Event) -> None:
        kind = (event.endpoint or "", event.model_id or "")
        match event:
            case JobAccepted():
                self._count("jobs_accepted", *kind)
                self._gauges["jobs_unfinished"].inc()
                self._time("queue_duration_seconds", event.queued)
                self._time("submit_duration_seconds", event.submitting, *kind)
            case JobResumed():
                self._gauges["jobs_unfinished"].inc()
            case JobFinished():
                self._count("jobs_finished", *kind, event.state.value)
                if event.job_id is not None:
                    self._gauges["jobs_unfinished"].dec()
                if event.state is JobState.SUCCEEDED:
                    self._time("job_duration_seconds", event.elapsed, *kind)
                    self._time("poll_overshoot_seconds", event.noticed, *kind)
                    self._time("polls_per_job", event.polls, *kind)
                    if event.eta:
                        ratio = event.elapsed / event.eta
                        self._time("eta_ratio", ratio, *kind)
            case OutcomeUnknown():
                self._count("outcomes_unknown", *kind)
            case CallRetried():
                self._count("retries", "submit", event.reason)
            case PollRetried():
                self._count("retries", "poll", "")
            case DownloadRetried():
                self._count("retries", "download", "")
            case FreeCallRetried():
                self._count("retries", "free", "")
            case _:
                self._of_the_client(event)

    def _of_the_client(self, event: Event) -> None:
        match event:
            case QueueFull():
                self._count("queue_full")
            case SlotsChanged():
                self._gauges["slots_limit"].set(event.limit)
                self._gauges["slots_in_use"].set(event.held)
                self._gauges["slots_waiting"].set(event.waiting)
            case BreakerOpened():
                self._gauges["breaker_open"].labels(event.breaker).set(1)
            case BreakerClosed():
                self._gauges["breaker_open"].labels(event.breaker).set(0)
            case FileSaved():
                self._count("files_saved")
                self._time("download_duration_seconds", event.took)
            case DownloadFailed():
                self._count("download_failures", str(event.disk).lower())
            case FileUploaded():
                self._count("uploads")
            case WaitsLong():
                self._count("long_waits", event.reason)

    def _count(self, name: str, *labels: str) -> None:
        count = self._counts[name]
        (count.labels(*labels) if labels else count).inc()

    def _time(self, name: str, value: float | None, *labels: str) -> None:
        if value is not None:
            times = self._times[name]
            (times.labels(*labels) if labels else times).observe(value)


_PREFIX = "modelslab_"
