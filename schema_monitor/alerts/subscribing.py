"""Makes and changes subscriptions; addresses are checked here and sealed."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models.functions import Now

from schema_monitor.alerts.models import Channel, SchemaSubscription
from schema_monitor.alerts.sealed import seal_text
from schema_monitor.alerts.signing import new_secret


def subscribe(name: str, channel: str, address: str, **filters: object) -> SchemaSubscription:
    """A saved subscription; ``filters`` are fields of the model. Raises ``ValidationError`` for an address that cannot be one."""
    subscription = SchemaSubscription(name=name, channel=channel, **filters)
    set_address(subscription, address)
    subscription.save()
    return subscription


def set_address(subscription: SchemaSubscription, address: str) -> None:
    """Checks, seals and remembers what may be shown; a webhook gets a secret with its first address. Not saved."""
    check = _mail if subscription.channel == Channel.EMAIL else _url
    clean, subscription.shown_address = check(address.strip())
    subscription.address = seal_text(clean)
    if subscription.channel == Channel.WEBHOOK and subscription.secrets is None:
        subscription.secrets = seal_text(json.dumps([new_secret()]))


def enable(subscription: SchemaSubscription, *, on: bool) -> None:
    """Switches it. Changes that came while it was off are not told later; what was in the outbox already is."""
    row = SchemaSubscription.objects.filter(pk=subscription.pk)
    if on:
        row.filter(enabled=False).update(enabled=True, why_disabled="", since=Now(), failures=0, paused_until=None)
    else:
        row.filter(enabled=True).update(enabled=False, why_disabled="Switched off by a person.")


def _mail(address: str) -> tuple[str, str]:
    addresses = [each.strip() for each in address.replace(";", ",").replace("\n", ",").split(",") if each.strip()]
    if not addresses:
        raise ValidationError("Enter at least one address.")
    for each in addresses:
        validate_email(each)
    clean = ", ".join(addresses)
    return clean, clean if len(clean) <= 300 else f"{addresses[0]} and {len(addresses) - 1} more"


def _url(address: str) -> tuple[str, str]:
    """Path, query and password may be the secret part: only the host is shown."""
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0 and address.isprintable()
    except ValueError:
        sound = False
    if not sound or " " in address:
        raise ValidationError("Enter the whole URL, like https://hooks.example.com/…")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return address, f"{parts.scheme}://{host}{port}/…"[:300]
