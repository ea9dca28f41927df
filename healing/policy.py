"""What may be done to writes, by table and key: setting it, and finding the row that applies."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from healing import audit
from healing.core.types import Healing
from healing.models import ApiKey, Policy
from healing.notify import notify

_RANK = {level: rank for rank, level in enumerate(Healing)}


@transaction.atomic
def set_policy(
    table: str = "",
    *,
    schema: str = "",
    key: ApiKey | None = None,
    healing: str | None = None,
    quarantine: str | None = None,
    strict: bool | None = None,
    auto_certify: bool | None = None,
    who: str = "command",
) -> Policy:
    """Creates or changes the policy of a place; what is None stays as it was."""
    policy, _ = Policy.objects.select_for_update().get_or_create(schema=schema, table=table, key=key)
    given = {"healing": healing, "quarantine": quarantine, "strict": strict, "auto_certify": auto_certify}
    for name, value in given.items():
        if value is not None:
            setattr(policy, name, value)
    policy.save()
    announce(policy, who, "set")
    return policy


def announce(policy: Policy, who: str, action: str) -> None:
    """Audit and notification of a policy that was written or removed; call it in the same transaction."""
    state = f"{policy}; quarantine {policy.quarantine}; {'strict' if policy.strict else 'not strict'}"
    state += "; rules by themselves" if policy.auto_certify else ""
    audit.record(who, action, "policy", policy.pk, why=state)
    notify("policies")


def highest_level(schema: str, table: str) -> Healing:
    """The most that healing may do for any caller of that table. Without a row: ``approved``."""
    table_rows = list(Policy.objects.filter(Q(table=table) | Q(table=""), Q(schema=schema) | Q(schema="")))
    everyone = [p for p in table_rows if p.key_id is None]
    general = max(everyone, key=_specificity, default=None)
    levels = [Healing(general.healing if general else Healing.APPROVED)]
    levels += [Healing(p.healing) for p in table_rows if p.key_id is not None]
    return max(levels, key=_RANK.__getitem__)


def allows_rules(level: Healing) -> bool:
    """Whether approved rules are used at that level."""
    return _RANK[level] >= _RANK[Healing.APPROVED]


def _specificity(policy: Policy) -> tuple[bool, bool]:
    return bool(policy.table), bool(policy.schema)
