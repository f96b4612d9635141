"""
The ready observers, with the real libraries; and their page, which shows what
was seen here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry, generate_latest

from modelslab_async import JobState, ModelsLab, TextToImage, Timeouts
from modelslab_async.errors import (
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    InvalidRequestError,
    OutcomeUnknownError,
    PaymentRequiredError,
)
from modelslab_async.events import (
    BatchStopped,
    DoorbellTrusted,
    DownloadFailed,
    DownloadRetried,
    Event,
    FileSaved,
    JobAccepted,
    JobFinished,
    JobPolled,
    JobQueued,
    JobResumed,
    JobSubmitted,
    Observer,
    PollRetried,
    QueueFull,
    SlotsChanged,
)
from modelslab_async.observers import (
    LogObserver,
    OpenTelemetryObserver,
    PrometheusObserver,
)
from modelslab_async.simulator import (
    Fault,
    KeyState,
    Latency,
    Reply,
    Simulator,
)
from modelslab_async.webhooks import Doorbell


pytestmark = pytest.mark.asyncio

PROMPT = "a secret wish of the caller's"
CAT = TextToImage(PROMPT, model_id="flux")
TIMEOUTS = Timeouts().faster(100, silence=5.0)
LOADING = Reply(200, {"status": "error", "message": "Try Again"})
PAGE = (Path(__file__).parent.parent / "docs" / "observing.md").read_text()


def client(simulator: Simulator, *observers: Observer) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=TIMEOUTS,
        observers=observers,
    )


async def usual(
    simulator: Simulator, tmp_path: Path, *observers: Observer
) -> None:
    """
    A job whose model has to be loaded first, saved; then one that fails. Both
    are asked for, on any machine: they run on after the answer.
    """
    simulator.change(latency=Latency.constant(20.0))
    simulator.next("submit", LOADING)
    async with client(simulator, *observers) as lab:
        generation = await lab.generate(CAT)
        await lab.download(generation, tmp_path)
        simulator.change(failing=("burns",))
        with pytest.raises(GenerationFailedError):
            await lab.generate(TextToImage("it burns", model_id="flux"))


def shape(line: str) -> str:
    """
    A line without what differs from run to run.
    """
    line = re.sub(r"/\S*/", "/", line)
    return re.sub(r"\d+(\.\d+)?(e[+-]\d+)?", "0", line.strip())


def shown(first: str) -> list[str]:
    """
    The lines of the page's block that begins so.
    """
    (block,) = (
        text
        for text in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
        if text.startswith(first)
    )
    return [shape(line) for line in block.splitlines() if line.strip()]


# Facts


def of(seen: list[Event], *kinds: type[Event]) -> list[Event]:
    return [event for event in seen if isinstance(event, kinds)]


async def test_a_job_is_told_from_queue_to_file(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Each stage of a job is a fact with its endpoint and model, and tells what
    it took.
    """
    seen: list[Event] = []
    simulator.change(latency=Latency.constant(3.0))
    async with client(simulator, seen.append) as lab:
        generation = await lab.generate(CAT)
        await lab.download(generation, tmp_path)

    kinds = (JobQueued, JobSubmitted, JobAccepted, JobFinished, FileSaved)
    stages = of(seen, *kinds)
    assert [type(event) for event in stages] == list(kinds)
    assert {event.track_id for event in stages} == {generation.track_id}
    assert {
        (event.endpoint, event.model_id)
        for event in of(seen, *kinds[:-1], JobPolled)
    } == {("text2img", "flux")}
    _, submitted, accepted, finished, saved = stages
    assert isinstance(submitted, JobSubmitted)
    assert isinstance(accepted, JobAccepted)
    assert isinstance(finished, JobFinished)
    assert isinstance(saved, FileSaved)
    assert submitted.tries == 1
    assert None not in {accepted.queued, accepted.submitting, saved.took}
    assert finished.state is JobState.SUCCEEDED
    assert finished.error is None
    assert finished.running is not None
    assert finished.noticed is not None
    assert finished.running + finished.noticed == pytest.approx(
        finished.elapsed
    )
    polls = of(seen, JobPolled)
    assert isinstance(polls[-1], JobPolled)
    assert polls[-1].verdict == "DONE"
    assert polls[-1].took is not None
    slots = of(seen, SlotsChanged)
    assert isinstance(slots[-1], SlotsChanged)
    assert (slots[-1].held, slots[-1].waiting) == (0, 0)


