"""Claiming kept writes, settling what became of them, and the orders they belong to."""

from __future__ import annotations

import hashlib
import itertools
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from healing import quarantine, replay_orders, replay_pace, wake
from healing.models import Decision, QuarantineItem, Receipt, Replay
from healing.quarantine import Settled
from healing.refusals import NeedsReason, NotAllowed, WrongState
from tests.integration.control_rows import UNKNOWN, capture, keep, onlooker, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres", "redis_away")]


@pytest.fixture
def redis_away(settings: object) -> None:
    """Nothing listens there: the doorbell must be dispensable."""
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0", "SERIALIZER": "rq.serializers.JSONSerializer"}}  # type: ignore[attr-defined]


def order_all(rita: object | None = None) -> Replay:
    """Everything that waits."""
    order = replay_orders.order_all_waiting(rita or reviewer())
    assert order is not None
    return order


def again(item: QuarantineItem) -> QuarantineItem:
    """As it is now."""
    item.refresh_from_db()
    return item


def skip_pauses() -> None:
    """As if the pauses before the next attempt were over."""
    QuarantineItem.objects.filter(state="waiting").update(lease_until=None)


def test_items_are_claimed_in_order_of_arrival_and_only_when_asked_for() -> None:
    items = [keep() for _ in range(3)]
    assert quarantine.claim(10) == []
    order_all()
    claims = quarantine.claim(2)
    assert [c.id for c in claims] == [i.pk for i in items[:2]]


def test_a_table_is_replayed_by_one_worker_at_a_time() -> None:
    keep()
    keep()
    elsewhere = keep(table="orders")
    order_all()
    assert len(quarantine.claim(1)) == 1
    assert [c.id for c in quarantine.claim(10)] == [elsewhere.pk]


def test_a_lost_lease_is_claimed_again_and_the_old_worker_is_not_believed() -> None:
    item = keep()
    order_all()
    (old,) = quarantine.claim(1)
    lapsed = timezone.now() - timedelta(seconds=1)
    QuarantineItem.objects.update(lease_until=lapsed)
    (new,) = quarantine.claim(1)
    assert not quarantine.settle(old, Settled("failed", error=UNKNOWN))
    assert quarantine.settle(new, Settled("replayed", receipt=str(item.receipt)))
    assert again(item).state == "replayed"


def test_an_item_whose_worker_always_dies_is_parked_at_last() -> None:
    item = keep()
    order_all()
    for _ in range(quarantine.MAX_DEATHS):
        assert quarantine.claim(1)
        QuarantineItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert quarantine.claim(1) == []
    assert again(item).state == "parked"


def die() -> None:
    """The worker that has what is claimed ends without a word."""
    QuarantineItem.objects.filter(state="replaying").update(lease_until=timezone.now() - timedelta(seconds=1))


def test_what_kills_workers_stands_alone_before_it_is_parked_and_takes_no_other_along() -> None:
    """It is the third of twenty. A worker works off what it claimed in order, tells of it, and dies at that one each time."""
    items = [keep() for _ in range(20)]
    killer = items[2]
    order_all()
    for _ in range(40):
        claims = quarantine.claim(10)
        sound = list(itertools.takewhile(lambda claimed: claimed.id != killer.pk, claims))
        quarantine.settle_all([(claimed, Settled("replayed")) for claimed in sound])
        die()
    assert (again(killer).state, killer.attempts) == ("parked", quarantine.MAX_DEATHS)
    assert {again(item).state for item in items if item != killer} == {"replayed"}


def test_a_batch_is_settled_at_once_each_write_with_its_own_end() -> None:
    landed, failed, late, untried = (keep() for _ in range(4))
    order_all()
    claims = quarantine.claim(10)
    receipt = keep().receipt
    outcomes = [Settled("replayed", str(receipt)), Settled("failed", error=UNKNOWN), Settled("conflict", error=UNKNOWN), Settled("untried")]
    quarantine.settle_all(list(zip(claims, outcomes, strict=True)))
    assert [again(item).state for item in (landed, failed, late, untried)] == ["replayed", "waiting", "conflict", "waiting"]
    assert (landed.replay_receipt, Receipt.objects.get(pk=landed.receipt).outcome) == (receipt, "replayed")
    assert (failed.attempts, untried.attempts, untried.lease_until) == (1, 0, None)
    assert [claimed.id for claimed in quarantine.claim(10)] == [untried.pk]


