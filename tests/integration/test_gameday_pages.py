"""A game day's page tells what its report says; a report that was changed is not believed; production refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from healing.models import Decision, GameDay
from healing.refusals import Refused
from resilience_site import admin as pages
from resilience_site import processes
from resilience_site.config import Config, config, load
from resilience_site.gameday import allowed, rows, signing, stage
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


def done(**more: Any) -> GameDay:
    """One with its report, signed."""
    row = GameDay.objects.create(asked_by="rita", faults=["cut"], seed=1, state="done", verdict="held", requests=2)
    row.signed = signing.signed(report(id=str(row.pk), **more), config().secret_key)
    row.save()
    return row


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def in_production() -> Config:
    return load({"MENDGATE_HOME": str(config().home), "DEPLOYMENT": "production"})


def test_the_page_tells_each_fault_and_whether_the_signature_holds() -> None:
    row, forged = done(), done()
    forged.signed = forged.signed.replace('"lost": 0', '"lost": 1')
    forged.save()
    client = browser(onlooker())
    page = client.get(reverse("admin:healing_gameday_change", args=[row.pk])).content.decode()
    for said in ("The way is cut", "nothing is lost", "signature holds", "plain-0-1", "cut off · 201", "mg-gd-bad"):
        assert said in page, said
    changed = client.get(reverse("admin:healing_gameday_change", args=[forged.pk])).content.decode()
    assert "changed after it was signed" in changed and "signature holds" not in changed
    file = client.get(reverse("admin:healing_gameday_file", args=[row.pk]))
    assert b"".join(file.streaming_content).decode() == row.signed  # type: ignore[attr-defined]


def test_the_page_tells_what_is_signed_and_not_what_stands_beside_it() -> None:
    broke, held = done(verdict="broke", unexplained=2, by="mallory-was-here"), done()
    client = browser(onlooker())
    place = lambda row: reverse("admin:healing_gameday_change", args=[row.pk])  # noqa: E731
    page = client.get(place(broke)).content.decode()
    assert "mallory-was-here" in page and "2 things cannot be explained" in page and ">held<" not in page.split("The way is cut")[0]
    GameDay.objects.filter(pk=broke.pk).update(signed=held.signed)
    assert "the report of another game day" in client.get(place(broke)).content.decode()
    for text in ("no JSON", "{}", '{"report": {"faults": 1}, "signature": {}}', held.signed.replace('"bars": [[1', '"bars": [["x"')):
        GameDay.objects.filter(pk=broke.pk).update(signed=text)
        page = client.get(place(broke)).content.decode()
        assert "not to be believed" in page and "signature holds" not in page


def test_the_list_tells_which_verdicts_nobody_vouches_for() -> None:
    held, unsigned, forged, other, changed = done(), done(), done(), done(), done()
    GameDay.objects.filter(pk=unsigned.pk).update(signed="")
    GameDay.objects.filter(pk=forged.pk).update(signed=forged.signed.replace('"doubled": 0', '"doubled": 1'))
    GameDay.objects.filter(pk=other.pk).update(signed=held.signed)
    GameDay.objects.filter(pk=changed.pk).update(unexplained=3)
    GameDay.objects.create(asked_by="rita", faults=["cut"], seed=1, state="failed")
    client = browser(onlooker())
    rows = lambda: [_text(row) for row in _ROW.findall(client.get(several).content.decode()) if "rita" in row]  # noqa: E731
    several = reverse("admin:healing_gameday_changelist") + "?o=5"
    expected = [
        ("held", "signature holds"), ("says held", "unsigned Nobody signed"), ("says held", "not to be believed The report was changed"),
        ("says held", "not to be believed This is the report of another game day"), ("says held", "The row was changed"), ("failed", "–"),
    ]  # fmt: skip
    for row, said in zip(rows(), expected, strict=True):
        assert all(word in row for word in said), (row, said)
    assert sum("says held" not in row and "held" in row for row in rows()) == 1
    GameDay.objects.filter(pk=held.pk).update(signed=held.signed.replace('"lost": 0', '"lost": 1'))
    assert "The report was changed" in rows()[0], "what was found of another text is not said of this one"


_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)


def _text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_name_that_stands_twice_in_a_report_is_refused() -> None:
    signed = signing.signed(report(lost=1), secret := config().secret_key)
    twice = signed.replace('"lost": 1', '"lost": 0, "lost": 1')
    assert json.loads(twice) == json.loads(signed) and signing.fault_of(signed, {signing.public_key(secret)}) == ""
    assert signing.fault_of(twice, {signing.public_key(secret)}) != ""


def test_two_who_ask_at_once_get_one_game_day() -> None:
    with ThreadPoolExecutor(1) as other, transaction.atomic():
        rows.enter("ann", ["cut"], 1)
        second = other.submit(_asked_elsewhere)
        waits = lambda: _waiting() or second.done()  # noqa: E731
        assert processes.wait_until(waits, 60)
    assert second.result(60) == "A game day is under way." and GameDay.objects.count() == 1


def _asked_elsewhere() -> str:
    try:
        rows.enter("bob", ["cut"], 1)
    except Refused as error:
        return error.message
    finally:
        connection.close()
    return ""


def _waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "words",
    [["--faults", "rain"], ["--seed", "-1"], ["--seed", str(2**63)], ["--lasts", "0"], ["--lasts", "nan"], ["--run", "7"],
     ["--out", "/nowhere/report.json"], ["--out", "/"], ["--verify", sys.executable]],
)  # fmt: skip
def test_bad_words_are_refused_before_anything_is_made(words: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("gameday", *words)
    assert not GameDay.objects.exists()


def test_what_a_killed_day_left_is_swept_only_where_it_is_ours(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere, ended = tmp_path / "elsewhere", subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for home in (elsewhere, tmp_path / f"{stage.PREFIX}left"):
        home.mkdir()
        (home / "by").write_text(str(ended.pid))
    (tmp_path / f"{stage.PREFIX}planted").symlink_to(elsewhere)
    assert stage.sweep() == 1
    assert elsewhere.is_dir() and not (elsewhere / "embedded.json").exists() and not (tmp_path / f"{stage.PREFIX}left").exists()


def test_where_no_servers_are_installed_it_is_refused_and_everything_else_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resilience_site.gameday.allowed.SERVERS", "no_such_package")
    assert "not installed here" in allowed.why_not(load({"MENDGATE_HOME": str(config().home), "DEPLOYMENT": "staging"}))


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
