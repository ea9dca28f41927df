"""Traces: a real collector's protocol on the other side."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from resilience_site.tracing import route_of
from tests.ai_faults import far_ai
from tests.gateway_process import Gateway
from tests.waiting import HANGS

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CANARY = "canary-7391"


class Collector(ThreadingHTTPServer):
    """Takes spans as OTLP over HTTP has them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.raw: list[bytes] = []

    def spans(self) -> list[Any]:
        found = [ExportTraceServiceRequest.FromString(body) for body in self.raw]
        return [span for each in found for part in each.resource_spans for scope in part.scope_spans for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Collector)
        self.server.raw.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_write_has_a_span_below_the_callers_without_a_value_in_it(make_gateway: Any, collector: Collector):
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    gateway: Gateway = make_gateway(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="100")
    gateway.sql("CREATE TABLE public.notes (id int PRIMARY KEY, body text)")
    gateway.sql("GRANT ALL ON public.notes TO service_role")
    gateway.start()
    with gateway.client() as client:
        client.headers["traceparent"] = f"00-{TRACE}-{PARENT}-01"
        made = client.post(f"/rest/v1/notes?select=id&body=eq.{CANARY}", json={"id": "1.0", "body": CANARY})
        assert made.status_code == 201, made.text
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/metrics/summary").status_code == 200
    until = time.monotonic() + HANGS
    while len(collector.spans()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"POST /rest/v1/{table}", "GET /api/v1/metrics/summary"}
    span = spans["POST /rest/v1/{table}"]
    assert span.trace_id.hex() == TRACE and span.parent_span_id.hex() == PARENT
    said = {attribute.key: attribute.value.string_value or attribute.value.int_value for attribute in span.attributes}
    assert said["http.route"] == "/rest/v1/{table}" and said["mendgate.healed"].startswith("cast(")
    assert said["mendgate.receipt"] == made.headers["mendgate-receipt"]
    assert not [body for body in collector.raw if CANARY.encode() in body]


def test_a_collector_that_is_away_stops_nothing(make_gateway: Any):
    gateway: Gateway = make_gateway(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    gateway.start()
    with gateway.client() as client:
        assert client.get("/rest/v1/nowhere").status_code == 404
    gateway.stop()


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/rest/v1/orders", "/rest/v1/{table}"),
        ("/rest/v1/rpc/add", "/rest/v1/rpc/{function}"),
        ("/api/v1/quarantine/7", "/api/v1/quarantine/{id}"),
        ("/api/v1/receipts/7/undo", "/api/v1/receipts/{id}"),
        ("/v1/chat/completions", "/v1/chat/completions"),
    ],
)
def test_names_of_spans_do_not_differ_from_call_to_call(path: str, route: str):
    assert route_of(path) == route


def test_an_ai_call_carries_the_trace_on_to_the_service(make_gateway: Any, collector: Collector):
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    with far_ai() as far:
        given = {"AI_BASE_URL": far.base_url(), "AI_API_KEY": "sk-far", "AI_MODEL": "small", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        gateway: Gateway = make_gateway(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **given)
        gateway.start()
        with gateway.client() as client:
            client.headers["traceparent"] = f"00-{TRACE}-{PARENT}-01"
            said = client.post("/v1/chat/completions", json={"model": "small", "messages": [{"role": "user", "content": CANARY}]})
            assert said.status_code == 200, said.text
        carried = far.asked[-1].headers["traceparent"]
        gateway.stop()
    until = time.monotonic() + HANGS
    while not {"POST", "POST /v1/chat/completions"} <= {span.name for span in collector.spans()} and time.monotonic() < until:
        time.sleep(0.05)
    spans = {span.name: span for span in collector.spans()}
    asked, sent = spans["POST /v1/chat/completions"], spans["POST"]
    assert sent.parent_span_id == asked.span_id and asked.parent_span_id.hex() == PARENT
    assert carried == f"00-{TRACE}-{sent.span_id.hex()}-01"
    assert not [body for body in collector.raw if CANARY.encode() in body]