def test_a_batch_whose_lease_was_lost_is_not_believed() -> None:
    item = keep()
    order_all()
    old = quarantine.claim(10)
    die()
    quarantine.claim(10)
    quarantine.settle_all([(claimed, Settled("replayed", str(item.receipt))) for claimed in old])
    assert again(item).state == "replaying"


def test_an_outage_keeps_the_order_of_a_table_and_leaves_the_others_alone() -> None:
    rita, first, second = reviewer(), keep(), keep()
    order_all(rita)
    claims = quarantine.claim(10)
    quarantine.settle_all([(claims[0], Settled("unavailable", error={"code": "08006"})), (claims[1], Settled("untried"))])
    assert quarantine.claim(10) == []
    elsewhere = keep(table="orders")
    replay_orders.order_items([elsewhere.pk], rita)
    assert [claimed.id for claimed in quarantine.claim(10)] == [elsewhere.pk]
    skip_pauses()
    assert [claimed.id for claimed in quarantine.claim(10)] == [first.pk, second.pk]


def test_how_long_the_pause_after_a_failure_is_can_be_asked() -> None:
    keep()
    order = order_all()
    assert quarantine.next_due() is None
    (claimed,) = quarantine.claim(1)
    quarantine.settle(claimed, Settled("failed", error=UNKNOWN))
    QuarantineItem.objects.update(lease_until=timezone.now() + timedelta(hours=1))
    pause = quarantine.next_due(order.pk)
    assert pause is not None and 3000 < pause <= 3600


def test_the_cap_is_one_for_all_workers() -> None:
    """What one has reserved, another must wait for; hours here, so that no machine is too slow to see it."""
    assert replay_pace.reserve(0, 1) == 0
    assert 7100 < replay_pace.reserve(7200, 1) <= 7200
    assert 7000 < replay_pace.reserve(0, 1) <= 7200
    assert 14000 < replay_pace.reserve(7200, 1) <= 14400


def test_very_many_are_discarded_as_one_entry_of_the_audit_that_a_digest_ties_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_NAMED", 2)
    items = [keep() for _ in range(3)]
    assert quarantine.discard([item.pk for item in items], reviewer(), "test data") == 3
    assert {again(item).state for item in items} == {"discarded"}
    (told,) = Decision.objects.filter(action="discard")
    digest = hashlib.sha256("\n".join(sorted(str(item.pk) for item in items)).encode()).hexdigest()
    assert (told.content_hash, told.why) == (digest, "test data")


def test_a_replayed_write_has_both_receipts() -> None:
    item, second = keep(), keep(signature="x")
    order_all()
    for claimed in quarantine.claim(10):
        quarantine.settle(claimed, Settled("replayed", receipt=str(second.receipt)))
    assert again(item).replay_receipt == second.receipt
    assert Receipt.objects.get(pk=item.receipt).outcome == "replayed"
    replay_orders.finish_orders()
    order = Replay.objects.get()
    assert (order.state, replay_orders.progress(order).replayed) == ("done", 2)


def test_a_write_that_fails_three_times_is_parked_with_its_last_error() -> None:
    item = keep()
    order_all()
    for attempt in (1, 2, 3):
        skip_pauses()
        (claimed,) = quarantine.claim(1)
        quarantine.settle(claimed, Settled("failed", error={**UNKNOWN, "message": f"no {attempt}"}))
    assert (again(item).state, item.attempts, item.last_error["message"]) == ("parked", 3, "no 3")


def test_a_poison_row_does_not_hold_up_the_rows_behind_it() -> None:
    poison, healthy = keep(), keep()
    order_all()
    (first,) = quarantine.claim(1)
    quarantine.settle(first, Settled("failed", error=UNKNOWN))
    (second,) = quarantine.claim(1)
    assert (first.id, second.id) == (poison.pk, healthy.pk)


def test_an_outage_of_the_target_costs_no_attempt() -> None:
    item = keep()
    order_all()
    (claimed,) = quarantine.claim(1)
    quarantine.settle(claimed, Settled("unavailable", error={"code": "08006"}))
    assert (again(item).state, item.attempts) == ("waiting", 0)
    assert quarantine.claim(1) == []
    skip_pauses()
    assert len(quarantine.claim(1)) == 1


