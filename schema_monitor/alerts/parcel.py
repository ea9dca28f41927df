"""A message made ready to be sent without the database: the letter in its channel's form, and where it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from msgspec import Struct

from schema_monitor.alerts import discord, mail, slack, webhook
from schema_monitor.alerts.letter import Letter, letter_of
from schema_monitor.alerts.models import AlertMessage, Channel, SchemaSubscription
from schema_monitor.alerts.post import post
from schema_monitor.alerts.sealed import open_text
from schema_monitor.alerts.sent import Sent
from schema_monitor.alerts.signing import secrets_of

_CHATS: dict[str, Callable[[Letter], dict[str, Any]]] = {Channel.SLACK: slack.body, Channel.DISCORD: discord.body}


class Posted(Struct, frozen=True):
    """Goes to a URL; signed where there are secrets."""

    url: str
    text: str
    reference: str
    signing: tuple[str, ...]
    networks: tuple[str, ...]
    destination: str = ""
    """What its gate is called."""

    def send(self) -> Sent:
        """Once."""
        headers = webhook.headers(self.reference, self.text, self.signing, datetime.now(UTC)) if self.signing else {}
        return post(self.url, self.text.encode(), headers, self.networks)


class Mailed(Struct, frozen=True):
    """Goes to a mail server."""

    message: EmailMessage

    @property
    def destination(self) -> str:
        """What its gate is called; none where there is no server."""
        return f"alerts:{Channel.EMAIL}" if settings.MENDGATE.email_url else ""

    def send(self) -> Sent:
        """Once."""
        return mail.send(self.message)


class Spoiled(Struct, frozen=True):
    """Could not even be made ready."""

    error: str
    destination: str = ""

    def send(self) -> Sent:
        """Says why."""
        return Sent(False, error=self.error)


Parcel = Posted | Mailed | Spoiled


def pack(message: AlertMessage) -> Parcel:
    """Never raises: what cannot be packed is a delivery that failed, and says why."""
    try:
        return _pack(message.subscription, letter_of(message))
    except Exception as error:
        return Spoiled(f"{type(error).__name__}: {error}")


def _pack(subscription: SchemaSubscription, letter: Letter) -> Parcel:
    address = open_text(subscription.address)
    if subscription.channel == Channel.EMAIL:
        return Mailed(mail.compose(letter, [each.strip() for each in address.split(",")]))
    if subscription.channel == Channel.WEBHOOK:
        text, signing, gate = webhook.body(letter), tuple(secrets_of(subscription)), f"webhooks:{_host(address)}"
    else:
        text, signing = json.dumps(_CHATS[subscription.channel](letter), ensure_ascii=False), ()
        gate = f"alerts:{subscription.channel}"
    return Posted(address, text, letter.reference, signing, settings.MENDGATE.alert_networks, gate)


def _host(address: str) -> str:
    """Host and port, in characters that a breaker's name may have."""
    parts = urlsplit(address)
    host = re.sub(r"[^a-z0-9.:-]", "-", (parts.hostname or "").strip("[]"))
    return f"{host}:{parts.port}"[:180] if parts.port else host[:180]
