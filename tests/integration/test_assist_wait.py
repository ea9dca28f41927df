"""``Prefer: wait``: the caller of a kept write waits for the proof, and the write lands once, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import commands
from tests.gateway_process import Gateway
from tests.integration.assist_rows import ScriptedModel, drain, forget, prepared, runs, scripted_model, send, work
from tests.waiting import HANGS

WAIT, WAITED = {"Prefer": "wait=25, return=representation"}, 20
"""Seconds that who waits in vain waits; and what he takes at most who does not."""


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
    model.renames("firstName", "first_name")
    return made


def names(gateway: Gateway) -> list[str]:
    return [row["first_name"] for row in gateway.sql("SELECT first_name FROM people ORDER BY id")]


def states(gateway: Gateway) -> list[str]:
    return [row["state"] for row in gateway.control("SELECT state FROM healing_quarantineitem ORDER BY number")]


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_caller_gets_its_row_when_the_proof_comes_in_time(running: Gateway, model: ScriptedModel) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(send, running, {"firstName": name, "note": "n"}, **WAIT) for name in ("Ann", "Bea")]
        until(lambda: len(states(running)) == 2)
        work(running)
        answers = [each.result() for each in waiting]
    assert [(a.status_code, a.json()[0]["first_name"]) for a in answers] == [(201, "Ann"), (201, "Bea")]
    assert {a.headers["mendgate-healed"] for a in answers} == {"rename_column(firstName->first_name)"}
    assert (sorted(names(running)), states(running), len(model.asked)) == (["Ann", "Bea"], ["replayed"] * 2, 1)
    receipt = httpx.get(
        f"{running.base_url}/api/v1/receipts/{answers[0].headers['mendgate-receipt']}", headers={"apikey": running.make_key()}, timeout=20
    ).json()
    assert receipt["fixes"][0]["assist"]["model"] == "scripted"
    drain(running)
    assert len(names(running)) == 2


def test_the_worker_rung_by_the_gateway_answers_in_time(running: Gateway, model: ScriptedModel) -> None:
    worker = threading.Thread(target=commands.run, args=(["rqworker", "ai", "--burst"], running.environment))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, running, {"firstName": "Ann"}, **WAIT)
        until(lambda: len(runs(running)) == 1)
        time.sleep(0.3)  # the ring is a thread of the gateway's
        worker.start()
        answer = waiting.result()
    worker.join()
    assert (answer.status_code, names(running)) == (201, ["Ann"])


def test_at_the_deadline_it_is_the_usual_error(running: Gateway, model: ScriptedModel) -> None:
    started = time.monotonic()
    answer = send(running, {"firstName": "Ann"}, Prefer="wait=1")
    assert time.monotonic() - started > 0.8
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST204")
    assert (states(running), names(running)) == (["waiting"], [])
    assert running.control("SELECT lease_until, assist_id FROM healing_quarantineitem") == [{"lease_until": None, "assist_id": None}]


def test_at_the_deadline_an_accepted_write_is_202_and_lands_later_once(running: Gateway, model: ScriptedModel) -> None:
    answer = send(running, {"firstName": "Ann"}, Prefer="wait=0.5, quarantine=accept")
    assert answer.status_code == 202
    work(running)
    drain(running)
    drain(running)
    assert (names(running), states(running)) == (["Ann"], ["replayed"])


def test_without_a_proof_it_does_not_wait_in_vain(running: Gateway, model: ScriptedModel) -> None:
    model.says = {"m1": {"op": "none"}}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, running, {"firstName": "Ann"}, **WAIT)
        until(lambda: len(states(running)) == 1)
        work(running)
        started = time.monotonic()
        assert waiting.result().status_code == 400
    assert time.monotonic() - started < WAITED
    assert send(running, {"firstName": "Ann"}, **WAIT).elapsed.total_seconds() < WAITED  # asked in vain before
    assert names(running) == []


def test_an_idempotency_key_has_one_effect(running: Gateway, model: ScriptedModel) -> None:
    headers = {**WAIT, "Idempotency-Key": "once-1"}
    assert send(running, {"firstName": "Ann"}, Prefer="wait=0.2", **{"Idempotency-Key": "once-1"}).status_code == 400
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, running, {"firstName": "Ann"}, **headers)
        until(lambda: running.control("SELECT lease_until FROM healing_quarantineitem")[0]["lease_until"] is not None)
        work(running)
        first = waiting.result()
    again = send(running, {"firstName": "Ann"}, **headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert names(running) == ["Ann"]


def test_a_batch_lands_whole(running: Gateway, model: ScriptedModel) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, running, [{"firstName": "Ann"}, {"firstName": "Bea"}], **WAIT)
        until(lambda: len(states(running)) == 1)
        work(running)
        assert [row["first_name"] for row in waiting.result().json()] == ["Ann", "Bea"]


def test_a_lower_wish_or_policy_does_not_wait(running: Gateway, model: ScriptedModel) -> None:
    for table, prefer in (("people", "wait=25, healing=approved"), ("other", "wait=25")):
        answer = send(running, {"firstName": "Ann"}, table=table, Prefer=prefer)
        assert answer.status_code == 400
        assert answer.elapsed.total_seconds() < WAITED
    assert runs(running) == []


def test_waiting_writes_do_not_hold_up_healthy_ones(running: Gateway, model: ScriptedModel) -> None:
    model.says = {"m1": {"op": "none"}}
    with ThreadPoolExecutor(80) as pool:
        waiting = [pool.submit(send, running, {"firstName": "x"}, **WAIT) for _ in range(80)]
        until(lambda: len(states(running)) == 80)
        assert {send(running, {"first_name": "Ann"}).status_code for _ in range(20)} == {201}
        assert not all(each.done() for each in waiting)
        work(running)
        assert {each.result().status_code for each in waiting} == {400}
    assert len(names(running)) == 20


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('statement_timeout') <> '10s' THEN PERFORM pg_sleep(30); END IF;  -- a trial is not slowed down
    RETURN NEW; END $$;
CREATE TRIGGER slow AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION slow()"""


