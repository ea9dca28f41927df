"""The control plane's REST API, ``/api/v1``; its documentation is at ``/api/v1/docs`` and needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.renderers import BaseRenderer

from healing import api_errors, api_impact, api_metrics, api_quarantine, api_receipts, api_schema, api_transactions
from healing.api_caller import KeyAuth


class ExactJson(BaseRenderer):
    """JSON that keeps every digit of a number."""

    media_type = "application/json"
    _encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)

    def render(self, request: HttpRequest, data: Mapping[str, Any], *, response_status: int) -> bytes:
        """Bytes to send."""
        return self._encoder.encode(data)


class Api(NinjaAPI):
    """With what the fast path serves under the same prefix in its documentation."""

    def get_openapi_schema(self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None) -> OpenAPISchema:
        """The whole document."""
        schema = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        api_transactions.add_to(schema)
        return schema


api = Api(
    title="Mendgate",
    version="1",
    description="Quarantine, receipts and schema of a self-healing gateway. The data API itself speaks PostgREST's dialect at /rest/v1.",
    urls_namespace="api",
    auth=KeyAuth(),
    docs=Swagger(settings={"persistAuthorization": True}),
    renderer=ExactJson(),
)
api_errors.install(api)
api.add_router("/quarantine", api_quarantine.router)
api.add_router("/receipts", api_receipts.router)
api.add_router("/schema", api_schema.router)
api.add_router("/schema", api_impact.router)
api.add_router("/metrics", api_metrics.router)
