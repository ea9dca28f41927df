"""Signing secrets of webhooks (Standard Webhooks): made, rotated, used.

While a secret is rotated both sign, so the receiver may change over in its own time; then a person retires the old one.
"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import datetime

from django.db import transaction
from standardwebhooks import Webhook

from schema_monitor.alerts.models import SchemaSubscription
from schema_monitor.alerts.sealed import open_text, seal_text

MOST = 2


def new_secret() -> str:
    """32 random bytes as the standard writes them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def secrets_of(subscription: SchemaSubscription) -> list[str]:
    """The secrets that sign now, the newest first. Raises ``CannotOpen``."""
    return [] if subscription.secrets is None else list(json.loads(open_text(subscription.secrets)))


@transaction.atomic
def rotate(subscription: SchemaSubscription) -> None:
    """Adds a new secret; the one before signs too until it is retired."""
    _keep(subscription, lambda known: [new_secret(), *known][:MOST])


@transaction.atomic
def retire_old(subscription: SchemaSubscription) -> None:
    """Only the newest secret signs from now on."""
    _keep(subscription, lambda known: known[:1])


def signature(signing: list[str], reference: str, at: datetime, body: str) -> str:
    """The value of webhook-signature: one signature a secret."""
    return " ".join(Webhook(secret).sign(reference, at, body) for secret in signing)


def _keep(subscription: SchemaSubscription, change: object) -> None:
    assert callable(change)
    row = SchemaSubscription.objects.select_for_update().get(pk=subscription.pk)
    row.secrets = seal_text(json.dumps(change(secrets_of(row))))
    row.save(update_fields=["secrets"])
    subscription.secrets = row.secrets
