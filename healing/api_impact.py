"""``POST /api/v1/schema/impact``: proposed DDL against what callers sent lately."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import Router

from healing.api_caller import caller_of, sees_all
from healing.api_schema_shapes import ImpactIn, ImpactOut
from healing.api_shapes import Error
from healing.impact import check
from healing.models import ApiKey
from healing.refusals import NotAllowed
from schema_monitor.core.verdicts import Judged
from schema_monitor.core.weigh import Weighed
from schema_monitor.impact.check import Impact

router = Router(tags=["Schema"])
_ERRORS = {401: Error, 403: Error, 413: Error, 422: Error, 500: Error, 501: Error, 503: Error}
_MOST_SHAPES = 500
_MOST_CHANGES = 1_000


@router.post("/impact", response={200: ImpactOut, **_ERRORS}, summary="What would this DDL do to my callers?", by_alias=True)
def post_impact(request: HttpRequest, proposed: ImpactIn) -> dict[str, Any]:
    """For service_role. The DDL runs on a copy of the schema, without rows, in a transaction that is rolled back, as a login that may do
    nothing else; the target is only read. A statement that the database refuses is an answer too (``refusal``), not an error."""
    caller = caller_of(request)
    if not sees_all(caller):
        raise NotAllowed("Impact checks are for service_role.", "Use a key of service_role, or the dashboard.")
    name = ApiKey.objects.filter(pk=caller.key).values_list("name", flat=True).first() if caller.key else None
    return shown(check(proposed.ddl, f"API key {name}" if name else f"token of {caller.subject or caller.role}"))


def shown(impact: Impact) -> dict[str, Any]:
    """As JSON; what touches most callers first, and not more than a page can show."""
    shapes = impact.judged[:_MOST_SHAPES]
    plain = msgspec.to_builtins(msgspec.structs.replace(impact, changes=(), judged=()))
    return {
        **plain, "verdict": impact.verdict.value, "changes": [_weighed(each) for each in impact.changes[:_MOST_CHANGES]],
        "shapes": [_judged(each) for each in shapes], "shapes_left_out": len(impact.judged) - len(shapes),
    }  # fmt: skip


def _weighed(each: Weighed) -> dict[str, Any]:
    change = msgspec.structs.asdict(each.change)
    return {**change, "schema_": change["schema"], "base_severity": each.base, "hits": each.hits}


def _judged(each: Judged) -> dict[str, Any]:
    shape = each.shape
    sent = {name: getattr(shape, name) for name in ("operation", "keys", "named", "key", "caller", "role", "requests", "last_at")}
    own = {"schema_": shape.schema, "table": shape.name, "verdict": each.verdict.value, "today": each.today.value, "worse": each.worse}
    return {**sent, **own, "reasons": msgspec.to_builtins(each.reasons)}