@pytest.mark.usefixtures("hurried")
async def test_refusals_and_failures_have_their_cause(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A full queue says how many are ours, a poll and a download why they are
    repeated, a job why it failed.
    """
    seen: list[Event] = []
    simulator.occupy("a-key", 5)
    simulator.next("fetch", Reply(502, b"<html>bad gateway"))
    simulator.next("file", Fault.MISSING, times=2)
    async with client(simulator, seen.append) as lab:
        call = asyncio.ensure_future(lab.generate(CAT))
        while not lab.stats().refusals:
            await asyncio.sleep(0)
        simulator.vacate("a-key")
        await lab.download(await call, tmp_path)
        simulator.change(failing=("burns",))
        with pytest.raises(GenerationFailedError):
            await lab.generate(TextToImage("it burns", model_id="flux"))

    full, *_ = of(seen, QueueFull)
    poll, *_ = of(seen, PollRetried)
    late, *_ = of(seen, DownloadRetried)
    failed = of(seen, JobFinished)[-1]
    assert isinstance(full, QueueFull)
    assert isinstance(poll, PollRetried)
    assert isinstance(late, DownloadRetried)
    assert isinstance(failed, JobFinished)
    assert (full.held, full.endpoint) == (0, "text2img")
    assert "502" in poll.cause
    assert "404" in late.cause
    assert failed.error == "GenerationFailedError"
    assert failed.cause


async def test_pictures_that_are_not_had_are_told(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A download that fails says so, and that the disk is not to blame.
    """
    seen: list[Event] = []
    simulator.next("file", Reply(410, b"gone"), times=10**6)
    async with client(simulator, seen.append) as lab:
        generation = await lab.generate(CAT)
        with pytest.raises(DownloadError):
            await lab.download(generation, tmp_path)

    (failed,) = of(seen, DownloadFailed)
    assert isinstance(failed, DownloadFailed)
    assert (failed.job_id, failed.disk) == (generation.id, False)
    assert "410" in failed.cause


async def test_jobs_by_id_and_jobs_left_behind(simulator: Simulator) -> None:
    """
    Who counts jobs hears of those that were taken up, and of those that a
    closed client stops watching.
    """
    seen: list[Event] = []
    simulator.change(latency=Latency.constant(1000.0))
    async with client(simulator) as other:
        job = await other.submit(CAT)
    async with client(simulator, seen.append) as lab:
        await lab.job(job.handle).refresh()

    resumed, finished = of(seen, JobResumed, JobFinished)
    assert resumed.track_id == finished.track_id == job.track_id
    assert isinstance(finished, JobFinished)
    assert finished.state is JobState.UNFINISHED


async def test_a_batch_that_stops_early_says_why(simulator: Simulator) -> None:
    """
    By the error that stopped it; one that is used up has nothing to say.
    """
    seen: list[Event] = []
    async with client(simulator, seen.append) as lab:
        await lab.batch([CAT])
        assert of(seen, BatchStopped) == []
        simulator.change(keys={"a-key": KeyState.NO_CREDIT})
        async with lab.batch([CAT, CAT]) as batch:
            assert not any([one.ok async for one in batch])

    (stopped,) = of(seen, BatchStopped)
    assert isinstance(stopped, BatchStopped)
    assert stopped.cause == str(batch.stopped)


@pytest.mark.usefixtures("hurried")
async def test_bells_that_do_not_ring_are_told(simulator: Simulator) -> None:
    """
    Once two in a row were silent, and again when one rings.
    """
    seen: list[Event] = []
    bell = Doorbell("http://127.0.0.1:9/hooks", "a-secret-that-nobody-knows")
    async with ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=TIMEOUTS,
        doorbell=bell,
        observers=[seen.append],
    ) as lab:
        for _ in range(3):
            await lab.generate(CAT)

    assert [
        one.trusted for one in seen if isinstance(one, DoorbellTrusted)
    ] == [False]


