"""The AI tier from a kept write to a row or a proposal: a scripted model, everything else real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.gateway_process import Gateway
from tests.integration.assist_rows import ScriptedModel, drain, forget, prepared, runs, scripted_model, send, work
from tests.waiting import HANGS

ACCEPT = {"Prefer": "quarantine=accept"}


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with scripted_model() as model:
        yield model


@pytest.fixture(scope="module")
def made(make_gateway: Callable[..., Gateway], model: ScriptedModel) -> Gateway:
    return prepared(make_gateway, model)


@pytest.fixture
def running(made: Gateway, model: ScriptedModel) -> Gateway:
    forget(made)
    model.asked.clear()
    model.status, model.pause = 200, 0.0
    return made


def stored(gateway: Gateway) -> list[dict[str, object]]:
    return gateway.sql("SELECT first_name, zip_code, note, role FROM people ORDER BY id")


def test_a_proven_fix_lands_what_was_accepted_and_is_a_proposal(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    kept = [send(running, {"firstName": name, "note": "n"}, **ACCEPT) for name in ("Ann", "Bea", "Cleo")]
    assert {answer.status_code for answer in kept} == {202}
    work(running)
    assert len(model.asked) == 1
    drain(running)
    assert [row["first_name"] for row in stored(running)] == ["Ann", "Bea", "Cleo"]
    run = runs(running)[0]
    assert (run["verdict"], run["agreement"], run["model"], run["prompt_version"]) == ("proven", "same", "scripted", 1)
    assert (run["proof"]["tried"], run["proof"]["landed"], run["output_tokens"]) == (3, 3, 20)
    proposal = running.control("SELECT * FROM healing_proposal WHERE id = %s", run["proposal_id"])[0]
    assert (proposal["state"], proposal["evidence"]["ai"]["model"], proposal["evidence"]["ai"]["often"]) == ("open", "scripted", True)
    assert running.control("SELECT count(*) AS n FROM healing_rule") == [{"n": 0}]
    running.manage("shell", "-c", "from healing.receipt_copies import copy_all; copy_all()")
    (receipt,) = running.control("SELECT fixes FROM healing_receipt WHERE outcome = 'replayed' AND fixes <> '[]' LIMIT 1")
    (fix,) = receipt["fixes"]
    assert (fix["source"], fix["rule"], fix["assist"]["model"], fix["assist"]["prompt"]) == ("ai", None, "scripted", "fix v1")
    assert fix["assist"]["proof"] == run["proof"]


MANY = """
from uuid import uuid4
from healing.models import QuarantineItem
item = QuarantineItem.objects.get()
for number in range(item.number + 1, item.number + 241):
    item.pk, item.number, item._state.adding = uuid4(), number, True
    item.save(force_insert=True)
