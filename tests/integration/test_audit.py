"""The record of decisions: added to, never changed, and whatever is done to it shows."""

from __future__ import annotations

import threading
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from healing import approval, audit, audit_check, rules
from healing.models import Decision, Proposal, Rule
from tests.integration.control_rows import DROP, RENAME, approved, capture, propose, reviewer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


def chain(length: int = 5) -> list[Decision]:
    """Some decisions."""
    return [audit.record("ann", "approve", "proposal", n, why=f"reason {n}") for n in range(length)]


def test_every_decision_is_kept_and_the_database_refuses_to_change_it() -> None:
    capture()
    rita = reviewer()
    approved(propose(), rita, "looks right")
    approval.reject(propose(DROP, 0.1, signature="unknown_column:other"), rita, "loses data")
    assert audit_check.faults() + audit_check.unrecorded() == []
    for sql in ("UPDATE healing_decision SET who = 'x'", "DELETE FROM healing_decision"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    call_command("verify_audit")


def test_the_audit_cannot_be_emptied(control_url: str) -> None:
    with psycopg.connect(control_url) as control, pytest.raises(psycopg.Error, match="append-only"):
        control.execute("TRUNCATE healing_decision")


def test_only_the_next_link_can_be_added_by_whatever_door() -> None:
    last = chain(2)[-1]
    for number, before in ((2, last.hash), (4, last.hash), (3, "another")):
        row = Decision(number=number, at=last.at, who="eve", action="approve", kind="proposal", subject="1", prev_hash=before, hash="h")
        with pytest.raises(DatabaseError), transaction.atomic():
            row.save(force_insert=True)
    assert Decision.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_many_deciders_at_once_leave_one_chain_without_gaps() -> None:
    errors: list[Exception] = []

    def decide(name: str) -> None:
        try:
            for n in range(5):
                with transaction.atomic():
                    audit.record(name, "approve", "proposal", n)
                    if n == 3:
                        transaction.set_rollback(True)  # a decision that fails leaves no gap
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(Decision.objects.order_by("number").values_list("number", flat=True)) == list(range(1, 17))
    assert audit_check.faults() == []


def test_a_changed_decision_is_named() -> None:
    rows = chain()
    rows[2].why = "changed later"
    assert audit_check.faults(rows) == ["decision 3 was changed: its content is not what its hash says"]


def test_a_changed_decision_with_a_hash_made_to_fit_still_breaks_the_chain() -> None:
    rows = chain()
    rows[2].why = "changed later"
    rows[2].hash = audit.digest(rows[2])
    assert audit_check.faults(rows) == ["before decision 4 something is missing, or was written anew: nothing has the hash that it follows"]


def test_missing_decisions_are_named() -> None:
    rows = chain()
    assert audit_check.faults([rows[0], rows[2], rows[4]]) == ["decision 2 is missing", "decision 4 is missing"]
    assert audit_check.faults(rows[3:]) == ["decisions 1 to 3 are missing"]


def test_a_missing_decision_shows_although_the_numbers_were_closed_up() -> None:
    rows = chain()
    left = [rows[0], *rows[2:]]
    for number, row in enumerate(left, 1):
        row.number = number
    assert audit_check.faults(left) == ["before decision 2 something is missing, or was written anew: nothing has the hash that it follows"]


def test_moved_decisions_are_named() -> None:
    rows = chain(4)
    rows[1].number, rows[2].number = 3, 2
    found = audit_check.faults(sorted(rows, key=lambda row: row.number))
    assert found[0] == "decision 2 is out of order: it was made right after the one that is number 3 now"
    assert len(found) == 3


def test_an_end_that_was_cut_off_shows_by_a_head_that_was_kept(tmp_path: Path) -> None:
    rows, out = chain(3), StringIO()
    call_command("export_audit", stdout=out)
    whole = out.getvalue().splitlines()
    assert len(whole) == 3
    file = tmp_path / "audit.jsonl"
    file.write_text("\n".join(whole[:2]))
    call_command("verify_audit", file=file)
    with pytest.raises(CommandError, match="cut off"):
        call_command("verify_audit", file=file, head=rows[2].hash)
    file.write_text(whole[0] + "\n" + whole[1].replace("reason 1", "reason one"))
    with pytest.raises(CommandError, match="decision 2 was changed"):
        call_command("verify_audit", file=file)
    file.write_text('{"no": "decision"}')
    with pytest.raises(CommandError, match="no decision"):
        call_command("verify_audit", file=file)


def test_what_was_decided_by_another_door_is_told() -> None:
    capture()
    rita, proposal = reviewer(), propose()
    Proposal.objects.filter(pk=proposal.pk).update(state="rejected", decided_by=rita)
    rule = Rule.objects.create(schema="public", table="users", signature="x", fix=DROP, state="active", approved_by=rita, content_hash="c")
    with pytest.raises(CommandError) as told:
        call_command("verify_audit")
    assert f"proposal {proposal.pk} is rejected, and no decision says so" in str(told.value)
    assert f"rule {rule.pk} is active, and no decision says so" in str(told.value)


def test_a_rule_that_is_not_the_one_that_was_decided_is_told() -> None:
    capture()
    rita = reviewer()
    rule = approval.approve(propose(), rita)
    assert rule is not None and audit_check.unrecorded() == []
    facts = {"schema": "public", "fix": RENAME, "state": "active", "approved_by": rita, "content_hash": rule.content_hash}
    elsewhere = Rule.objects.create(table="payments", signature=rule.signature, **facts)
    assert audit_check.unrecorded() == [f"rule {elsewhere.pk} is active, and no decision says so"]
    elsewhere.delete()
    Rule.objects.filter(pk=rule.pk).update(fix=DROP)
    assert audit_check.unrecorded() == [f"rule {rule.pk} is active, and no decision says so"]
    Rule.objects.filter(pk=rule.pk).update(fix=RENAME)
    rules.retire(rule, rita, "over")
    Rule.objects.filter(pk=rule.pk).update(state="active")
    (told,) = audit_check.unrecorded()
    assert told.startswith(f"rule {rule.pk} is active, although decision ") and told.endswith("ended it (retire)")
