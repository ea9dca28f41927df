"""Prompt versions: written, compared, activated, audited; the pages, the button, and who may use them."""

from __future__ import annotations

from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from healing.assist import prompts, runs, score
from healing.assist.models import AssistRun, Prompt
from healing.core.assist import BUILTIN
from healing.models import Decision, Receipt
from healing.refusals import DoesNotFit, NeedsReason, NotAllowed, WrongState
from tests.integration.control_rows import capture, keep, onlooker, propose, reviewer

pytestmark = pytest.mark.django_db
TASK = "Say which. {facts}"


@pytest.fixture(autouse=True)
def first_version() -> None:
    """It comes by a migration; a test before this one may have emptied the tables."""
    import_module("healing.migrations.0006_first_prompt").put_in(apps, None)


@pytest.fixture
def rita(client: Client) -> Any:
    user = reviewer()
    client.force_login(user)
    return user


def run(**facts: Any) -> AssistRun:
    """A finished asking of the active prompt."""
    given = {"schema": "public", "table": "users", "signature": "unknown_column:email", "state": "done", "verdict": "proposed",
             "asked": True, "prompt": Prompt.objects.get(active=True), "seconds": 2.0, "cost": 0.25, "input_tokens": 90,
             "output_tokens": 10, "prompt_name": "fix", "prompt_version": 1, **facts}  # fmt: skip
    return AssistRun.objects.create(**given)


def test_the_first_version_is_the_programs_own() -> None:
    first = Prompt.objects.get()
    assert (str(first), first.active, first.system, first.task, first.temperature) == ("fix v1", True, BUILTIN.system, BUILTIN.task, 0.0)


def test_a_version_is_written_compared_and_activated_as_a_decision(rita: Any) -> None:
    first = Prompt.objects.get()
    second = prompts.write(BUILTIN.system + "\nBe brief.", BUILTIN.task, rita, "shorter", max_tokens=200)
    assert (second.version, second.active, Prompt.objects.get(active=True)) == (2, False, first)
    assert [line for kind, line in prompts.diff(first, second) if kind == "new"] == ["Be brief.", "temperature 0, at most 200 tokens"]
    prompts.activate(second, rita, "did better in trials")
    assert Prompt.objects.get(active=True) == second
    said = list(Decision.objects.filter(kind="prompt").order_by("id").values_list("action", "who"))
    assert said == [("write", "rita"), ("activate", "rita")]
    with pytest.raises(WrongState):
        prompts.activate(second, rita, "again")
    prompts.activate(first, rita, "back")
    assert Prompt.objects.get(active=True) == first


@pytest.mark.parametrize(("system", "task"), [("", TASK), ("s", ""), ("s", "no place"), ("s", "{facts}{facts}"), ("s" * 30_000, TASK)])
def test_what_could_not_be_used_is_refused(rita: Any, system: str, task: str) -> None:
    with pytest.raises(DoesNotFit):
        prompts.write(system, task, rita, "why")


def test_only_who_may_and_says_why() -> None:
    with pytest.raises(NotAllowed):
        prompts.write("s", TASK, onlooker(), "why")
    with pytest.raises(NeedsReason):
        prompts.write("s", TASK, reviewer(), " ")


def test_each_versions_success_is_counted() -> None:
    run(verdict="abstained", proposal=None)
    run(verdict="invalid")
    run(proposal=propose(state="approved"))
    run(proposal=propose([{"op": "drop_key", "column": "email"}], state="rejected"))
    landed = run(verdict="proven", asked=False)
    keep(state="replayed", assist=landed)
    counted = score.of_prompt(Prompt.objects.get())
    assert (counted.asked, counted.answered, counted.invalid, counted.abstained, counted.proven) == (4, 4, 1, 1, 1)
    assert (counted.right, counted.wrong, counted.applied, counted.tokens, counted.cost, counted.seconds) == (2, 1, 1, 500, 1.25, 2.0)
    assert 0.25 < score.trust(Prompt.objects.get()) < 2 / 3
    assert score.since() == counted


