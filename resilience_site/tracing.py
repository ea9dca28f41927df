"""Traces for those who collect them: OpenTelemetry over HTTP, where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set.

A span for each request, a child of the caller's (``traceparent``); the AI gateway's calls are its children and carry the trace on. A span
holds no query and no value: filters and payloads are people's data. The ``OTEL_…`` variables work as OpenTelemetry documents them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
_ROUTES = (
    (re.compile(r"/rest/v1/rpc/[^/]+"), "/rest/v1/rpc/{function}"),
    (re.compile(r"/rest/v1/[^/]+"), "/rest/v1/{table}"),
    (re.compile(r"/api/v1/breakers/[^/]+(/\w+)?"), "/api/v1/breakers/{name}"),
    (re.compile(r"/api/v1/(quarantine|receipts)/[^/]+(/\w+)?"), r"/api/v1/\1/{id}"),
    (re.compile(r"/v1/models/.+"), "/v1/models/{model}"),
)
_TELLING = ("url.query", "url.full", "http.url", "http.target")
_SHOWN = {b"mendgate-healed": "mendgate.healed", b"mendgate-receipt": "mendgate.receipt", b"mendgate-quarantine": "mendgate.quarantine"}
QUIET = "healthz,readyz,static"


def traced(app: Any) -> App:
    """The application, each request of it with a span. Reads OpenTelemetry's own environment variables."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "mendgate"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    middleware = OpenTelemetryMiddleware(
        _telling(app),
        excluded_urls=QUIET,
        default_span_details=_details,
        server_request_hook=_hide,
        tracer_provider=provider,
        exclude_spans=["receive", "send"],
    )
    return cast("App", middleware)


@contextmanager
def outward(host: str, port: int) -> Iterator[dict[str, str]]:
    """A span around a call to an AI provider; gives the headers that carry the trace on. Without ``traced`` it does nothing."""
    from opentelemetry import propagate, trace

    told: dict[str, str | int] = {"http.request.method": "POST", "server.address": host, "server.port": port}
    with trace.get_tracer("mendgate").start_as_current_span("POST", kind=trace.SpanKind.CLIENT, attributes=told):
        carried: dict[str, str] = {}
        propagate.inject(carried)
        yield carried


def route_of(path: str) -> str:
    """The path without what differs from call to call.

    >>> route_of("/rest/v1/orders"), route_of("/v1/chat/completions")
    ('/rest/v1/{table}', '/v1/chat/completions')
    """
    for pattern, route in _ROUTES:
        if found := pattern.fullmatch(path):
            return found.expand(route)
    return path


def _details(scope: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    route = route_of(scope.get("path", ""))
    return f"{scope.get('method', '')} {route}".strip(), {"http.route": route}


def _hide(span: Any, scope: dict[str, Any]) -> None:
    for name in _TELLING:
        if span.is_recording() and name in (span.attributes or {}):
            span.set_attribute(name, scope.get("path", "") if name == "http.target" else "")


def _telling(app: App) -> App:
    """The application; what became of a request, as its answer's headers say it, is told to the request's span."""
    from opentelemetry import trace

    async def tell(scope: Message, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                _show(trace.get_current_span(), message)
            await send(message)

        await app(scope, receive, sending if scope["type"] == "http" else send)

    return tell


def _show(span: Any, message: Message) -> None:
    for name, value in message.get("headers", ()):
        if (attribute := _SHOWN.get(bytes(name).lower())) is not None:
            span.set_attribute(attribute, bytes(value).decode("latin-1"))
