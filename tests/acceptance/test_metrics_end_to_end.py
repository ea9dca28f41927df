"""Known traffic through the real web process, and the numbers that come out of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.gateway_process import Gateway
from tests.waiting import HANGS


@pytest.fixture(scope="module")
def known(make_gateway: Any) -> Gateway:
    gateway: Gateway = make_gateway()
    gateway.sql("CREATE TABLE public.notes (id int PRIMARY KEY, body text NOT NULL)")
    gateway.sql("GRANT ALL ON public.notes TO service_role")
    gateway.start()
    gateway.sql("ALTER TABLE public.notes RENAME COLUMN body TO text")
    with gateway.client() as client:
        until = time.monotonic() + HANGS
        while client.post("/rest/v1/notes", json={"id": 1, "body": "a"}).status_code != 201 and time.monotonic() < until:
            time.sleep(0.1)
        for number in range(2, 6):
            assert client.post("/rest/v1/notes", json={"id": number, "text": "a"}).status_code == 201
        assert client.patch("/rest/v1/notes?id=eq.2", json={"text": "b"}).status_code == 204
        assert client.post("/rest/v1/notes", json={"id": 9, "nowhere": "a", "text": "x"}).headers["mendgate-quarantine"]
        assert client.post("/rest/v1/notes", json={"id": 2, "text": "a"}).status_code == 409
        assert client.get("/rest/v1/notes?select=id").status_code == 200
        assert client.get("/rest/v1/made_up_by_a_caller").status_code == 404
    return gateway


def summary(gateway: Gateway) -> dict[str, Any]:
    with gateway.client() as client:
        found: dict[str, Any] = client.get("/api/v1/metrics/summary?window=1h").json()
    return found


def test_the_summary_tells_of_the_traffic(known: Gateway):
    until = time.monotonic() + HANGS
    while (found := summary(known))["avg_select_duration"] is None and time.monotonic() < until:  # reads came last
        time.sleep(0.3)
    assert found["healing_success_rate"] == pytest.approx(0.5), "one healed, one kept"
    assert found["deterministic_fix_rate"] == 1.0 and found["ai_fix_rate"] == 0.0
    assert found["avg_insert_duration"] > 0 and found["avg_update_duration"] > 0 and found["avg_select_duration"] > 0


def test_prometheus_counts_each_write_once(known: Gateway):
    summary(known)
    with known.client() as client:
        lines = client.get("/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("mendgate_writes_total{")]
    by_outcome = {outcome: sum(float(line.rsplit(" ", 1)[1]) for line in counted if f'outcome="{outcome}"' in line) for outcome in
                  ("healthy", "healed", "kept", "refused", "failed")}  # fmt: skip
    assert by_outcome == {"healthy": 5.0, "healed": 1.0, "kept": 1.0, "refused": 1.0, "failed": 0.0}
    assert not [line for line in lines if "made_up_by_a_caller" in line], "names that callers make up are no labels"
    heals = [line for line in lines if line.startswith("mendgate_heals_total{")]
    assert len(heals) == 1 and 'fix="rename_column"' in heals[0] and 'source="lineage"' in heals[0] and 'table="public.notes"' in heals[0]


def test_what_was_observed_survives_a_restart_and_is_not_counted_twice(known: Gateway):
    known.stop()
    known.start()
    found = summary(known)
    assert found["healing_success_rate"] == pytest.approx(0.5)
    test_prometheus_counts_each_write_once(known)
