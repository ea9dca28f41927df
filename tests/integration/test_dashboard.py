"""The dashboard: what it says agrees with what was counted, and only those who may see it do."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from breakers.models import BreakerEvent
from healing import keys_admin
from healing.admin import dashboard
from healing.models import Decision, Receipt
from metrics import store, triggers
from metrics.core.observation import Asked, BreakerMoved, Decided, Replayed, Reversed, Saved, Wrote
from metrics.core.summary import NUMBERS
from metrics.core.triggers import Finding
from metrics.models import Threshold, Trigger
from schema_monitor.traffic_models import OldNameUse, PayloadShape
from tests.integration.control_rows import capture, keep, onlooker, propose, reviewer
from tests.integration.recorded import Recording
from tests.integration.schema_rows import evolve
from tests.integration.test_admin_pages import enter, redis_away  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres", "redis_away")]
RENAMED = (("rename_column", "lineage"),)
EVIL = "=cmd|'/c calc'!A1"


@pytest.fixture
def rita() -> Client:
    """Who may do everything."""
    return enter(reviewer())


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.close()


@pytest.fixture
def traffic(recording: Recording) -> str:
    """Known traffic of two tables and two callers; the id of the key ``shop``."""
    _, key = keys_admin.create_key("shop", "anon")
    shop = str(key.pk)
    recording.see(
        *[Wrote("public.orders", "insert", shop, "healthy", 0.010)] * 90,
        *[Wrote("public.orders", "insert", shop, "healed", 0.030, 1, RENAMED)] * 6,
        *[Wrote("public.users", "update", "anon", "healed", 0.040, 1, (("cast", "builtin"),))] * 2,
        Wrote("public.users", "insert", "anon", "healed", 2.5, 1, (("rename_column", "ai"),)),
        *[Wrote("public.users", "insert", "anon", "kept", 0.020)] * 3,
        *[Wrote("", "insert", "anon", "refused", 0.005)] * 2,
        Wrote("public.users", "insert", "anon", "failed", 0.9),
        Replayed("public.users", "landed", "person"),
        Reversed("public.orders", "lineage", "feedback"),
        Decided("proposal", "approve"), Decided("key", "create"), Decided("key", "create"),
        BreakerMoved("ai-gateway", "open"), Saved("ai-gateway", 40, 37),
        Asked("m", "p", "edge", "canned", 0.1, cost=0.25),
    )  # fmt: skip
    recording.flush()
    return shop


def index(client: Client, **query: Any) -> str:
    answer = client.get(reverse("admin:index"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def shown(client: Client, **query: Any) -> dict[str, str]:
    """The numbers as the page's live parts have them, by name."""
    parts = client.get(reverse("admin:dashboard_live"), query).json()["parts"]
    names = [number.name for number in NUMBERS]
    return {name: parts[f"now-{name}"].partition('">')[2].partition("</b>")[0] for name in names} | parts


def chart(client: Client, name: str, **query: Any) -> dict[str, Any]:
    answer = client.get(reverse("admin:dashboard_chart", args=[name]), query)
    assert answer.status_code == 200, name
    return answer.json()  # type: ignore[no-any-return]


@pytest.mark.parametrize("ingested", [False, True])
def test_the_numbers_are_those_that_were_counted(rita: Client, traffic: str, ingested: bool) -> None:
    if ingested:
        store.ingest()
    found = shown(rita, last="1h")
    assert found["healing_success_rate"] == "83.3 %", "10 of 12: nine healed, one landed of three kept"
    assert found["ai_fix_rate"] == "10 %" and found["deterministic_fix_rate"] == "90 %"
    assert found["wrong_heal_rate"] == "10 %" and found["circuit_breaker_trips"] == "1" and found["breaker_saves"] == "40"
    assert found["write_p50"].startswith(("9.9", "10")) and found["ai_cost"] == "$0.25" and found["fallback_usage_rate"] == "100 %"
    assert "missed" in found["now-healing_success_rate"] and "reached" in found["now-ai_fix_rate"]
    assert "105 writes" in found["state"] and "9 healed" in found["state"] and "1 failed" in found["state"]


