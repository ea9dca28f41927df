"""``POST /api/v1/transactions`` in the documentation. The fast path answers it; what it takes is read off its own types."""

from __future__ import annotations

from typing import Any

import msgspec

from healing.gateway.transactions.asked import MOST, Transaction

PATH = "/api/v1/transactions"
_ERROR = {
    "type": "object",
    "required": ["code", "message", "details", "hint"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "details": {"type": ["string", "null"], "description": "which operation was the reason"},
        "hint": {"type": ["string", "null"]},
    },
}
_RESULT = {
    "type": "object",
    "required": ["status", "rows", "count"],
    "properties": {
        "status": {"type": "integer"},
        "rows": {"type": "array", "items": {"type": "object"}},
        "count": {"type": "integer"},
        "healed": {"type": "string"},
        "changed": {"type": "string"},
        "receipt": {"type": "string"},
        "error": {**_ERROR, "description": "of an operation with a savepoint that did not land"},
    },
}
_DONE = {
    "type": "object",
    "required": ["operations", "receipt", "attempts", "transaction"],
    "properties": {
        "operations": {"type": "array", "items": _RESULT},
        "receipt": {"type": ["string", "null"]},
        "attempts": {"type": "integer"},
        "transaction": {"type": "string", "description": "its id, as in the header Mendgate-Transaction"},
    },
}
_SAYS = (
    "Each write is healed where it needs it; all of them land, or none. Everything runs under the caller's own role and claims; a key "
    f"that has scopes needs data. At most {MOST} operations. Nothing of a transaction is kept in quarantine."
)


def add_to(schema: dict[str, Any]) -> None:
    """Adds it to an OpenAPI document."""
    (asked,), parts = msgspec.json.schema_components((Transaction,), ref_template="#/components/schemas/{name}")
    schema["components"].setdefault("schemas", {}).update(parts)
    schema["paths"][PATH] = {
        "post": {
            "operationId": "post_transaction",
            "summary": "Several writes that land together or not at all",
            "description": _SAYS,
            "tags": ["Transactions"],
            "parameters": [
                _header("Idempotency-Key", "One key, one effect."),
                _header("Prefer", "healing=off|exact|approved, missing=default, …"),
            ],
            "requestBody": {"required": True, "content": _json(asked)},
            "responses": {
                "200": {"description": "All of it was committed", "content": _json(_DONE)},
                "4XX": {"description": "Nothing was written", "content": _json(_ERROR)},
            },
            "security": [{name: []} for name in schema["components"].get("securitySchemes", {})],
        }
    }


def _header(name: str, says: str) -> dict[str, Any]:
    return {"in": "header", "name": name, "required": False, "description": says, "schema": {"type": "string"}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
