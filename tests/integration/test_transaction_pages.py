"""What the pages say of transactions, and how long they are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from healing import transaction_log
from healing.models import TransactionLog
from tests.integration.control_rows import onlooker, rolled_back

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]


def test_one_is_found_by_id_table_and_user_and_told_with_its_reason() -> None:
    row = rolled_back("ann@example.com")
    browser = Client()
    browser.force_login(onlooker())
    several = reverse("admin:healing_transactionlog_changelist")
    one = reverse("admin:healing_transactionlog_change", args=[row.pk])
    assert browser.get(several, {"q": str(row.pk)}).url == one  # type: ignore[attr-defined]
    assert str(row.pk) in browser.get(several, {"q": "users"}).content.decode()
    assert str(row.pk) not in browser.get(several, {"q": "orders"}).content.decode()
    page = browser.get(one).content.decode()
    for said in ("ROLLBACK", "undone with the rest", "could not land", "not reached", "40P01", "twice (23505)", "ann@example.com"):
        assert said in page, said
    assert "Its case" not in page  # what was rolled back left no receipt


def test_old_ones_are_forgotten(settings: Any) -> None:
    settings.TRANSACTIONS_KEPT_DAYS = 2
    old, young = rolled_back("x"), rolled_back("y")
    TransactionLog.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=3))
    assert transaction_log.prune() == 1
    assert list(TransactionLog.objects.values_list("pk", flat=True)) == [young.pk]