def test_a_filter_narrows_what_it_can_and_says_where_it_cannot(rita: Client, traffic: str) -> None:
    found = shown(rita, table="public.users")
    assert found["healing_success_rate"] == "66.7 %", "4 of 6"
    assert found["breaker_saves"] == "40" and "(all tables)" in index(rita, table="public.users")
    assert "7 writes" in found["state"]
    by_caller = shown(rita, caller=traffic)
    assert "96 writes" in by_caller["state"] and "6 healed" in by_caller["state"]
    page = index(rita, caller=traffic)
    assert "(all callers)" in page and ">shop</option>" in page


def test_each_stretch_holds_what_happened_in_it(rita: Client, recording: Recording) -> None:
    for age, count in ((timedelta(hours=3), 5), (timedelta(days=3), 7), (timedelta(days=20), 11)):
        recording.see(*[Wrote("public.a", "insert", "x", "healthy", 0.01)] * count)
        recording.flush(age)
    store.ingest()
    for last, count in (("1h", 0), ("24h", 5), ("7d", 12), ("30d", 23)):
        assert f"{count} writes" in shown(rita, last=last)["state"], last
        assert sum(row[1] for row in chart(rita, "outcomes", last=last)["rows"]) == count, last


def test_charts_agree_with_the_numbers_and_carry_their_data_as_a_table(rita: Client, traffic: str) -> None:
    outcomes = chart(rita, "outcomes")
    assert outcomes["columns"] == ["time", "healthy", "healed", "kept", "refused", "failed"]
    assert [sum(column) for column in list(zip(*outcomes["rows"], strict=True))[1:]] == [90, 9, 3, 2, 1]
    heals = chart(rita, "heals")
    sums = [sum(v or 0 for v in column) for column in list(zip(*heals["rows"], strict=True))[1:6]]
    assert dict(zip(heals["columns"][1:6], sums, strict=True)) == {
        "rename followed": 6, "coerced": 2, "approved rule": 0, "certified": 0, "AI": 1,
    }  # fmt: skip
    latency = chart(rita, "latency")
    assert sum(row[1] for row in latency["rows"]) == 99
    assert max(row[4] for row in latency["rows"] if row[4]) == pytest.approx(chart(rita, "number-write_p99")["rows"][-1][1], rel=0.02)
    flow = {row[0]: row[1] for row in chart(rita, "flow")["rows"]}
    assert (
        sum(flow.values()) == 105
        and flow["healed: AI, proven"] == 1
        and flow["kept, landed later"] == 1
        and flow["kept safe, waiting"] == 2
    )
    for name in ("latency", "heals", "outcomes", "breakers", "flow", "misfits", *(f"number-{number.name}" for number in NUMBERS)):
        data = chart(rita, name, last="7d", table="public.users", caller="anon")
        assert all(len(row) == len(data["columns"]) for row in data["rows"]), name


def test_breakers_are_lanes_and_schema_changes_are_markers(rita: Client) -> None:
    now = timezone.now()
    evolve(ago=timedelta(minutes=5))
    moves = ((90, "closed", "open"), (30, "open", "half_open"), (20, "half_open", "closed"))
    for minutes, before, after in moves:
        at, facts = now - timedelta(minutes=minutes), {"from_state": before, "to_state": after, "sentence": f"now {after}"}
        BreakerEvent.objects.create(stream_id=str(minutes), at=at, name="ai:one", **facts)
    lanes = chart(rita, "breakers", last="1h")
    assert [bar["state"] for bar in lanes["bars"]] == ["open", "half-open"]
    assert [round(row[4] / 60) for row in lanes["rows"]] == [30, 10]
    marks = chart(rita, "latency", last="24h")["markers"]
    assert len(marks) == 3 and any("nick was removed" in mark["text"] and mark["severity"] == "critical" for mark in marks)
    assert rita.get(marks[0]["link"]).status_code == 200