def test_a_landed_write_that_was_called_wrong_counts_against_its_version() -> None:
    item = keep(state="replayed", assist=run(verdict="proven"))
    Receipt.objects.filter(pk=item.receipt).update(feedback={"right": False, "ever_wrong": True})
    counted = score.of_prompt(Prompt.objects.get())
    assert (counted.right, counted.wrong) == (0, 1)


def test_the_pages_show_versions_runs_and_their_evidence(client: Client, rita: Any) -> None:
    capture()
    item = keep()
    ai = {"run": str(run().pk), "model": "m1", "prompt": "fix v1", "agreement": "same", "proven": True, "often": True}
    proposal = propose(source="ai", evidence={"for": ["x"], "against": [], "ai": ai})
    asked = run(model="m1", agreement="same", matcher=0.98, proof={"tried": 3, "landed": 3}, proposal=proposal, fix=proposal.fix)
    second = prompts.write("Other <b>words</b>", TASK, rita, "a try")
    for page, words in (
        (reverse("admin:healing_prompt_changelist"), ["fix v1", "fix v2", "active"]),
        (
            reverse("admin:healing_prompt_change", args=[second.pk]),
            ["Other &lt;b&gt;words", "What differs from fix v1", "Use this version"],
        ),
        (reverse("admin:healing_assistrun_changelist"), ["public.users", "proposed"]),
        (reverse("admin:healing_assistrun_change", args=[asked.pk]), ["3 of 3 kept writes landed", "matcher says the same", "fix v1"]),
        (reverse("admin:healing_review"), ["matcher and AI agree", "proven", "m1", "often enough for a rule", "Ask the AI"]),
        (reverse("admin:healing_causes"), ["Ask the AI"]),
        (reverse("admin:healing_quarantineitem_change", args=[item.pk]), ["Ask the AI"]),
    ):
        shown = client.get(page)
        assert shown.status_code == 200
        missing = [word for word in words if word not in shown.content.decode()]
        assert not missing, (page, missing)


def test_the_button_asks_once_a_cause(client: Client, rita: Any) -> None:
    keep()
    place = {"schema": "public", "table": "users", "signature": "unknown_column:email"}
    for _ in range(2):
        assert client.post(reverse("admin:healing_ask_ai"), place).status_code == 302
    (asked,) = AssistRun.objects.all()
    assert (asked.state, asked.asked_by) == ("due", "rita")
    with pytest.raises(WrongState):
        runs.request("public", "users", "unknown_column:nothing", "rita")


def test_pages_write_and_activate_through_their_doors(client: Client, rita: Any) -> None:
    client.post(reverse("admin:healing_prompt_write"), {"system": "s", "task": TASK, "why": "w", "temperature": "x"})
    assert Prompt.objects.count() == 1
    client.post(reverse("admin:healing_prompt_write"), {"system": "s", "task": TASK, "why": "w", "temperature": "0.5", "max_tokens": "99"})
    second = Prompt.objects.get(version=2)
    client.post(reverse("admin:healing_prompt_activate", args=[second.pk]), {"why": "w"})
    second.refresh_from_db()
    assert (second.active, second.temperature, second.max_tokens) == (True, 0.5, 99)


def test_an_onlooker_sees_and_does_nothing(client: Client) -> None:
    client.force_login(onlooker())
    first = Prompt.objects.get()
    assert client.get(reverse("admin:healing_prompt_change", args=[first.pk])).status_code == 200
    for page in (
        reverse("admin:healing_prompt_write"),
        reverse("admin:healing_prompt_activate", args=[first.pk]),
        reverse("admin:healing_ask_ai"),
    ):
        assert client.post(page, {"why": "x"}).status_code == 403
        assert client.get(page).status_code in (403, 405)


def test_a_policy_that_nobody_can_serve_is_set_with_a_warning() -> None:
    said = StringIO()
    call_command("set_policy", "--table", "users", "--healing", "assisted", stdout=StringIO(), stderr=said)
    assert "No AI is configured" in said.getvalue()
    said = StringIO()
    call_command("set_policy", "--table", "users", "--healing", "approved", stdout=StringIO(), stderr=said)
    assert said.getvalue() == ""