def test_a_conflict_waits_for_a_person_who_may_force_it() -> None:
    rita, item = reviewer(), keep()
    order_all(rita)
    (claimed,) = quarantine.claim(1)
    quarantine.settle(claimed, Settled("conflict", error={"code": "MG409"}))
    assert again(item).state == "conflict"
    assert replay_orders.order_all_waiting(rita) is None
    assert replay_orders.order_items([item.pk], rita) is not None


def test_an_automatic_write_that_still_does_not_fit_waits_longer_each_time_and_is_not_parked() -> None:
    item, pauses = keep(automatic=True), []
    for _ in range(5):
        skip_pauses()
        wake.order_due()
        (claimed,) = quarantine.claim(1)
        quarantine.settle(claimed, Settled("failed", error=UNKNOWN))
        pauses.append(again(item).lease_until - timezone.now())
    assert (item.state, item.replay) == ("waiting", None)
    assert [round(p.total_seconds()) for p in pauses] == [30, 60, 120, 240, 480]


def test_a_new_schema_version_wakes_automatic_writes_and_leaves_the_others() -> None:
    asked, parked, quiet = (
        keep(automatic=True, lease_until=timezone.now() + timedelta(hours=1)),
        keep(automatic=True, state="parked"),
        keep(),
    )
    capture(epoch=1)
    assert again(asked).replay is None
    capture(epoch=2, cause="watcher")
    assert again(asked).replay is not None
    assert again(parked).state == "waiting"
    assert again(quiet).replay is None


def test_the_sweeper_orders_automatic_writes_whose_bell_was_lost() -> None:
    item = keep(automatic=True)
    wake.order_due()
    assert again(item).replay is not None
    order = item.replay
    wake.order_due()
    assert again(item).replay == order


def test_a_paused_replay_stands_still_and_a_cancelled_one_gives_its_items_back() -> None:
    rita, item = reviewer(), keep()
    order = order_all(rita)
    replay_orders.steer(order, "pause", rita)
    assert quarantine.claim(1) == []
    replay_orders.steer(order, "resume", rita)
    (claimed,) = quarantine.claim(1)
    quarantine.release([claimed])
    replay_orders.steer(order, "cancel", rita)
    assert (again(item).state, item.replay) == ("waiting", None)
    with pytest.raises(WrongState):
        replay_orders.steer(order, "resume", rita)


def test_an_item_is_in_one_order_only_the_last_that_a_person_asked_for() -> None:
    rita, item, other = reviewer(), keep(), keep()
    first = order_all(rita)
    second = replay_orders.order_items([item.pk], rita)
    first.refresh_from_db()
    assert (again(item).replay, again(other).replay, first.total) == (second, first, 1)


def test_what_is_being_replayed_is_not_ordered_again() -> None:
    rita, item = reviewer(), keep()
    order_all(rita)
    assert quarantine.claim(1)
    assert replay_orders.order_items([item.pk], rita) is None


def test_discarding_needs_a_reason_and_the_right_and_keeps_the_payload() -> None:
    rita, item = reviewer(), keep()
    with pytest.raises(NeedsReason):
        quarantine.discard([item.pk], rita, "")
    with pytest.raises(NotAllowed):
        quarantine.discard([item.pk], onlooker(), "test data")
    assert quarantine.discard([item.pk], rita, "test data") == 1
    assert (again(item).state, bool(item.request)) == ("discarded", True)
    assert Receipt.objects.get(pk=item.receipt).outcome == "rejected"


def test_two_workers_never_claim_the_same_item() -> None:
    for _ in range(3):
        keep()
    order_all()
    with transaction.atomic():
        claims = quarantine.claim(1)
        other = connections.create_connection("default")
        try:
            with other.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM (SELECT id FROM healing_quarantineitem WHERE state = 'waiting' FOR UPDATE SKIP LOCKED) x"
                )
                assert cursor.fetchone() == (2,)
        finally:
            other.close()
    assert len(claims) == 1
    assert connection.is_usable()


def test_the_command_orders_by_id_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    item = keep()
    call_command("replay", "--quarantine", str(item.pk))
    assert "of 1 was ordered" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no quarantined write"):
        call_command("replay", "--quarantine", "00000000-0000-0000-0000-000000000000")
    QuarantineItem.objects.update(state="discarded")
    call_command("replay", "--all-waiting")
    assert "nothing waits" in capsys.readouterr().out
