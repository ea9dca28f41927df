"""Reviewers hear of what waits for them, each once, with a link; or once a day of all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from healing import alert_gates, approval, review_alerts, second_thoughts
from healing.review import waiting_for_review
from schema_monitor.alerts import gates
from schema_monitor.alerts.jobs import deliver
from schema_monitor.alerts.models import AlertMessage
from schema_monitor.alerts.notice_model import Notice
from schema_monitor.alerts.parcel import Mailed, pack
from tests.integration.alert_rows import subscribed
from tests.integration.control_rows import DROP, approved, capture, keep, propose, reviewer
from tests.integration.far_end import FarEnd, listening

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]
MORNING = datetime(2026, 3, 2, 7, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_gates() -> Iterator[None]:
    gates.configure(None)
    yield
    gates.configure(alert_gates.ask)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with listening() as far:
        yield far


def later() -> None:
    """What is over is told a little later."""
    AlertMessage.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


def test_a_fix_that_waits_is_told_once_with_a_link_and_then_how_it_ended(far: FarEnd) -> None:
    capture()
    subscribed(far.url, kinds=["review.rule"])
    keep()
    proposal = propose()
    propose(DROP, 0.1)  # the best of a cause speaks for it
    for _ in range(2):
        review_alerts.tell()
        deliver()
    approved(proposal, reviewer(), "looks right")
    review_alerts.tell()
    later()
    deliver()
    began, ended = (json.loads(heard.text)["data"]["notice"] for heard in far.heard)
    assert began["sentence"] == "A fix waits for a decision: public.users: put email into email_address 1 row waits for it."
    assert began["url"].endswith(f"/admin/healing/proposal/{proposal.pk}/change/")
    assert ended["outcome"] == "It was approved by rita: looks right."


def test_nothing_is_told_of_what_nobody_waits_for_or_what_is_put_off(far: FarEnd) -> None:
    capture()
    subscribed(far.url, kinds=["review.*"])
    rita, proposal = reviewer(), propose()
    review_alerts.tell()
    keep()
    second_thoughts.snooze(proposal, timezone.now() + timedelta(hours=1), rita)
    review_alerts.tell()
    assert deliver() == 0
    second_thoughts.undo_last(rita)
    review_alerts.tell()
    assert deliver() >= 1


def test_many_rows_are_more_urgent() -> None:
    capture()
    keep(row_count=50)
    propose()
    review_alerts.tell()
    assert Notice.objects.get(kind="review.rule").severity == "high"


def test_the_digest_is_one_message_a_day_about_everything(far: FarEnd) -> None:
    capture()
    for channel, address in (("slack", far.url), ("discord", far.url), ("email", "rita@example.com")):
        subscribed(address, channel, kinds=["review.digest"])
    for name in ("email", "mail", "post"):
        keep(signature=f"unknown_column:{name}")
        propose(signature=f"unknown_column:{name}")
    waiting = waiting_for_review()
    assert review_alerts.digest(waiting, MORNING.replace(hour=5)) is None
    assert review_alerts.digest(waiting, MORNING) is not None
    assert review_alerts.digest(waiting, MORNING + timedelta(hours=3)) is None
    letter = pack(AlertMessage.objects.get(subscription__channel="email"))
    assert isinstance(letter, Mailed)
    later()
    deliver()
    told = [*(heard.text for heard in far.heard), str(letter.message.body)]
    assert len(told) == 3 == AlertMessage.objects.count()
    for text in told:
        assert "3 fixes wait for a decision, 3 rows wait for them" in text and "/admin/healing/proposal/queue/" in text
        assert "over" not in text.lower().replace("overview", "")
    assert review_alerts.digest(waiting, MORNING + timedelta(days=1)) is not None
    assert review_alerts.digest([], MORNING + timedelta(days=2)) is None


def test_a_rejection_is_told_with_its_reason(far: FarEnd) -> None:
    capture()
    subscribed(far.url, kinds=["review.rule"])
    keep()
    proposal = propose()
    review_alerts.tell()
    approval.reject(proposal, reviewer(), "another meaning")
    review_alerts.tell()
    later()
    deliver()
    assert json.loads(far.heard[-1].text)["data"]["notice"]["outcome"] == "It was rejected by rita: another meaning."
