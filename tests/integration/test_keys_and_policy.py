"""Keys and policies: made by commands, told to every process, never leaking."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from healing import audit_check, keys_admin, policy
from healing.core.types import Healing
from healing.gateway import keytext
from healing.models import ApiKey, Decision, Policy
from healing.refusals import WrongState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]


@pytest.fixture
def told() -> Iterator[psycopg.Connection]:
    """Listens like a gateway does."""
    with psycopg.connect(_dsn(), autocommit=True) as listener:
        listener.execute("LISTEN mendgate_snapshot")
        yield listener


def _dsn() -> str:
    facts = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        host=facts["HOST"], port=facts["PORT"], user=facts["USER"], password=facts["PASSWORD"], dbname=facts["NAME"]
    )


def heard(listener: psycopg.Connection) -> list[str]:
    """Payloads that came."""
    return [n.payload for n in listener.notifies(timeout=0.3)]


def test_the_command_prints_only_the_key_and_stores_only_its_hash(capsys: pytest.CaptureFixture[str], told: psycopg.Connection) -> None:
    call_command("create_api_key", role="service_role", name="first")
    key = capsys.readouterr().out.strip()
    assert keytext.check(key)
    row = ApiKey.objects.get()
    assert (row.role, row.name, row.hash) == ("service_role", "first", hashlib.sha256(key.encode()).hexdigest())
    assert key not in str(ApiKey.objects.values().get())
    assert "keys" in heard(told)


def test_a_key_may_expire_but_not_in_the_past() -> None:
    call_command("create_api_key", "--role", "anon", "--expires", "2099-01-01")
    assert ApiKey.objects.get().expires_at.year == 2099  # type: ignore[union-attr]
    with pytest.raises(CommandError, match="past"):
        call_command("create_api_key", "--role", "anon", "--expires", "2020-01-01")


def test_a_revoked_key_stays_for_the_record_and_cannot_be_rotated(told: psycopg.Connection) -> None:
    _, key = keys_admin.create_key("edge", "anon")
    keys_admin.revoke_key(key, "rita", "leaked")
    keys_admin.revoke_key(key, "rita", "leaked")
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert Decision.objects.filter(action="revoke").count() == 1
    with pytest.raises(WrongState):
        keys_admin.rotate_key(key, "rita")
    assert heard(told) == ["keys", "keys"]


def test_rotating_gives_a_new_text_and_ends_the_old_one() -> None:
    old, key = keys_admin.create_key("edge", "anon")
    new = keys_admin.rotate_key(key, "rita")
    assert new != old
    assert ApiKey.objects.get().hash == keytext.digest(new)


def test_a_change_that_is_rolled_back_is_told_to_nobody(told: psycopg.Connection) -> None:
    with transaction.atomic():
        policy.set_policy("users", healing="off")
        transaction.set_rollback(True)
    assert heard(told) == []
    assert not Decision.objects.exists()


def test_a_policy_changes_only_what_is_said(told: psycopg.Connection) -> None:
    call_command("set_policy", table="users", healing="certified")
    call_command("set_policy", "--table", "users", "--quarantine", "accept", "--strict")
    row = Policy.objects.get()
    assert (row.table, row.healing, row.quarantine, row.strict) == ("users", "certified", "accept", True)
    call_command("set_policy", "--table", "users", "--no-strict")
    row.refresh_from_db()
    assert (row.healing, row.strict) == ("certified", False)
    assert heard(told) == ["policies"] * 3
    assert audit_check.faults() == []


def test_a_policy_of_a_key_is_found_by_its_name_or_prefix() -> None:
    _, key = keys_admin.create_key("edge", "anon")
    keys_admin.create_key("twice", "anon")
    keys_admin.create_key("twice", "anon")
    call_command("set_policy", key="edge", healing="off")
    call_command("set_policy", key=key.prefix, quarantine="accept")
    assert Policy.objects.get().key == key
    with pytest.raises(CommandError, match="2 keys"):
        call_command("set_policy", key="twice", healing="off")


def test_the_highest_level_of_a_table_counts_every_caller() -> None:
    assert policy.highest_level("public", "users") is Healing.APPROVED
    policy.set_policy("", healing="off")
    assert policy.highest_level("public", "users") is Healing.OFF
    policy.set_policy("users", healing="exact")
    assert policy.highest_level("public", "users") is Healing.EXACT
    _, key = keys_admin.create_key("edge", "anon")
    policy.set_policy("users", key=key, healing="assisted")
    assert policy.highest_level("public", "users") is Healing.ASSISTED