# Logs


@pytest.mark.usefixtures("hurried")
async def test_logs(
    simulator: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    DEBUG for submits, polls and waits, INFO for jobs, WARNING for what needs
    a person, as the page shows; prompts nowhere, though the service repeats
    them.
    """
    caplog.set_level(logging.DEBUG, "modelslab_async.events")

    await usual(simulator, tmp_path, LogObserver())

    lines = [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if record.name == "modelslab_async.events"
    ]
    assert set(shown("DEBUG")) <= set(map(shape, lines))
    assert PROMPT not in "\n".join(lines)
    assert "it burns" not in "\n".join(lines)
    levels = {line.split()[1]: line.split()[0] for line in lines}
    assert levels["JobPolled"] == levels["CallRetried"] == "DEBUG"
    assert levels["JobAccepted"] == levels["FileSaved"] == "INFO"
    assert levels["JobFinished"] == "WARNING"
    events = [
        record.__dict__["event"]
        for record in caplog.records
        if record.name == "modelslab_async.events"
    ]
    assert all(isinstance(event, Event) for event in events)


async def test_prompts_that_the_service_repeats_are_not_logged(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Its words are told, the caller's are not.
    """
    caplog.set_level(logging.DEBUG, "modelslab_async.events")
    busy = {"status": "error", "message": f"busy: {PROMPT} is too long"}
    simulator.next("submit", Reply(503, busy))
    simulator.next("submit", Reply(400, busy))
    async with client(simulator, LogObserver()) as lab:
        with pytest.raises(InvalidRequestError):
            await lab.generate(CAT)

    assert caplog.text.count("busy: … is too long") == 2
    assert PROMPT not in caplog.text


@pytest.mark.parametrize("status", [500, 402])
async def test_nor_in_warnings_without_an_observer(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """
    So it is with what is logged of unknown outcomes, and of the account.
    """
    caplog.set_level(logging.DEBUG, "modelslab_async")
    words = {"status": "error", "message": f"sorry: {PROMPT} did not work"}
    simulator.next("submit", Reply(status, words))
    async with client(simulator, LogObserver()) as lab:
        with pytest.raises((OutcomeUnknownError, PaymentRequiredError)):
            await lab.generate(CAT)

    assert "sorry: … did not work" in caplog.text
    assert PROMPT not in caplog.text


async def test_an_unknown_outcome_is_a_warning(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Money may be lost: a person has to look.
    """
    own = logging.getLogger("a.logger.of.ones.own")
    simulator.next("submit", Fault.GATEWAY_TIMEOUT)
    async with client(simulator, LogObserver(own)) as lab:
        with pytest.raises(OutcomeUnknownError):
            await lab.generate(CAT)

    told = [r for r in caplog.records if r.name == own.name]
    assert [
        r.levelno for r in told if "OutcomeUnknown " in r.msg % r.args
    ] == [logging.WARNING]


# Metrics


@pytest.mark.usefixtures("hurried")
async def test_metrics(simulator: Simulator, tmp_path: Path) -> None:
    """
    What an operator scrapes is what the page shows.
    """
    registry = CollectorRegistry()

    await usual(simulator, tmp_path, PrometheusObserver(registry))

    text = generate_latest(registry).decode()
    assert set(shown("modelslab_")) <= set(map(shape, text.splitlines()))
    value = registry.get_sample_value
    kind = {"endpoint": "text2img", "model": "flux"}
    finished = "modelslab_jobs_finished_total"
    assert value(finished, kind | {"outcome": "succeeded"}) == 1
    assert value(finished, kind | {"outcome": "failed"}) == 1
    assert value("modelslab_jobs_accepted_total", kind) == 2
    assert value("modelslab_jobs_unfinished") == 0
    assert value("modelslab_slots_in_use") == 0
    assert value("modelslab_slots_limit") is not None
    assert value("modelslab_job_duration_seconds_count", kind) == 1
    assert value("modelslab_queue_duration_seconds_count") == 2
    assert value("modelslab_download_duration_seconds_count") == 1
    retried = {"call": "submit", "reason": "LOADING"}
    assert value("modelslab_retries_total", retried) == 1


# Traces


@attrs.frozen
class Traced:
    provider: TracerProvider
    exporter: InMemorySpanExporter

    def spans(self) -> dict[str, list[ReadableSpan]]:
        found: dict[str, list[ReadableSpan]] = {}
        for span in self.exporter.get_finished_spans():
            found.setdefault(span.name, []).append(span)
        return found


@pytest.fixture
def traced() -> Traced:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traced(provider, exporter)


def drawn(span: ReadableSpan, of: list[ReadableSpan], depth: int = 0) -> str:
    """
    A span and those below it, one a line, repeated ones once.
    """
    lines = {f"{'  ' * depth}{span.name}": None}
    below = [
        one
        for one in of
        if one.parent is not None
        and span.context is not None
        and one.parent.span_id == span.context.span_id
    ]
    for one in sorted(below, key=lambda one: one.start_time or 0):
        lines[drawn(one, of, depth + 1)] = None
    return "\n".join(lines)


async def test_traces(
    simulator: Simulator, tmp_path: Path, traced: Traced
) -> None:
    """
    A job is a span below its caller's, with children for each stage, as the
    page shows.
    """
    tracer = traced.provider.get_tracer("a service")
    with tracer.start_as_current_span("GET /pictures"):
        await usual(
            simulator, tmp_path, OpenTelemetryObserver(traced.provider)
        )

    spans = traced.spans()
    (caller,) = spans["GET /pictures"]
    good, bad = spans["generate flux"]
    assert good.parent is not None
    assert good.parent == bad.parent == caller.context
    every = [one for some in spans.values() for one in some if one is not bad]
    assert drawn(caller, every).splitlines() == [
        line.rstrip()
        for line in re.findall(
            r"```text\n(GET /pictures.*?)```", PAGE, re.DOTALL
        )[0].splitlines()
    ]
    assert good.attributes is not None
    assert good.attributes["gen_ai.request.model"] == "flux"
    assert good.attributes["gen_ai.response.id"]
    assert good.attributes["modelslab.state"] == "succeeded"
    assert bad.status.status_code is StatusCode.ERROR
    assert PROMPT not in "".join(one.to_json() for one in every)


async def test_each_caller_is_the_parent_of_its_own_job(
    simulator: Simulator, traced: Traced
) -> None:
    """
    Calls at once do not mix, though one loop asks for all their jobs.
    """
    tracer = traced.provider.get_tracer("a service")
    observer = OpenTelemetryObserver(traced.provider)
    async with client(simulator, observer) as lab:

        async def request(name: str) -> None:
            with tracer.start_as_current_span(name):
                await lab.generate(CAT)

        await asyncio.gather(request("a"), request("b"))

    spans = traced.spans()
    jobs = spans["generate flux"]
    assert parents(jobs) == ids(spans["a"] + spans["b"])
    assert parents(spans["poll"]) == ids(jobs)


def ids(spans: list[ReadableSpan]) -> set[int]:
    return {one.context.span_id for one in spans if one.context is not None}


def parents(spans: list[ReadableSpan]) -> set[int]:
    return {one.parent.span_id for one in spans if one.parent is not None}


@pytest.mark.parametrize(
    ("make", "library"),
    [
        (PrometheusObserver, "prometheus_client"),
        (OpenTelemetryObserver, "opentelemetry"),
    ],
)
async def test_a_missing_library_is_named(
    make: Callable[[], object], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who lacks an extra is told what to install.
    """
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(ConfigurationError, match="pip install"):
        make()