"""


def test_an_outage_that_kept_many_writes_is_tried_whole(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    assert send(running, {"firstName": "Ann"}, **ACCEPT).status_code == 202
    running.manage("shell", "-c", MANY)
    work(running)
    (run,) = runs(running)
    assert (run["verdict"], run["proof"]["tried"], run["proof"]["landed"], run["proof"]["more"]) == ("proven", 241, 241, 0)


def test_what_the_caller_got_as_an_error_stays_for_a_person(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    assert send(running, {"firstName": "Ann"}).status_code == 400
    work(running)
    drain(running)
    assert (stored(running), runs(running)[0]["verdict"]) == ([], "proven")
    assert running.control("SELECT state FROM healing_quarantineitem") == [{"state": "waiting"}]


def test_a_later_write_of_the_same_cause_is_proven_anew_without_asking(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    for name in ("Ann", "Bea"):
        send(running, {"firstName": name}, **ACCEPT)
        work(running)
        drain(running)
    assert [row["first_name"] for row in stored(running)] == ["Ann", "Bea"]
    assert len(model.asked) == 1
    assert [run["asked"] for run in runs(running)] == [True, False]
    (proposal,) = running.control("SELECT source, probability, evidence FROM healing_proposal WHERE evidence ? 'ai'")
    assert proposal["evidence"]["ai"]["run"] == str(runs(running)[1]["id"])
    send(running, {"firstName": "Cleo"})  # the matcher speaks again: what the AI said stays
    assert running.control("SELECT source, probability, evidence FROM healing_proposal WHERE evidence ? 'ai'") == [proposal]


def test_a_wrong_fix_is_never_applied(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "zip_code")
    send(running, {"firstName": "Ann"}, **ACCEPT)
    work(running)
    drain(running)
    run = runs(running)[0]
    assert (stored(running), run["verdict"], run["agreement"]) == ([], "proposed", "other")
    assert "something else" in run["why"]


def test_what_grants_rights_is_for_people_though_all_agree(running: Gateway, model: ScriptedModel) -> None:
    model.renames("Role", "role")
    send(running, {"Role": "admin"}, **ACCEPT)
    work(running)
    drain(running)
    run = runs(running)[0]
    assert (stored(running), run["verdict"]) == ([], "proposed")
    assert "rights" in run["why"]


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        ({"m1": {"op": "none"}}, "abstained"),
        ("I would rename it.", "invalid"),
        ({"m1": {"op": "drop_key", "column": "note"}}, "invalid"),
        ({"m1": {"op": "rename_column", "from": "note", "to": "role"}}, "invalid"),
        ({"m1": {"op": "drop_key", "column": "firstName"}}, "proposed"),
    ],
)
def test_other_answers_apply_nothing(running: Gateway, model: ScriptedModel, says: object, verdict: str) -> None:
    model.says = says
    send(running, {"firstName": "Ann", "note": "keep me"}, **ACCEPT)
    work(running)
    drain(running)
    assert (stored(running), [run["verdict"] for run in runs(running)]) == ([], [verdict])
    send(running, {"firstName": "Bea", "note": "keep me"}, **ACCEPT)
    assert len(runs(running)) == 1  # it was asked, in vain, about this very schema


def test_no_value_leaves_in_prompt_log_or_run(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    canary = "canary-4711-value"
    send(running, {"firstName": canary, "note": canary, "zip_code": 5}, **ACCEPT)
    work(running)
    told = str(model.asked) + str(runs(running)) + running.log.read_text() + str(running.control("SELECT evidence FROM healing_proposal"))
    assert canary not in told
    assert "first_name" in str(model.asked)
    drain(running)
    assert stored(running)[0]["first_name"] == canary


def test_nothing_that_a_trial_wrote_stays(running: Gateway, model: ScriptedModel) -> None:
    running.sql("CREATE TABLE seen (name text); CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
                "'BEGIN INSERT INTO public.seen VALUES (NEW.first_name); RETURN NEW; END';"
                "CREATE TRIGGER told AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION tell()")  # fmt: skip
    try:
        model.renames("firstName", "first_name")
        send(running, {"firstName": "Ann"})
        work(running)
        assert runs(running)[0]["proof"]["landed"] == 1
        assert (stored(running), running.sql("SELECT * FROM seen")) == ([], [])
        assert running.sql(
            "SELECT count(*) AS n FROM mendgate.idempotency WHERE caller = 'mendgate:replay' AND at > now() - interval '1 s'"
        )
    finally:
        running.sql("DROP TRIGGER told ON people; DROP FUNCTION tell(); DROP TABLE seen")


def test_a_table_whose_triggers_may_reach_out_is_not_tried(running: Gateway, model: ScriptedModel) -> None:
    running.sql("CREATE LANGUAGE plfar HANDLER plpgsql_call_handler")  # not trusted: what it does is not bound to the transaction
    running.sql("CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    running.sql("CREATE TRIGGER t AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION noop()")
    try:
        model.renames("firstName", "first_name")
        send(running, {"firstName": "Ann"}, **ACCEPT)
        work(running)
        drain(running)
        run = runs(running)[0]
        assert (stored(running), run["verdict"], run["proof"]["tried"]) == ([], "proposed", 0)
        assert "plfar" in run["why"]
    finally:
        running.sql("DROP TRIGGER t ON people; DROP FUNCTION noop(); DROP LANGUAGE plfar")


def test_a_default_may_reach_out_too(running: Gateway, model: ScriptedModel) -> None:
    running.sql("CREATE FOREIGN DATA WRAPPER faraway")
    running.sql("CREATE FUNCTION calls() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''dblink''; END'")
    running.sql("ALTER TABLE people ALTER note SET DEFAULT calls()")
    try:
        model.renames("firstName", "first_name")
        send(running, {"firstName": "Ann"}, **ACCEPT)
        work(running)
        run = runs(running)[0]
        assert (run["verdict"], run["proof"]["tried"], "faraway" in run["why"]) == ("proposed", 0, True)
    finally:
        running.sql("ALTER TABLE people ALTER note DROP DEFAULT; DROP FUNCTION calls(); DROP FOREIGN DATA WRAPPER faraway")


def test_a_trigger_that_changes_the_value_fails_the_proof(running: Gateway, model: ScriptedModel) -> None:
    running.sql("CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.first_name := upper(NEW.first_name); RETURN NEW; END';"
                "CREATE TRIGGER t BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION up()")  # fmt: skip
    try:
        model.renames("firstName", "first_name")
        send(running, {"firstName": "Ann"}, **ACCEPT)
        work(running)
        drain(running)
        assert (stored(running), runs(running)[0]["verdict"]) == ([], "proposed")
    finally:
        running.sql("DROP TRIGGER t ON people; DROP FUNCTION up()")


def test_with_nobody_to_ask_healing_goes_on_and_asks_later(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    model.status = 500
    send(running, {"firstName": "Ann"}, **ACCEPT)
    work(running)
    run = runs(running)[0]
    assert (run["state"], run["verdict"], run["due_at"] > run["created_at"]) == ("due", "unavailable", True)
    work(running)
    model.status = 200
    running.control("UPDATE healing_assistrun SET due_at = now()")
    work(running)
    if runs(running)[0]["verdict"] == "unavailable":  # its breaker may still be open: that is no fault of this part
        pytest.skip(runs(running)[0]["why"])
    drain(running)
    assert [row["first_name"] for row in stored(running)] == ["Ann"]


def test_the_first_reversal_ends_it(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    receipt = send(running, {"firstName": "Ann"}, **ACCEPT).headers["mendgate-receipt"]
    work(running)
    drain(running)
    answer = httpx.post(f"{running.base_url}/api/v1/receipts/{receipt}/undo", headers={"apikey": running.make_key()})
    assert (answer.status_code, stored(running)) == (200, [])
    send(running, {"firstName": "Bea"}, **ACCEPT)
    work(running)
    drain(running)
    assert stored(running) == []
    assert {run["verdict"] for run in runs(running)} == {"proposed"}


def test_what_a_person_rejects_after_the_proof_does_not_land(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    send(running, {"firstName": "Ann"}, **ACCEPT)
    work(running)
    (run,) = runs(running)
    assert run["verdict"] == "proven"
    running.manage("reject", str(run["proposal_id"]), "--user", "rita", "--why", "another name is meant")
    drain(running)
    assert stored(running) == []
    assert running.control("SELECT state FROM healing_quarantineitem") == [{"state": "waiting"}]


def test_other_policies_ask_nobody(running: Gateway, model: ScriptedModel) -> None:
    send(running, {"firstName": "Ann"}, table="other")
    send(running, {"firstName": "Ann"}, Prefer="healing=approved")
    assert (runs(running), model.asked) == ([], [])


@pytest.mark.parametrize(("verdict", "age", "asks"), [("not needed", "1 s", 1), ("failed", "1 s", 0), ("failed", "2 h", 1)])
def test_a_run_that_asked_nothing_does_not_silence_its_cause(
    running: Gateway, model: ScriptedModel, verdict: str, age: str, asks: int
) -> None:
    model.renames("firstName", "first_name")
    send(running, {"firstName": "Ann"})
    work(running)
    running.control("UPDATE healing_assistrun SET verdict = %s, finished_at = now() - %s::interval", verdict, age)
    model.asked.clear()
    send(running, {"firstName": "Bea"})
    work(running)
    assert len(model.asked) == asks


def test_an_approved_fix_of_the_ai_is_a_rule_in_the_metrics(running: Gateway, model: ScriptedModel) -> None:
    model.renames("firstName", "first_name")
    send(running, {"firstName": "Ann"})
    work(running)
    running.control("DELETE FROM metrics_flush")
    running.control("UPDATE healing_proposal SET source = 'ai'")
    (proposal,) = running.control("SELECT id::text AS id FROM healing_proposal WHERE evidence ? 'ai'")
    running.manage("approve", proposal["id"], "--user", "rita")
    answers: list[int] = []
    until = time.monotonic() + HANGS
    while 201 not in answers and time.monotonic() < until:
        answers.append(send(running, {"firstName": "Bea"}).status_code)
    heals: list[list[str]] = []
    while not heals and time.monotonic() < until:
        time.sleep(0.2)
        counted = [series for flush in running.control("SELECT body FROM metrics_flush") for series, _ in flush["body"]["counters"]]
        heals = [series for series in counted if series[0] == "mendgate_heals_total"]
    assert [series[:4] for series in heals] == [["mendgate_heals_total", "public.people", "rename_column", "learned"]]