def test_a_gateway_killed_while_it_writes_leaves_the_write_waiting(running: Gateway, model: ScriptedModel) -> None:
    running.sql(SLOW)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, running, {"firstName": "Ann"}, **WAIT)
        until(lambda: len(states(running)) == 1)
        work(running)
        until(lambda: states(running) == ["replaying"])
        running.kill9()
        with pytest.raises(httpx.HTTPError):
            waiting.result()
    running.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    running.sql("DROP TRIGGER slow ON people; DROP FUNCTION slow()")
    running.control("UPDATE healing_quarantineitem SET lease_until = now() - interval '1 s'")
    running.start()
    running.manage("shell", "-c", "from healing.jobs import sweep; sweep()")
    assert (states(running), names(running)) == (["waiting"], [])


def test_a_gateway_killed_after_its_commit_has_written_once(running: Gateway, model: ScriptedModel) -> None:
    kept = send(running, {"firstName": "Ann"}).headers["mendgate-quarantine"]
    work(running)
    run = runs(running)[0]["id"]
    running.control("UPDATE healing_quarantineitem SET state = 'replaying', lease_until = now() - interval '1 s', assist_id = %s", run)
    running.sql("INSERT INTO people (first_name) VALUES ('Ann')")  # what the process had done before it died
    running.sql("INSERT INTO mendgate.idempotency (caller, key, request_hash, status, headers, body) VALUES "
                "('mendgate:replay', %s, 'h', 201, '[[\"Mendgate-Outcome\",\"replayed\"]]', '')", kept)  # fmt: skip
    running.manage("shell", "-c", "from healing.jobs import sweep; sweep()")
    assert (states(running), names(running)) == (["replayed"], ["Ann"])
    running.manage("replay", "--quarantine", kept, "--wait")
    assert names(running) == ["Ann"]
