"""A game day's page tells what its report says; a report that was changed is not believed; production refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from healing.models import Decision, GameDay
from healing.refusals import Refused
from resilience_site import admin as pages
from resilience_site.config import Config, config, load
from resilience_site.gameday import rows, signing
from tests.integration.control_rows import onlooker, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]


def report(**more: Any) -> dict[str, Any]:
    part = {
        "fault": "cut", "title": "The way is cut", "must": "nothing is lost", "begun": 3.0, "lifted": 4.0, "until": 5.0, "requests": 2,
        "tries": 3, "troubled": 1, "ends": {"committed": 2}, "answers": {"201": 2, "cut off": 1}, "p50": 0.1, "p99": 0.2, "recovered": 0.5,
        "picture": {"step": 0.25, "bars": [[1, 0], [0, 1], [1, 0]]}, "verdict": "held", "wrong": [],
    }  # fmt: skip
    sent = [{"mark": "plain-0-1", "sent": 3.1, "wants": {"plain": 1}, "answers": ["cut off", "201"], "end": "committed"}]
    return {
        "version": 1, "id": "x", "by": "rita", "began": "2026-01-01T00:00:00+00:00", "seed": 1, "seconds": 9.0, "verdict": "held",
        "target": {"kind": "scratch", "system_identifier": "7"}, "requests_sent": 2, "tries": 3, "ends": {"committed": 2},
        "never_answered": 0, "reads": {}, "lost": 0, "doubled": 0, "unexplained": 0, "wrong": [], "connections": 4, "web_megabytes": 90.5,
        "faults": [part], "requests": sent, **more,
    }  # fmt: skip


def done(text: str) -> GameDay:
    return GameDay.objects.create(asked_by="rita", faults=["cut"], seed=1, state="done", verdict="held", requests=2, signed=text)


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def in_production() -> Config:
    return load({"MENDGATE_HOME": str(config().home), "DEPLOYMENT": "production"})


def test_the_page_tells_each_fault_and_whether_the_signature_holds() -> None:
    signed = signing.signed(report(), config().secret_key)
    row, forged = done(signed), done(signed.replace('"lost": 0', '"lost": 1'))
    client = browser(onlooker())
    page = client.get(reverse("admin:healing_gameday_change", args=[row.pk])).content.decode()
    for said in ("The way is cut", "nothing is lost", "signature holds", "plain-0-1", "cut off · 201", "mg-gd-bad"):
        assert said in page, said
    changed = client.get(reverse("admin:healing_gameday_change", args=[forged.pk])).content.decode()
    assert "changed after it was signed" in changed and "signature holds" not in changed
    file = client.get(reverse("admin:healing_gameday_file", args=[row.pk]))
    assert b"".join(file.streaming_content).decode() == signed  # type: ignore[attr-defined]


def test_only_who_may_begins_one_and_nobody_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "config", in_production)
    begin, several = reverse("admin:healing_gameday_begin"), reverse("admin:healing_gameday_changelist")
    assert browser(onlooker()).post(begin, {"fault": "cut"}).status_code == 403
    rita = browser(reviewer())
    told = rita.post(begin, {"fault": "cut"}, follow=True).content.decode()
    assert "does not run in production" in told and "DEPLOYMENT=staging" in told
    assert "Begin a game day" not in rita.get(several).content.decode()
    assert not GameDay.objects.exists()


def test_one_is_asked_for_at_a_time_and_is_on_record() -> None:
    rita = reviewer()
    site = load({"MENDGATE_HOME": str(config().home), "DEPLOYMENT": "development"})
    row = rows.ask(rita, site, ["cut", "lock"])
    assert Decision.objects.get(kind="gameday").subject == str(row.pk)
    with pytest.raises(Refused, match="under way"):
        rows.ask(rita, site, ["cut"])
    with pytest.raises(Refused, match="no fault"):
        rows.ask(rita, site, ["rain"])
    assert rows.claim(str(row.pk)) is not None
    assert rows.claim(str(row.pk)) is None


def test_the_command_refuses_production_and_checks_reports(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("resilience_site.management.commands.gameday.config", in_production)
    with pytest.raises(CommandError, match="does not run in production"):
        call_command("gameday")
    path = tmp_path / "report.json"
    path.write_text(signing.signed(report(), in_production().secret_key))
    call_command("gameday", verify=path)
    assert "The signature holds" in capsys.readouterr().out
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2).replace('"doubled": 0', '"doubled": 1'))
    with pytest.raises(CommandError, match="changed after it was signed"):
        call_command("gameday", verify=path)
    path.write_text(signing.signed(report(), "somebody else's secret"))
    with pytest.raises(CommandError, match="not this installation's"):
        call_command("gameday", verify=path)


def test_only_a_mendgate_of_its_own_servers_is_taken_for_development() -> None:
    home = {"MENDGATE_HOME": str(config().home)}
    assert load(home).deployment == "development"
    assert load({**home, "TARGET_DATABASE_URL": "postgresql://u:p@db/app"}).deployment == "production"
    assert load({**home, "HOST": "0.0.0.0"}).deployment == "production"
    assert [problem.id for problem in load({**home, "DEPLOYMENT": "prod"}).problems if "DEPLOYMENT" in problem.message]
