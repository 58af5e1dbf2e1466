"""Observers on the real libraries: structlog, prometheus-client, OpenTelemetry, Sentry; one by one, and all at once."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from redouble import RetryBudget, constant, override, retry, transient
from redouble.testing import fake_time, scripted

structlog = pytest.importorskip("structlog", reason="pip install structlog")
prometheus_client = pytest.importorskip("prometheus_client", reason="pip install prometheus-client")
pytest.importorskip("opentelemetry.sdk", reason="pip install opentelemetry-sdk")
sentry_sdk = pytest.importorskip("sentry_sdk", reason="pip install sentry-sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from redouble.adapters import opentelemetry as otel
from redouble.adapters.prometheus import RetryMetrics
from redouble.adapters.sentry import Breadcrumbs
from redouble.adapters.structlog import LogRetries

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "reset by https://me:hunter2@example.org/?token=hunter2"


def sampled(registry: Any) -> dict[tuple[str, ...], float]:
    """All samples of a registry, by name and labels' values."""
    found = {}
    for metric in registry.collect():
        for sample in metric.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


class TestStructlog:
    def test_a_retry_is_an_event_with_fields(self) -> None:
        """Each retry is one info event, each give-up one warning, with the event's fields and the masked error."""
        with structlog.testing.capture_logs() as logs, fake_time(), suppress(ConnectionResetError):
            retry(attempts=2, observers=[LogRetries()], name="fetch").call(
                scripted(*[ConnectionResetError(SECRET)] * 2)
            )
        first, last = logs
        assert (first["event"], first["log_level"], first["call"], first["delay"]) == ("retry", "info", "fetch", 0.05)
        assert (last["event"], last["log_level"], last["reason"]) == ("gave up", "warning", "ATTEMPTS")
        assert "hunter2" not in str(logs) and first["error"].startswith(
            "ConnectionResetError: reset by https://me:***@"
        )

    def test_it_takes_the_place_of_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        """The logger `redouble` says nothing besides."""
        with structlog.testing.capture_logs() as logs, fake_time():
            retry(observers=[LogRetries()]).call(scripted(TimeoutError(), 1))
        assert len(logs) == 2 and not caplog.records

    def test_a_bound_logger_keeps_what_it_has_bound(self) -> None:
        """A logger of the caller's own is used as it is."""
        with structlog.testing.capture_logs() as logs, fake_time():
            bound = structlog.get_logger().bind(tenant="a")
            retry(observers=[LogRetries(bound)]).call(scripted(TimeoutError(), 1))
        assert {entry["tenant"] for entry in logs} == {"a"}

    def test_what_was_not_retried_is_not_logged(self) -> None:
        """An error that is permanent on the first attempt makes no event."""
        with structlog.testing.capture_logs() as logs, suppress(ValueError):
            retry(observers=[LogRetries()]).call(scripted(ValueError()))
        assert logs == []

    def test_something_else_is_refused(self) -> None:
        """A logger needs `info` and `warning`."""
        with pytest.raises(TypeError, match="logger must be a structlog logger or None, got 'redouble'"):
            LogRetries("redouble")


class TestPrometheus:
    def test_calls_attempts_waits_and_reasons(self) -> None:
        """Three calls, one of which succeeds at once, one after a retry, and one gives up."""
        registry = prometheus_client.CollectorRegistry()
        policy = retry(attempts=3, backoff=constant(2), observers=[RetryMetrics(registry)], name="fetch")
        with fake_time():
            policy.call(scripted(1))
            policy.call(scripted(TimeoutError(), 1))
            with suppress(TimeoutError):
                policy.call(scripted(*[TimeoutError()] * 3))
        seen = sampled(registry)
        assert seen["redouble_calls_total", "fetch", "success"] == 1
        assert seen["redouble_calls_total", "fetch", "success after retries"] == 1
        assert seen["redouble_calls_total", "fetch", "gave up"] == 1
        assert seen["redouble_give_ups_total", "fetch", "attempts"] == 1
        assert seen["redouble_attempts_total", "fetch"] == 6
        assert seen["redouble_wait_seconds_count", "fetch"] == 3 and seen["redouble_wait_seconds_sum", "fetch"] == 6

    def test_tokens_of_a_budget(self) -> None:
        """A watched budget shows its tokens at the time of asking."""
        registry = prometheus_client.CollectorRegistry()
        budget = RetryBudget(burst=2, trickle=0, name="payments", clock=lambda: 0.0)
        RetryMetrics(registry).watch(budget)
        budget.take()
        assert sampled(registry)["redouble_budget_tokens", "payments"] == 1

    def test_a_budget_without_a_name_needs_one(self) -> None:
        """The label has to come from somewhere."""
        with pytest.raises(ValueError, match="name must be a label where the budget has no name, got None"):
            RetryMetrics(prometheus_client.CollectorRegistry()).watch(RetryBudget())


class TestSentry:
    def test_breadcrumbs_stand_before_the_error(self) -> None:
        """An error that is reported at the end has its retries as breadcrumbs, masked."""
        sent: list[Any] = []
        dropped = {"before_send": lambda event, hint: sent.append(event)}
        sentry_sdk.init(dsn="http://key@127.0.0.1/1", default_integrations=False, **dropped)
        try:
            with fake_time():
                try:
                    retry(attempts=2, observers=[Breadcrumbs()]).call(scripted(*[ConnectionResetError(SECRET)] * 2))
                except ConnectionResetError:
                    sentry_sdk.capture_exception()
        finally:
            sentry_sdk.get_client().close()
            sentry_sdk.init()
        crumbs = sent[0]["breadcrumbs"]["values"]
        assert [crumb["level"] for crumb in crumbs] == ["info", "warning"]
        assert "hunter2" not in str(crumbs) and "trying again in 0.05 s" in crumbs[0]["message"]
        assert crumbs[1]["data"]["reason"] == "ATTEMPTS"


