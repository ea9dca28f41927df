"""What the browser tests find in the control database; run inside ``manage.py shell`` of the site under test."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User

from healing.checked_fix import content_hash, parsed
from healing.models import Proposal, QuarantineItem, Rule

FIXES = {
    "users": [
        ([{"op": "rename_column", "from": "mail_adr", "to": "email_address"}], 0.994, "`mail_adr` is written to `email_address`"),
        ([{"op": "drop_key", "column": "mail_adr"}], 0.02, "`mail_adr` is left out"),
    ],
    "activity_logs": [([{"op": "rename_column", "from": "metadata", "to": "details"}], 0.91, "`metadata` is written to `details`")],
}


def people() -> None:
    """Rita decides, Otto looks."""
    User.objects.create_superuser("rita", password="pw")
    otto = User.objects.create_user("otto", password="pw", is_staff=True)
    otto.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))


def seed() -> None:
    """Proposals for what waits (whatever the matcher said is put aside), a rule with evidence, a parked write."""
    Proposal.objects.all().delete()
    for item in QuarantineItem.objects.order_by("number").distinct():
        for fix, probability, sentence in FIXES[item.table]:
            place = {"schema": item.schema, "table": item.table, "signature": item.signature, "content_hash": content_hash(parsed(fix))}
            evidence = {"for": ["same type", "empty in every one of these rows"], "against": ["the names share few letters"]}
            facts = {"fix": fix, "probability": probability, "sentence": sentence, "source": "matcher", "evidence": evidence}
            Proposal.objects.get_or_create(**place, defaults=facts)
    rita = User.objects.get(username="rita")
    Rule.objects.create(
        schema="public", table="orders", signature="unknown_column:total",
        fix=[{"op": "rename_column", "from": "total", "to": "amount"}],
        sentence="`total` is written to `amount`", state="active", approved_by=rita, successes=412, failures=9, reversals=2,
        content_hash="x",
    )  # fmt: skip
    for number, (state, why) in enumerate(
        (("demoted", "a write that it healed was undone (receipt 7f6d)"), ("review", "Column amount was int.")), 1
    ):
        Rule.objects.create(
            schema="public", table="orders", signature=f"unknown_column:sum{number}", sentence=f"`sum{number}` is written to `amount`",
            fix=[{"op": "rename_column", "from": f"sum{number}", "to": "amount"}], state=state, why=why, successes=number * 7, reversals=1,
            content_hash="x",
        )  # fmt: skip
    last = QuarantineItem.objects.order_by("-number").first()
    QuarantineItem.objects.filter(pk=last.pk).update(state="parked", attempts=3, last_error=last.error)  # type: ignore[union-attr]
