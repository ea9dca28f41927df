"""Rows of the control database that tests start from: a captured schema, people, kept writes, proposals."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import msgspec
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from msgspec.structs import replace

from healing import approval
from healing.checked_fix import content_hash, parsed
from healing.gateway.seal import seal
from healing.models import Proposal, QuarantineItem, Receipt, Rule, TransactionLog
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Constraint, Relation, Scope, Snapshot
from schema_monitor.models import SchemaVersion
from schema_monitor.traffic_models import PayloadShape
from schema_monitor.versions import as_json

USERS = Relation(
    oid=100,
    schema="public",
    name="users",
    kind="r",
    columns=(
        Column(1, "id", "integer", "int4", nullable=False, identity="d"),
        Column(2, "email_address", "text", "text"),
        Column(3, "details", "jsonb", "jsonb"),
    ),
    constraints=(Constraint(1, "users_pkey", "p", (1,)),),
    fingerprint="f1",
)
RENAME = [{"op": "rename_column", "from": "email", "to": "email_address"}]
DROP = [{"op": "drop_key", "column": "email"}]
UNKNOWN = {"code": "PGRST204", "message": "Could not find the 'email' column of 'users' in the schema cache", "details": None, "hint": None}


def capture(*relations: Relation, epoch: int = 1, cause: str = "start") -> SchemaVersion:
    """A schema version with these relations (default: ``users``)."""
    live = relations or (USERS,)
    snapshot = Snapshot(Scope("1", 1), 180000, {r.oid: r for r in live}, {}, {})
    body, lineage = as_json(snapshot), as_json(Lineage.start(snapshot))
    return SchemaVersion.objects.create(epoch=epoch, scope={}, fingerprint="x", snapshot=body, lineage=lineage, cause=cause)


def status_table() -> Relation:
    """Users with a column that has a default: a write that leaves it out is healthy."""
    return replace(USERS, columns=(*USERS.columns, Column(4, "status", "text", "text", nullable=False, default="'new'::text")))


def reviewer(name: str = "rita") -> User:
    """A superuser."""
    return User.objects.create_superuser(name, password="pw")


def onlooker(name: str = "otto") -> User:
    """Staff who may see everything and change nothing."""
    user = User.objects.create_user(name, password="pw", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return user


def rolled_back(quoted: str) -> TransactionLog:
    """A transaction of three operations that the second ended; its error quotes a value."""
    steps = [
        {"op": "insert", "table": "users", "name": "u", "rows": 1, "state": "landed", "count": 1, "seconds": 0.002,
         "healed": "rename_column(email->email_address)", "receipt": str(uuid.uuid4())},
        {"op": "update", "table": "users", "savepoint": True, "refers": ["u"], "state": "refused",
         "error": {"code": "23505", "message": "twice", "details": f"Key (email)=({quoted})"}},
        {"op": "delete", "table": "users"},
    ]  # fmt: skip
    story = {"steps": steps, "restarts": [{"code": "40P01", "message": "deadlock detected"}], "error": steps[1]["error"]}
    now = timezone.now()
    return TransactionLog.objects.create(
        id=uuid.uuid4(), at=now, ended_at=now, alive_at=now, state="rolled back", code="23505", isolation="serializable", attempts=2,
        seconds=0.01, operations=3, healed=1, tables=["users"], role="authenticated", sealed=seal(msgspec.json.encode(story)),
    )  # fmt: skip


def keep(row: Any = None, *, signature: str = "unknown_column:email", **fields: Any) -> QuarantineItem:
    """A kept insert into users, with its receipt."""
    body = msgspec.json.encode({"email": "ann@example.com"} if row is None else row)
    request = {"method": "POST", "path": "/rest/v1/users", "query": "", "headers": {}, "body": base64.b64encode(body).decode()}
    facts = {
        "schema": "public", "table": "users", "operation": "insert", "role": "authenticated", "subject": "",
        "request": seal(msgspec.json.encode(request)), "claims": seal(b'{"role":"authenticated"}'), "error": UNKNOWN,
        "shape": {"email": "string"}, "receipt": uuid.uuid4(), "signature": signature, **fields,
    }  # fmt: skip
    item = QuarantineItem.objects.create(**facts)
    item.refresh_from_db()
    Receipt.objects.create(
        id=item.receipt, outcome="quarantined", schema=item.schema, table=item.table, operation=item.operation, key=item.key_id,
        role=item.role, subject=item.subject, quarantine=item.pk, sealed=seal(msgspec.json.encode({"sent": [msgspec.json.decode(body)]})),
    )  # fmt: skip
    return item


def propose(fix: list[dict[str, Any]] | None = None, probability: float = 0.97, **fields: Any) -> Proposal:
    """An open proposal for ``unknown_column:email`` of users."""
    fix = RENAME if fix is None else fix
    facts = {
        "schema": "public", "table": "users", "signature": "unknown_column:email", "fix": fix, "probability": probability,
        "source": "matcher", "sentence": "put email into email_address", "content_hash": content_hash(parsed(fix)),
        "evidence": {"for": ["same type text"], "against": ["two words differ"]}, **fields,
    }  # fmt: skip
    return Proposal.objects.create(**facts)


def approved(proposal: Proposal, user: User, note: str = "") -> Rule:
    """The rule that a yes makes."""
    rule = approval.approve(proposal, user, note)
    assert rule is not None
    return rule


def traffic(*keys: str, requests: int = 10, misfits: int = 0, oid: int = 100, **fields: Any) -> PayloadShape:
    """What a caller sent in this hour."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    facts = {
        "hour": hour, "schema": "public", "relation_oid": oid, "name": "users", "operation": "insert", "caller": "shop", "role": "anon",
        "keys": list(keys), "named": [], "shape": ",".join(keys)[:32], "requests": requests, "rows": requests, "misfits": misfits,
        "healed": 0, "last_at": timezone.now(), **fields,
    }  # fmt: skip
    return PayloadShape.objects.create(**facts)