class TestOpenTelemetry:
    @pytest.fixture
    def spans(self) -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
        """A provider of tracers that keeps its spans in memory."""
        provider, kept = TracerProvider(), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        yield provider, kept
        provider.shutdown()

    def test_a_span_per_attempt_and_an_event_per_retry(
        self, spans: tuple[TracerProvider, InMemorySpanExporter]
    ) -> None:
        """The caller's span has the retries as events, its children are the attempts, of which the first has its error."""
        provider, kept = spans
        server = scripted(ConnectionResetError(SECRET), 42)

        @retry(observers=[otel.SpanEvents()])
        def fetch() -> int:
            with otel.attempt_span("GET", provider):
                return server()

        with fake_time(), provider.get_tracer("shop").start_as_current_span("checkout"):
            assert fetch() == 42
        first, second, checkout = kept.get_finished_spans()
        assert [span.attributes["redouble.attempt"] for span in (first, second)] == [1, 2]
        assert first.parent.span_id == second.parent.span_id == checkout.context.span_id
        assert first.events[0].name == "exception"
        again, done = checkout.events
        assert (again.name, again.attributes["error.type"], again.attributes["redouble.delay"]) == (
            "retry", "ConnectionResetError", 0.05,
        )  # fmt: skip
        assert done.name == "succeeded after retries" and "hunter2" not in str(checkout.events)

    def test_metrics(self) -> None:
        """Durations and attempts by outcome, and the waits."""
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader])
        policy = retry(attempts=2, backoff=constant(2), observers=[otel.RetryMetrics(provider)], name="fetch")
        with fake_time():
            policy.call(scripted(TimeoutError(), 1))
            with suppress(TimeoutError):
                policy.call(scripted(*[TimeoutError()] * 2))
        found = measured(reader)
        provider.shutdown()
        assert found["redouble.call.attempts", "success after retries"] == (1, 2)
        assert found["redouble.call.duration", "gave up"] == (1, 2.0)
        assert found["redouble.retry.delay", ""] == (2, 4.0)


def measured(reader: InMemoryMetricReader) -> dict[tuple[str, str], tuple[int, float]]:
    """The count and the sum of each histogram, by its name and outcome."""
    data: Any = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return {
        (metric.name, point.attributes.get("redouble.outcome", "")): (point.count, point.sum)
        for metric in metrics
        for point in metric.data.data_points
    }


# All at once, on real sockets.


@pytest.fixture
def upstream() -> Iterator[tuple[str, Counter[int]]]:
    """A service that answers 503, 500, 200, 200 in turn, and counts its answers."""
    answers, counted = cycle([503, 500, 200, 200]), Counter[int]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next(answers)
            counted[status] += 1
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", counted
        server.shutdown()
        thread.join()


def test_all_numbers_agree_with_those_of_the_upstream(upstream: tuple[str, Counter[int]]) -> None:
    """A service's scraped metrics, its spans and its log tell as many attempts and failures as its upstream saw."""
    url, answered = upstream
    registry, reader, kept = prometheus_client.CollectorRegistry(), InMemoryMetricReader(), InMemorySpanExporter()
    traces, meters = TracerProvider(), MeterProvider([reader])
    traces.add_span_processor(SimpleSpanProcessor(kept))
    observers = [RetryMetrics(registry), otel.RetryMetrics(meters), otel.SpanEvents(), LogRetries()]
    tracer = traces.get_tracer("service")

    @retry(backoff=constant(0.001), on=transient(urllib.error.HTTPError))
    def fetch() -> int:
        with otel.attempt_span("GET", traces), urllib.request.urlopen(url, timeout=5) as response:
            status: int = response.status
            return status

    metrics, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    with structlog.testing.capture_logs() as logs, override(observers=observers):
        for _ in range(10):
            with tracer.start_as_current_span("request"):
                assert fetch() == 200
    scraped = urllib.request.urlopen(f"http://127.0.0.1:{metrics.server_port}/metrics", timeout=5).read().decode()
    metrics.shutdown()
    metrics.server_close()
    thread.join()
    spans, counts = kept.get_finished_spans(), measured(reader)
    traces.shutdown()
    meters.shutdown()

    requests, failures = answered.total(), answered[503] + answered[500]
    assert requests == 20 and failures == 10
    attempts = [span for span in spans if span.name == "GET"]
    assert len(attempts) == requests
    assert sum(not span.status.is_ok for span in attempts) == failures
    assert sum(event.name == "retry" for span in spans for event in span.events) == failures
    assert [entry["event"] for entry in logs].count("retry") == failures
    label = fetch.__qualname__
    assert f'redouble_attempts_total{{call="{label}"}} {requests}.0' in scraped
    assert f'redouble_wait_seconds_count{{call="{label}"}} {failures}.0' in scraped
    assert f'redouble_calls_total{{call="{label}",outcome="success"}} 5.0' in scraped
    assert counts["redouble.call.attempts", "success"] == (5, 5)
    assert counts["redouble.call.attempts", "success after retries"] == (5, 15)
