"""The REST API of the control plane, through Django's stack on a real Postgres."""

from __future__ import annotations

import time
import uuid
from typing import Any

import jwt
import pytest
from django.test import Client

from healing import approval, keys_admin
from healing.gateway import settings as gateway_settings
from healing.models import ApiKey, QuarantineItem, Receipt
from tests.integration.control_rows import DROP, RENAME, capture, keep, propose, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]
SECRET = "a-secret-for-tests-with-at-least-32-characters"


def key_of(role: str, name: str = "edge") -> tuple[str, ApiKey]:
    """A fresh key."""
    return keys_admin.create_key(name, role)


def get(path: str, key: str = "", **headers: str) -> Any:
    """(status, body) of a GET."""
    given = {"apikey": key, **headers} if key else headers
    answer = Client().get(f"/api/v1/{path}", headers=given)
    return answer.status_code, answer.json()


def post(path: str, key: str, body: Any = None) -> Any:
    """(status, body) of a POST."""
    answer = Client().post(f"/api/v1/{path}", body or {}, content_type="application/json", headers={"apikey": key})
    return answer.status_code, answer.json()


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes JWTs that are accepted."""
    import msgspec

    from healing import api_caller

    known = msgspec.structs.replace(gateway_settings.current(), jwt_secret=SECRET)
    monkeypatch.setattr(gateway_settings, "_current", known)
    api_caller._JWKS.clear()
    yield lambda **claims: jwt.encode({"role": "authenticated", "exp": time.time() + 60, **claims}, SECRET, "HS256")
    api_caller._JWKS.clear()


def test_without_a_key_the_answer_is_401_with_the_four_keys() -> None:
    status, body = get("quarantine")
    assert status == 401
    assert set(body) == {"code", "message", "details", "hint"}
    assert "WWW-Authenticate" in Client().get("/api/v1/quarantine").headers


def test_service_role_reads_every_item_with_its_payload_and_proposals_best_first() -> None:
    item, best, second = keep({"email": "ann@example.com", "n": 1}), propose(RENAME, 0.97), propose(DROP, 0.2)
    status, (shown,) = get("quarantine?state=waiting", key_of("service_role")[0])
    assert status == 200
    assert shown["id"] == str(item.pk)
    assert (shown["state"], shown["schema"], shown["table"], shown["operation"]) == ("waiting", "public", "users", "insert")
    assert shown["payload"] == [{"email": "ann@example.com", "n": 1}]
    assert set(shown["error"]) == {"code", "message", "details", "hint"}
    assert [p["id"] for p in shown["proposals"]] == [str(best.pk), str(second.pk)]
    assert shown["proposals"][0]["fix"] == RENAME
    assert set(shown["proposals"][0]) == {"id", "fix", "probability", "source", "sentence", "evidence"}
    assert shown["receipt"] == str(item.receipt)


def test_numbers_keep_their_digits() -> None:
    import base64

    from healing.gateway.seal import seal

    item = keep()
    body = base64.b64encode(b'{"n": 1.10, "big": 12345678901234567890.123}').decode()
    QuarantineItem.objects.update(request=seal(f'{{"body": "{body}"}}'.encode()))
    answer = Client().get(f"/api/v1/quarantine/{item.pk}", headers={"apikey": key_of("service_role")[0]})
    assert b"1.10" in answer.content
    assert b"12345678901234567890.123" in answer.content


def test_an_item_without_proposals_has_an_empty_list() -> None:
    item = keep()
    assert get(f"quarantine/{item.pk}", key_of("service_role")[0])[1]["proposals"] == []


def test_a_key_sees_its_own_items_only() -> None:
    (mine, key), (other, _) = key_of("authenticated"), key_of("authenticated", "other")
    item = keep(key=key)
    assert len(get("quarantine", mine)[1]) == 1
    assert get("quarantine", other)[1] == []
    assert get(f"quarantine/{item.pk}", other)[0] == 404
    assert get(f"receipts/{item.receipt}", other)[0] == 404
    assert get(f"receipts/{item.receipt}", mine)[0] == 200


def test_users_of_one_key_do_not_see_each_other(tokens: Any) -> None:
    key_text, key = key_of("anon")
    ann, bob = (f"Bearer {tokens(sub=name)}" for name in ("ann", "bob"))
    item = keep(key=key, subject="ann")
    assert get(f"quarantine/{item.pk}", key_text, authorization=ann)[1]["payload"] == [{"email": "ann@example.com"}]
    assert get(f"quarantine/{item.pk}", key_text, authorization=bob)[0] == 404
    assert get(f"receipts/{item.receipt}", key_text, authorization=bob)[0] == 404
    assert get(f"quarantine/{item.pk}", key_text)[0] == 404
    assert get(f"quarantine/{item.pk}", key_text, authorization="Bearer a.b.c")[0] == 401


def test_an_anonymous_caller_sees_types_not_values() -> None:
    key_text, key = key_of("anon")
    error = {"code": "22P02", "message": 'invalid input syntax for type integer: "secret"', "details": "secret", "hint": None}
    item = keep({"email": "secret", "n": 5, "deep": [{"x": True}]}, key=key, role="anon", error=error)
    _, shown = get(f"quarantine/{item.pk}", key_text)
    assert shown["payload"] == [{"email": "string", "n": "number", "deep": [{"x": "boolean"}]}]
    _, receipt = get(f"receipts/{item.receipt}", key_text)
    assert "secret" not in str(shown) + str(receipt)


def test_a_revoked_or_expired_key_is_refused_at_once() -> None:
    text, key = key_of("service_role")
    assert get("quarantine", text)[0] == 200
    keys_admin.revoke_key(key, "rita")
    assert get("quarantine", text)[0] == 401
    other, row = key_of("service_role")
    ApiKey.objects.filter(pk=row.pk).update(expires_at="2020-01-01T00:00:00Z")
    assert get("quarantine", other)[0] == 401
    assert get("quarantine", other[:-1] + ("x" if other[-1] != "x" else "y"))[1]["hint"].startswith("The key is mistyped")


def test_the_receipt_of_a_kept_write_tells_what_its_replay_stored() -> None:
    from healing.gateway.seal import seal

    service, item = key_of("service_role")[0], keep()
    assert get(f"receipts/{item.receipt}", service)[1]["outcome"] == "quarantined"
    capture()
    rule = approval.approve(propose(), reviewer())
    fixes = [{**RENAME[0], "source": "matcher", "rule": str(rule.pk), "rows": [0]}]
    second = Receipt.objects.create(
        outcome="replayed", schema="public", table="users", operation="insert", role="authenticated", fixes=fixes,
        sealed=seal(b'{"sent": [{"email": "ann@example.com"}], "stored": [{"id": 1, "email_address": "ann@example.com"}], "changes": []}'),
    )  # fmt: skip
    QuarantineItem.objects.update(state="replayed", replay_receipt=second.pk)
    _, shown = get(f"receipts/{item.receipt}", service)
    assert (shown["outcome"], shown["rule"], shown["fixes"]) == ("replayed", str(rule.pk), fixes)
    assert shown["sent"] == [{"email": "ann@example.com"}]
    assert shown["stored"] == [{"id": 1, "email_address": "ann@example.com"}]


def test_feedback_is_kept_and_a_wrong_heal_counts_once_against_its_rule() -> None:
    capture()
    service, rule = key_of("service_role")[0], approval.approve(propose(), reviewer())
    receipt = Receipt.objects.create(
        outcome="committed", schema="public", table="users", operation="insert", role="anon", fixes=[{**RENAME[0], "rule": str(rule.pk)}]
    )
    status, shown = post(f"receipts/{receipt.pk}/feedback", service, {"right": False, "comment": "wrong column"})
    assert (status, shown["feedback"]["right"]) == (200, False)
    post(f"receipts/{receipt.pk}/feedback", service, {"right": False})
    rule.refresh_from_db()
    assert rule.reversals == 1
    assert post(f"receipts/{receipt.pk}/feedback", service, {"right": "maybe"})[0] == 422


def test_wrong_about_a_write_that_only_waits_does_not_hide_a_later_reversal() -> None:
    capture()
    service, item, rule = key_of("service_role")[0], keep(), approval.approve(propose(), reviewer())
    post(f"receipts/{item.receipt}/feedback", service, {"right": False})
    second = Receipt.objects.create(
        outcome="replayed", schema="public", table="users", operation="insert", role="anon", fixes=[{**RENAME[0], "rule": str(rule.pk)}]
    )
    QuarantineItem.objects.update(state="replayed", replay_receipt=second.pk)
    for receipt in (item.receipt, second.pk, item.receipt):  # two receipts of one write
        post(f"receipts/{receipt}/feedback", service, {"right": False})
    rule.refresh_from_db()
    assert rule.reversals == 1


def test_a_kept_write_cannot_be_undone() -> None:
    item = keep()
    status, body = post(f"receipts/{item.receipt}/undo", key_of("service_role")[0])
    assert (status, set(body)) == (409, {"code", "message", "details", "hint"})


def test_a_key_with_other_scopes_is_not_for_this_api() -> None:
    for scopes, status in ((["data"], 403), (["data", "api"], 200)):
        text, _ = keys_admin.create_key("scoped", "service_role", scopes=scopes)
        assert get("quarantine", text)[0] == status


def test_what_is_not_there_is_404_and_what_is_no_id_is_422() -> None:
    service = key_of("service_role")[0]
    assert get(f"quarantine/{uuid.uuid4()}", service)[0] == 404
    status, body = get("quarantine/not-an-id", service)
    assert (status, set(body)) == (422, {"code", "message", "details", "hint"})
    assert get("quarantine?limit=100000", service)[0] == 422


def test_a_nul_is_refused() -> None:
    service, item = key_of("service_role")[0], keep()
    for status, body in (
        post(f"receipts/{item.receipt}/feedback", service, {"right": False, "comment": "a\0b"}),
        get("quarantine?state=%00", service),
        get("quarantine?table=%00", service),
    ):
        assert (status, body["code"], set(body)) == (422, "MG422", {"code", "message", "details", "hint"})
    assert post(f"receipts/{item.receipt}/feedback", service, {"right": False, "comment": "two\nlines"})[0] == 200


@pytest.mark.parametrize("megabytes", [5, 20])
def test_a_body_that_is_too_large_is_413(megabytes: int) -> None:
    service, item = key_of("service_role")[0], keep()
    for path, name in ((f"receipts/{item.receipt}/feedback", "comment"), ("schema/impact", "ddl")):
        status, body = post(path, service, {"right": True, name: "x" * megabytes * 1_000_000})
        assert (status, body["code"], set(body)) == (413, "MG413", {"code", "message", "details", "hint"})


def test_schema_versions_and_changes_are_readable() -> None:
    service, version = key_of("service_role")[0], capture(epoch=3)
    version.changes.create(kind="column_renamed", severity="low", schema="public", relation="users", sentence="email became email_address")
    assert get("schema/versions", service)[1][0]["epoch"] == 3
    assert get("schema/changes?since=2", service)[1][0]["sentence"] == "email became email_address"
    assert get("schema/changes?since=3", service)[1] == []


def test_the_documentation_needs_no_network() -> None:
    page = Client().get("/api/v1/docs")
    assert page.status_code == 200
    assert b"http://" not in page.content.replace(b"http://www.w3.org", b"")
    assert b"https://" not in page.content
    paths = Client().get("/api/v1/openapi.json").json()["paths"]
    assert "/api/v1/quarantine/{item_id}" in paths


def test_transactions_are_documented_as_they_are_read() -> None:
    document = Client().get("/api/v1/openapi.json").json()
    post = document["paths"]["/api/v1/transactions"]["post"]
    asked = document["components"]["schemas"]
    assert post["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Transaction"}
    assert {"op", "table", "rows", "as", "savepoint", "on_conflict"} <= set(asked["Operation"]["properties"])
    assert post["security"], "it needs a key, too"


def test_no_door_of_the_api_approves() -> None:
    paths = Client().get("/api/v1/openapi.json").json()["paths"]
    writes = {path for path, doors in paths.items() if set(doors) - {"get"}}
    doors = ("transactions", "receipts/{receipt_id}/feedback", "receipts/{receipt_id}/undo", "schema/impact", "metrics/edge")
    assert writes == {f"/api/v1/{door}" for door in doors}
