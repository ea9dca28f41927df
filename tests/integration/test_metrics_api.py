"""The numbers as others read them: the summary, and Prometheus."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from healing import keys_admin
from metrics.core.names import METRICS
from metrics.core.observation import Asked, Wrote
from metrics.core.summary import NUMBERS
from metrics.models import Flush
from metrics.recorder import Recorder
from tests.integration.control_rows import keep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]
TARGETS_OF_THE_CONTRACT = {
    "avg_insert_duration", "avg_update_duration", "avg_select_duration", "healing_success_rate", "avg_healing_duration",
    "deterministic_fix_rate", "ai_fix_rate", "circuit_breaker_trips", "fallback_usage_rate", "schema_changes_detected",
    "cache_invalidations",
}  # fmt: skip


@pytest.fixture
def key() -> str:
    return keys_admin.create_key("prometheus", "service_role")[0]


@pytest.fixture
def traffic() -> None:
    recorder = Recorder()

    def store(boot: str, number: int, body: str) -> None:
        Flush.objects.create(boot=uuid.UUID(boot), number=number, body=msgspec.json.decode(body))

    recorder.connect(store)
    for _ in range(9):
        recorder.observe(Wrote('public."odd\n\\name"', "insert", "shop", "healthy", 0.004))
    recorder.observe(Wrote("public.a", "insert", "shop", "healed", 0.012, heals=(("rename_column", "lineage"),)))
    recorder.observe(Asked("m", "p", "edge", "canned", 0.001, saved=0.5))
    assert recorder.flush()


def get(path: str, key: str = "") -> Any:
    return Client().get(path, headers={"apikey": key} if key else {})


def test_the_summary_has_every_number_of_the_contract(key: str, traffic: None):
    found = get("/api/v1/metrics/summary?window=7d", key).json()
    assert set(found) >= TARGETS_OF_THE_CONTRACT
    assert found["avg_insert_duration"] == pytest.approx((9 * 4 + 12) / 10) and found["healing_success_rate"] == 1.0
    assert found["targets"]["healing_success_rate"] == 0.99 and found["reached"]["healing_success_rate"] is True
    assert found["fallback_usage_rate"] == 1.0 and found["ai_cost_saved"] == 0.5
    assert found["previous"]["avg_insert_duration"] is None and found["quarantine_age"] is None
    assert set(found["units"]) == {n.name for n in NUMBERS} | {"quarantine_age"}


@pytest.mark.parametrize("window", ["", "7", "d7", "-1d", "0d", "9999w", "7d;drop", "٧d"])
def test_a_bad_window_says_what_a_good_one_is(key: str, window: str):
    answer = get(f"/api/v1/metrics/summary?window={window}", key)
    assert answer.status_code == 400 and "d" in answer.json()["message"], answer.content


def test_prometheus_reads_every_metric(key: str, traffic: None):
    keep("metadata")
    answer = get("/metrics", key)
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
    assert {name.removesuffix("_total") for name in METRICS} <= set(families)
    samples = {(s.name, s.labels.get("table")): s.value for s in families["mendgate_writes"].samples}
    assert samples[("mendgate_writes_total", 'public."odd\n\\name"')] == 9
    inserts = [s for s in families["db_client_operation_duration_seconds"].samples if s.labels.get("operation") == "insert"]
    assert next(s.value for s in inserts if s.name.endswith("_count")) == 10
    steps = [s.value for s in inserts if s.name.endswith("_bucket")]
    assert steps == sorted(steps) and steps[-1] == 10
    assert families["mendgate_quarantine_oldest_seconds"].samples[0].value > 0


def test_metrics_are_not_for_everybody():
    assert get("/metrics").status_code == 401 and get("/api/v1/metrics/summary").status_code == 401
    anon = keys_admin.create_key("page", "anon")[0]
    assert get("/metrics", anon).status_code == 403 and get("/api/v1/metrics/summary", anon).status_code == 403


def test_a_key_for_metrics_reads_metrics_and_nothing_else():
    key, row = keys_admin.create_key("prometheus", "anon")
    row.scopes = ["metrics"]
    row.save()
    assert get("/metrics", key).status_code == 200 and get("/api/v1/metrics/summary", key).status_code == 200
    refused = get("/api/v1/quarantine", key)
    assert refused.status_code == 403 and "api" in refused.json()["hint"]
