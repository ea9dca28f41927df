"""Policy ``certified`` through the real gateway: silent without evidence, used with it, off after the first reversal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from healing.core.certify import Tally, needed
from healing.core.heal import Kept, Refused
from healing.core.match.model import shipped
from healing.core.types import Failure
from healing.gateway.write import is_final
from tests.gateway_process import Gateway
from tests.waiting import HANGS

TABLE = "CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, first_name text NOT NULL, note text, born date);"
GRANT = "GRANT ALL ON people TO service_role; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO service_role"
ROW = {"firstName": "Ann", "note": "n", "born": "2001-02-03"}
PAST = """INSERT INTO healing_matchverdict (bucket, schema, "table", signature, content_hash, "right", how, who)
    SELECT %s, 'public', 'other', 'unknown_column:c' || n, n::text, true, 'approved', 'rita' FROM generate_series(1, %s) n"""
RETIRE = """
from django.contrib.auth import get_user_model
from healing import rules
from healing.models import Rule
rules.retire(Rule.objects.get(), get_user_model().objects.get(username="rita"), "it was wrong")
"""
TELL = "SELECT pg_notify('mendgate_snapshot', 'certified')"


@pytest.fixture(scope="module")
def made(make_gateway: Callable[..., Gateway]) -> Gateway:
    gateway = make_gateway()
    gateway.sql(TABLE + GRANT)
    gateway.manage("capture_schema")
    gateway.manage("createsuperuser", "--noinput", "--username", "rita", "--email", "r@example.com")
    gateway.manage("set_policy", "--table", "people", "--healing", "certified")
    return gateway.start()


@pytest.fixture
def running(made: Gateway) -> Gateway:
    made.control("TRUNCATE healing_matchverdict, healing_quarantineitem, healing_proposal, healing_rule, healing_receipt CASCADE")
    for part in ("rules", "certified"):
        made.control("SELECT pg_notify('mendgate_snapshot', %s)", part)
    until(lambda: send(made, ROW).status_code == 400)
    made.sql("DELETE FROM people")
    return made


def send(gateway: Gateway, row: dict[str, Any], **headers: str) -> httpx.Response:
    headers = {"apikey": gateway.make_key(), "prefer": "return=representation", **headers}
    return httpx.post(f"{gateway.base_url}/rest/v1/people", json=row, headers=headers)


def bucket_of(gateway: Gateway) -> str:
    """The bucket of the proposal that a first, kept write gets."""
    assert send(gateway, ROW).status_code == 400
    (best,) = gateway.control("SELECT evidence FROM healing_proposal WHERE evidence ? 'bucket'")
    bucket = str(best["evidence"]["bucket"])
    assert bucket.startswith(f"{shipped().stamp}/rename_column/")
    return bucket


def enough(bucket: str) -> int:
    """How many right decisions certify the bucket, after what the model's training showed."""
    lacks = needed(Tally(*shipped().evidence.get(bucket.partition("/")[2], (0, 0))))
    assert lacks
    return lacks


def proven(gateway: Gateway) -> str:
    """The bucket, certified by past decisions."""
    bucket = bucket_of(gateway)
    gateway.control(PAST, bucket, enough(bucket))
    gateway.control(TELL)
    until(lambda: send(gateway, ROW).status_code == 201)
    gateway.sql("DELETE FROM people")
    return bucket


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def names(gateway: Gateway) -> list[str]:
    return [row["first_name"] for row in gateway.sql("SELECT first_name FROM people ORDER BY id")]


def receipt_of(gateway: Gateway, answer: httpx.Response) -> dict[str, Any]:
    path = f"{gateway.base_url}/api/v1/receipts/{answer.headers['mendgate-receipt']}"
    return dict(httpx.get(path, headers={"apikey": gateway.make_key()}).json())


def test_without_evidence_it_certifies_nothing_and_says_so(running: Gateway) -> None:
    bucket = bucket_of(running)
    said = running.manage("certified")
    assert "No bucket is certified yet" in said
    assert names(running) == []
    running.control(PAST, bucket, enough(bucket) - 1)
    running.control(TELL)
    time.sleep(0.5)
    assert send(running, ROW).status_code == 400
    assert names(running) == []


def test_with_the_evidence_it_applies_itself_and_the_receipt_says_on_what(running: Gateway) -> None:
    bucket = proven(running)
    answer = send(running, ROW)
    assert (answer.status_code, answer.json()[0]["first_name"]) == (201, "Ann")
    assert answer.headers["mendgate-healed"] == "rename_column(firstName->first_name)"
    (fix,) = receipt_of(running, answer)["fixes"]
    assert (fix["source"], fix["rule"], fix["certified"]["bucket"]) == ("matcher", None, bucket)
    assert fix["certified"]["bound"] >= 0.999
    assert f"{bucket}" in running.manage("certified")


