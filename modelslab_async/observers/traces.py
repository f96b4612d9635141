"""
What happens, as spans for OpenTelemetry.
"""

from __future__ import annotations

import time

from collections import OrderedDict
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..events import (
    DownloadFailed,
    Event,
    FileSaved,
    JobAccepted,
    JobFinished,
    JobPolled,
    JobQueued,
    JobResumed,
)
from ..results import JobState


if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider


#: Jobs whose pictures may be saved yet.
_MOST_ENDED = 1000


class OpenTelemetryObserver:
    """
    Makes a span of each job, below the span that its caller is in, with
    children for queue, submit, polls and download.

    Args:
        tracer_provider: Default: the process's own.

    Raises:
        ConfigurationError: opentelemetry-api is not installed.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import trace
        except ImportError:
            raise ConfigurationError(
                "opentelemetry-api is missing: "
                "pip install 'modelslab-async[opentelemetry]'"
            ) from None
        self._trace = trace
        self._tracer = trace.get_tracer(
            "modelslab_async", None, tracer_provider
        )
        #: By track_id, or the id of a job that was taken up by it.
        self._running: dict[str, Span] = {}
        self._ended: OrderedDict[str, Span] = OrderedDict()

    def __call__(self, event: Event) -> None:
        name = event.track_id or getattr(event, "job_id", None)
        if name is None:
            return
        match event:
            case JobQueued() | JobResumed():
                if name not in self._running:
                    self._running[name] = self._begin(event)
            case JobAccepted(job_id=job_id) if name in self._running:
                self._child(name, "queue", event.queued, event.submitting)
                self._child(name, "submit", event.submitting)
                if job_id is not None:
                    span = self._running[name]
                    span.set_attribute("gen_ai.response.id", job_id)
            case JobPolled():
                self._child(name, "poll", event.took, verdict=event.verdict)
            case JobFinished():
                self._finish(name, event)
            case FileSaved():
                self._child(name, "download", event.took, path=event.path)
            case DownloadFailed():
                self._child(name, "download", event.took, failed=event.cause)

    def _begin(self, event: Event) -> Span:
        attributes = {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "modelslab",
            "gen_ai.output.type": "image",
            "modelslab.endpoint": event.endpoint or "",
            "modelslab.track_id": event.track_id or "",
        }
        if event.model_id is not None:
            attributes["gen_ai.request.model"] = event.model_id
        return self._tracer.start_span(
            f"generate {event.model_id or event.endpoint}",
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
        )

    def _child(
        self,
        name: str,
        what: str,
        took: float | None,
        before: float | None = None,
        **attributes: str,
    ) -> None:
        """
        A span that took so many seconds, until now or until *before* now.
        """
        parent = self._running.get(name) or self._ended.get(name)
        if parent is None or took is None:
            return
        end = time.time_ns() - round((before or 0.0) * 1e9)
        span = self._tracer.start_span(
            what,
            self._trace.set_span_in_context(parent),
            start_time=end - round(took * 1e9),
            attributes={f"modelslab.{k}": v for k, v in attributes.items()},
        )
        if "failed" in attributes:
            span.set_status(self._trace.StatusCode.ERROR, attributes["failed"])
        span.end(end)

    def _finish(self, name: str, event: JobFinished) -> None:
        span = self._running.pop(name, None)
        if span is None:
            return
        span.set_attribute("modelslab.state", event.state.value)
        span.set_attribute("modelslab.polls", event.polls)
        if event.noticed is not None:
            span.set_attribute("modelslab.noticed", event.noticed)
        if event.error is not None:
            span.set_attribute("error.type", event.error)
        if event.state is not JobState.SUCCEEDED:
            span.set_status(self._trace.StatusCode.ERROR, event.cause)
        span.end()
        self._ended[name] = span
        if len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)