def test_a_csv_runs_nothing_in_a_spreadsheet(rita: Client, recording: Recording) -> None:
    keep(signature=f"unknown_column:{EVIL}", table=EVIL, schema="")
    answer = rita.get(reverse("admin:dashboard_chart", args=["misfits"]), {"format": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="mendgate-misfits-24h.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert rows[0] == ["where", "what did not fit", "state", "writes", "callers"] and len(rows) == 2
    keep(signature="=1+1:x", table="t")
    text = rita.get(reverse("admin:dashboard_chart", args=["misfits"]), {"format": "csv"}).content.decode()
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in csv.reader(io.StringIO(text)) for cell in row)
    assert "'=1+1" in text


def test_what_would_move_success_is_the_proposal_that_most_writes_wait_for(rita: Client, traffic: str) -> None:
    capture()
    for _ in range(2):
        keep()
    keep(signature="unknown_column:other")
    propose()
    propose(signature="unknown_column:other", sentence="the lesser one")
    move = shown(rita)["move-healing_success_rate"]
    assert "approve “put email into email_address” for 2 writes (+17 points)" in move and reverse("admin:healing_review") in move
    assert "approve proposal: once" in shown(rita)["move-manual_interventions"]  # keys that were made are none
    assert "lineage" not in shown(rita)["move-ai_fix_rate"] and "rename column in public.users" in shown(rita)["move-ai_fix_rate"]


def test_nobody_is_urged_to_lose_a_value(rita: Client) -> None:
    """Where all that can be had is to leave something out, a decision is asked for, not a yes."""
    keep()
    propose([{"op": "drop_key", "column": "email"}], sentence="Leave `email` out: its value is lost.")
    move = shown(rita)["move-healing_success_rate"]
    assert "approve" not in move and "decide about 1 write" in move and "loses a value" in move


def test_misfits_are_kept_causes_and_fixes_that_mended(rita: Client) -> None:
    for _ in range(3):
        keep()
    fix = {"op": "rename_column", "from": "mail", "to": "email_address", "source": "lineage", "rule": None, "rows": [0]}
    Receipt.objects.create(outcome="committed", schema="public", table="users", operation="insert", role="anon", fixes=[fix])
    rows = chart(rita, "misfits")["rows"]
    assert rows[0] == ["public.users.email", "unknown column", "3 wait", 3, 1]
    assert rows[1][0] == "public.users.mail" and rows[1][2:] == ["healed by lineage", 1, 1]
    assert chart(rita, "misfits", table="public.orders")["rows"] == []


def test_kept_writes_without_any_fix_need_a_person_until_one_is_proposed(rita: Client) -> None:
    assert "without a fix" not in index(rita)
    keep()
    keep(signature="unknown_column:other")
    propose()
    assert "1 kept write without a fix that anybody knows: oldest" in index(rita)
    propose(signature="unknown_column:other", state="rejected")
    assert "without a fix" not in index(rita)


def test_firing_triggers_need_a_person_until_one_takes_note(rita: Client) -> None:
    triggers.remember(
        [Finding("ai_fix_rate", "", "41 % of fixes need the AI.", {}), Finding("burn_rate", "6×", "5 of 9 writes failed.", {})],
        timezone.now(),
    )
    page = index(rita)
    assert "41 % of fixes need the AI; began now" in page and "Writes are failing: 5 of 9 writes failed." in page
    row = Trigger.objects.get(name="ai_fix_rate")
    rita.post(reverse("admin:metrics_noted", args=[row.pk]))
    assert "41 % of fixes" not in index(rita)
    assert Decision.objects.filter(kind="trigger", who="rita", action="note").count() == 1


def test_thresholds_are_set_with_a_decision_and_taken_back(rita: Client) -> None:
    door = reverse("admin:metrics_set_threshold", args=["ai_fix_rate"])
    rita.post(door, {"bound": "20", "least": "50", "on": "on", "why": "we have rules now"})
    row = Threshold.objects.get()
    assert (row.name, row.bound, row.least, row.on) == ("ai_fix_rate", 0.2, 50, True)
    assert triggers.limits()["ai_fix_rate"].bound == 0.2
    why = Decision.objects.get(kind="threshold").why
    assert why == "30 %, from 100 cases on → 20 %, from 50 cases on: we have rules now"
    for nonsense in ({"bound": "0"}, {"bound": "100"}, {"bound": "nan"}, {"bound": "x"}, {"bound": "5", "least": "0"}, {"least": "1"}):
        answer = rita.post(door, {"least": "50", "on": "on", "bound": "", **nonsense}, follow=True).content.decode()
        assert "Nothing was changed" in answer, nonsense
    rita.post(door, {"default": ""})
    assert not Threshold.objects.exists() and Decision.objects.filter(kind="threshold").count() == 2
    assert rita.post(reverse("admin:metrics_set_threshold", args=["nothing"]), {"bound": "1"}, follow=True).status_code == 200


def test_who_may_only_look_sees_all_and_changes_nothing(traffic: str) -> None:
    otto = enter(onlooker())
    assert "Targets" in index(otto) and chart(otto, "latency")["rows"]
    page = otto.get(reverse("admin:metrics_thresholds")).content.decode()
    assert "Healing success falls below" in page and '<form method="post" action="/admin/metrics' not in page
    assert otto.post(reverse("admin:metrics_set_threshold", args=["ai_fix_rate"]), {"bound": "1", "least": "1"}).status_code == 403
    triggers.remember([Finding("ai_fix_rate", "", "x", {})], timezone.now())
    assert otto.post(reverse("admin:metrics_noted", args=[Trigger.objects.get().pk])).status_code == 403
    assert not Threshold.objects.exists() and not Decision.objects.filter(kind="threshold").exists()


def test_who_may_not_see_writes_sees_no_number() -> None:
    nina = enter(User.objects.create_user("nina", is_staff=True))
    assert "Targets" not in index(nina)
    for name, args in (
        ("dashboard_live", []),
        ("dashboard_chart", ["latency"]),
        ("metrics_thresholds", []),
        ("metrics_trigger_changelist", []),
    ):
        assert nina.get(reverse(f"admin:{name}", args=args)).status_code == 403, name
        assert Client().get(reverse(f"admin:{name}", args=args)).status_code == 302, name


@pytest.mark.parametrize(
    "query", [{"last": "x"}, {"table": "%'\x00;--"}, {"caller": "a" * 5000}, {"number": "<script>"}, {"table": "<script>alert(1)"}]
)
def test_nonsense_in_the_url_is_no_error(rita: Client, traffic: str, query: dict[str, str]) -> None:
    assert "<script>alert(1)" not in index(rita, **query)
    assert chart(rita, "heals", **query)["rows"]
    assert rita.get(reverse("admin:dashboard_chart", args=["nothing"])).status_code == 404


def test_a_slow_control_database_is_said(rita: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(asked: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(90)")

    monkeypatch.setattr(dashboard, "PATIENCE", 0.1)
    monkeypatch.setattr(dashboard, "look", slow)
    began = time.monotonic()
    assert "The control database does not answer in time" in index(rita)
    assert rita.get(reverse("admin:dashboard_live")).status_code == 503
    assert time.monotonic() - began < 60


def test_callers_are_listed_by_what_they_send_wrong(rita: Client, traffic: str) -> None:
    _, idle = keys_admin.create_key("idle", "anon")
    now = timezone.now()
    shape = {"schema": "public", "relation_oid": 1, "name": "orders", "operation": "insert", "named": [], "hour": now, "last_at": now}
    counts = {"requests": 9, "rows": 9, "misfits": 4, "healed": 3}
    PayloadShape.objects.create(**shape, **counts, keys=["mail"], shape="a", role="anon", key=traffic, caller="shop")
    calm = {"requests": 50, "rows": 50, "misfits": 0, "healed": 0}
    PayloadShape.objects.create(**shape, **calm, keys=["name"], shape="b", role="authenticated", caller="authenticated")
    old = {"schema": "public", "relation_oid": 1, "attnum": 2, "enum_oid": 0, "label_oid": 0, "name": "old_mail", "role": "anon"}
    OldNameUse.objects.create(**old, key=traffic, caller="shop", day=now.date(), uses=7, last_at=now)
    keep(key_id=traffic, role="anon")
    page = rita.get(reverse("callers")).content.decode()
    assert page.index(">shop</a>") < page.index("authenticated") < page.index(">idle</a>")
    said = ("44.4 %, 3 healed", "<code>old_mail</code>", "7 uses", "<code>public.orders</code> 4 ×")
    for part in (*said, f"caller={traffic}", str(idle.pk)):
        assert part in page, part
    assert enter(onlooker()).get(reverse("callers")).status_code == 200
    assert enter(User.objects.create_user("nina", is_staff=True)).get(reverse("callers")).status_code == 403


def test_doctor_is_a_page(rita: Client, recording: Recording) -> None:
    assert "Looking …" in rita.get("/admin/system/").content.decode()
    recording.see(Decided("proposal", "approve"))
    recording.flush(timedelta(hours=1))
    found = rita.get("/admin/system/", {"part": "checks"}).content.decode()
    assert "broken" in found and "flushes wait since 60 min" in found and "answers, migrated" in found
    assert found.index("broken</span>") < found.index("well</span>"), "what is broken comes first"
    assert enter(User.objects.create_user("nina", is_staff=True)).get("/admin/system/").status_code == 403
    assert Client().get("/admin/system/").status_code == 302
