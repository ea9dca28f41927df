"""What the miners look at: rules with their record, fixes that an AI found, kept writes by cause. Counts and names, no values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from healing.assist.known import reversed_receipts
from healing.assist.models import AssistRun
from healing.core.signature import read, read_label, split
from healing.models import Proposal as Fix
from healing.models import QuarantineItem, Rule
from optimizer.core.causes import Cause
from optimizer.core.rules import Active, AiFix
from optimizer.models import Proposal

_WAITS = ["waiting", "parked"]
MOST_CAUSES = 500


def active() -> list[Active]:
    """Every rule in force."""
    proven = set(Proposal.objects.filter(kind="prove", state="adopted").values_list("name", flat=True))
    return [
        Active(
            id=str(rule.pk), schema=rule.schema, table=rule.table, signature=rule.signature, fix_hash=rule.content_hash,
            sentence=rule.sentence, successes=rule.successes, failures=rule.failures,
            reversals=max(0, rule.reversals - rule.reversals_known - (rule.doubted or 0)), proven=str(rule.pk) in proven,
        )
        for rule in Rule.objects.filter(state=Rule.State.ACTIVE).annotate(doubted=Sum("doubts__times"))
    ]  # fmt: skip


def ai_fixes() -> list[AiFix]:
    """Each fix that an AI found for a cause and that landed writes; not where a rule is in force or a person said no."""
    place = ("schema", "table", "signature", "content_hash")
    landed = Count("healed", filter=Q(healed__state=QuarantineItem.State.REPLAYED), distinct=True)
    found = AssistRun.objects.exclude(content_hash="").values(*place).annotate(landed=landed).filter(landed__gt=0)
    ruled = set(Rule.objects.filter(state=Rule.State.ACTIVE).values_list("schema", "table", "signature"))
    refused = set(Fix.objects.filter(state=Fix.State.REJECTED).values_list(*place))
    return [_ai_fix(row) for row in found if tuple(row[n] for n in place[:3]) not in ruled and tuple(row[n] for n in place) not in refused]


def _ai_fix(row: Any) -> AiFix:
    runs = AssistRun.objects.filter(**{name: row[name] for name in ("schema", "table", "signature", "content_hash")})
    fix = runs.exclude(proposal=None).values_list("proposal__sentence", flat=True).first()
    week = runs.filter(asked=True, created_at__gte=timezone.now() - timedelta(days=7)).count()
    return AiFix(
        schema=row["schema"], table=row["table"], signature=row["signature"], fix_hash=row["content_hash"], sentence=fix or "an AI's fix",
        landed=row["landed"], reversed=reversed_receipts(runs).count(), runs=tuple(map(str, runs.values_list("pk", flat=True)[:20])),
        asks_a_week=float(max(week, row["landed"])),
    )  # fmt: skip


def waiting() -> dict[tuple[str, str], dict[str, int]]:
    """(schema, signature) -> table -> writes that wait for it."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    rows = QuarantineItem.objects.filter(state__in=_WAITS).order_by().values("schema", "signature", "table").annotate(n=Count("pk"))
    for row in rows:
        found.setdefault((row["schema"], row["signature"]), {})[row["table"]] = row["n"]
    return found


def causes() -> list[Cause]:
    """Kept writes by cause, the largest first."""
    rows = QuarantineItem.objects.filter(state__in=_WAITS).order_by().values("schema", "table", "signature")
    counted = rows.annotate(n=Count("pk"), callers=Count("key", distinct=True)).order_by("-n")[:MOST_CAUSES]
    best: dict[tuple[str, str, str], tuple[float, str]] = {}
    for fix in Fix.objects.filter(state=Fix.State.OPEN).order_by("probability"):
        best[fix.schema, fix.table, fix.signature] = (fix.probability, str(fix.fix[0].get("op", "")) if fix.fix else "")
    return [_cause(row, *best.get((row["schema"], row["table"], row["signature"]), (0.0, ""))) for row in counted]


def _cause(row: Any, probability: float, op: str) -> Cause:
    place = {name: row[name] for name in ("schema", "table", "signature")}
    key = read_label(read((*split(row["signature"]), "")[0])[1])[0]
    shapes = QuarantineItem.objects.filter(**place, state__in=_WAITS).values_list("shape", flat=True)[:200]
    types: dict[str, int] = {}
    for shape in shapes:
        kind = str(shape.get(key, "")) if isinstance(shape, dict) else ""
        if kind:
            types[kind] = types.get(kind, 0) + 1
    return Cause(**place, writes=row["n"], callers=max(1, row["callers"]), best=probability, best_op=op, types=types)


def landed_share() -> tuple[int, int]:
    """Of the kept writes that were tried again: how many landed, of how many."""
    ended = QuarantineItem.objects.filter(state__in=["replayed", "parked", "conflict"], attempts__gt=0)
    return ended.filter(state="replayed").count(), ended.count()
