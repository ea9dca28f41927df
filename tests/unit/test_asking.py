"""Texts of the catalog that may ask for a request's headers."""

from __future__ import annotations

import pytest

from schema_monitor.core.asking import asks


@pytest.mark.parametrize(
    "text",
    [
        "((current_setting('request.headers'::text, true))::json ->> 'x-tenant'::text) = tenant",
        "current_setting(('request.'::text || 'headers'::text), true) = 'x'::text",
        "CHECK (private.allowed(tenant))",
        'CHECK ("Private"."Is it?"(tenant))',
        "auth.tenant_of_request() = tenant",
        "(tenant OPERATOR(private.===) 'x'::text)",
    ],
)
def test_what_asks_or_may_ask(text: str) -> None:
    """By itself, by a name that is worked out, or through what nobody knows."""
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "CHECK ((price > (0)::numeric))",
        "(owner = auth.uid())",
        "((auth.jwt() ->> 'role'::text) = 'admin'::text)",
        "(owner = ((current_setting('request.jwt.claims'::text, true))::json ->> 'sub'::text))",
        "CHECK ((kind = ANY (ARRAY['a.b('::text, 'it''s x.y(z)'::text])))",
        "nextval('public.orders_id_seq'::regclass)",
        "CHECK ((VALUE)::text OPERATOR(pg_catalog.~) '^a'::text)",
    ],
)
def test_what_does_not(text: str) -> None:
    """Plain conditions, claims, and texts that only look like calls."""
    assert not asks(text)