def test_callers_may_ask_for_less_and_other_policies_do_not_use_it(running: Gateway) -> None:
    proven(running)
    assert send(running, ROW, prefer="healing=approved").status_code == 400
    running.sql("CREATE TABLE IF NOT EXISTS persons (first_name text, note text, born date); GRANT ALL ON persons TO service_role")
    running.manage("capture_schema")
    headers = {"apikey": running.make_key()}
    until(lambda: httpx.get(f"{running.base_url}/rest/v1/persons", headers=headers).status_code == 200)
    answer = httpx.post(f"{running.base_url}/rest/v1/persons", json=ROW, headers=headers)
    assert answer.status_code == 400


def test_the_first_reversal_ends_the_bucket_for_every_table(running: Gateway) -> None:
    bucket = proven(running)
    answer = send(running, ROW)
    path = f"{running.base_url}/api/v1/receipts/{answer.headers['mendgate-receipt']}/feedback"
    said = httpx.post(path, json={"right": False, "comment": "no"}, headers={"apikey": running.make_key()})
    assert said.status_code == 200, said.text
    until(lambda: send(running, ROW).status_code == 400)
    (ended,) = running.control("SELECT bucket, \"right\" FROM healing_matchverdict WHERE how = 'reversed'")
    assert (ended["bucket"], ended["right"]) == (bucket, False)
    assert "off: a heal was taken back" in running.manage("certified")
    running.control(PAST.replace("'other'", "'more'"), bucket, 2 * enough(bucket))
    running.control(TELL)
    time.sleep(0.5)
    assert send(running, ROW).status_code == 400


def test_a_fix_that_a_person_rejected_is_not_applied_however_proven_its_bucket_is(running: Gateway) -> None:
    bucket = bucket_of(running)
    (best,) = running.control("SELECT id FROM healing_proposal WHERE evidence ? 'bucket'")
    running.manage("reject", str(best["id"]), "--user", "rita", "--why", "another column")
    (verdict,) = running.control('SELECT bucket, "right", how FROM healing_matchverdict')
    assert (verdict["bucket"], verdict["right"], verdict["how"]) == (bucket, False, "rejected")
    running.control(PAST, bucket, 2 * enough(bucket))
    running.control(TELL)
    time.sleep(0.5)
    assert send(running, ROW).status_code == 400


def test_a_fix_whose_rule_a_person_retired_is_not_applied_by_its_bucket(running: Gateway) -> None:
    """Also where nothing is said about the bucket itself."""
    bucket = bucket_of(running)
    (best,) = running.control("SELECT id FROM healing_proposal WHERE evidence ? 'bucket'")
    running.manage("approve", str(best["id"]), "--user", "rita")
    running.control(PAST, bucket, 2 * enough(bucket))
    running.control(TELL)
    until(lambda: send(running, ROW).status_code == 201)
    running.manage("shell", "-c", RETIRE)
    until(lambda: send(running, ROW).status_code == 400)


def test_a_write_whose_outcome_nobody_knows_is_not_kept_too() -> None:
    """It would be written twice."""
    assert is_final(Refused(Failure("MG504", "cut while committing")))
    assert not is_final(Refused(Failure("23505", "a duplicate")))
    assert not is_final(Kept(Failure("23514", "a check"), ()))


def test_an_approval_is_evidence_once_for_each_cause(running: Gateway) -> None:
    bucket = bucket_of(running)
    (best,) = running.control("SELECT id FROM healing_proposal WHERE evidence ? 'bucket'")
    for _ in range(2):
        running.manage("approve", str(best["id"]), "--user", "rita")
    assert running.control('SELECT bucket, "right", how, who FROM healing_matchverdict') == [
        {"bucket": bucket, "right": True, "how": "approved", "who": "rita"}
    ]


def test_what_the_database_refuses_with_the_fix_is_kept_as_it_was_sent(running: Gateway) -> None:
    proven(running)
    running.sql("ALTER TABLE people ADD CONSTRAINT short CHECK (length(first_name) < 3)")
    try:
        answer = send(running, ROW)
        assert (answer.status_code, answer.json()["code"]) == (400, "PGRST204")
        assert running.control("SELECT state FROM healing_quarantineitem WHERE id = %s", answer.headers["mendgate-quarantine"])
        assert names(running) == []
    finally:
        running.sql("ALTER TABLE people DROP CONSTRAINT short")
