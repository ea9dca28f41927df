"""The demo's applications: tables, the writes that fit them, and the drift that real applications have.

A payload is made by a function of a ``random.Random``, so that rows differ.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct

Row = dict[str, Any]
Made = Callable[[Random], Row]

PEOPLE = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "ken", "radia", "edsger", "frances")
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "indigo", "juniper", "kestrel", "lagoon")


class Story(Struct, frozen=True):
    """One table. ``known`` are writes with an exact heal (lossless spellings, or names from before a rename), ``odd`` those that
    nobody can mend alone. ``rename`` is an ALTER … RENAME there, and back, by which the schema changes now and then."""

    table: str
    create: tuple[str, ...]
    fits: Made
    known: tuple[Made, ...] = ()
    odd: tuple[Made, ...] = ()
    rename: tuple[str, str] | None = None
    alter: tuple[str, str] | None = None
    """The same with another change: what was added is taken away again, and callers who took it up are hit."""


def _id(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _moment(rng: Random) -> str:
    return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(8, 19):02}:{rng.randint(0, 59):02}:00Z"


def _email(rng: Random) -> str:
    return f"{rng.choice(PEOPLE)}.{rng.choice(WORDS)}@example.com"


def _without(row: Row, *keys: str, **more: Any) -> Row:
    return {key: value for key, value in row.items() if key not in keys} | more


def customer(rng: Random) -> Row:
    """A sign-up."""
    return {
        "email": _email(rng),
        "full_name": rng.choice(PEOPLE).title(),
        "plan": rng.choice(("free", "pro", "team")),
        "metadata": {"source": rng.choice(WORDS)},
    }


def order(rng: Random) -> Row:
    """A shop's order."""
    return {
        "customer_email": _email(rng),
        "status": rng.choice(("pending", "paid", "completed")),
        "total": rng.randint(100, 90_000) / 100,
        "currency": "EUR",
        "notes": "ring twice",
    }


def item(rng: Random) -> Row:
    """A line of an order."""
    return {"sku": f"{rng.choice(WORDS)}-{rng.randint(1, 99)}", "quantity": rng.randint(1, 9), "unit_price": rng.randint(1, 500) / 4}


def message(rng: Random) -> Row:
    """A chat message."""
    return {"conversation_id": _id(rng), "sender_id": _id(rng), "body": f"See you at the {rng.choice(WORDS)}", "sent_at": _moment(rng)}


def booking(rng: Random) -> Row:
    """A booking."""
    return {"host_id": _id(rng), "guests": rng.randint(1, 6), "starts_at": _moment(rng), "status": rng.choice(("requested", "confirmed"))}


def event(rng: Random) -> Row:
    """Something that happened in an application."""
    return {"name": rng.choice(("page_view", "signup", "checkout")), "properties": {"page": rng.choice(WORDS)}, "occurred_at": _moment(rng)}


def device(rng: Random) -> Row:
    """A report of a device."""
    return {"serial": f"SN{rng.randint(10_000, 99_999)}", "battery": rng.randint(1, 100), "last_seen_at": _moment(rng)}


def invoice(rng: Random) -> Row:
    """An invoice."""
    return {"number": f"2026-{rng.randint(1, 99_999):05}", "amount_cents": rng.randint(100, 99_999), "due_date": _moment(rng)[:10]}


def ticket(rng: Random) -> Row:
    """A support ticket."""
    return {"title": f"The {rng.choice(WORDS)} does not load", "priority": rng.randint(1, 5), "assignee_id": _id(rng)}


def shipment(rng: Random) -> Row:
    """A parcel on its way."""
    return {
        "tracking_code": f"TR{rng.randint(10**6, 10**7)}",
        "weight_grams": rng.randint(50, 9_000),
        "carrier": rng.choice(("dhl", "ups")),
    }


def subscription(rng: Random) -> Row:
    """A subscription; the label ``basic`` has been renamed, and comes back, now and then."""
    return {"customer_email": _email(rng), "tier": "premium", "seats": rng.randint(1, 20)}


def profile(rng: Random) -> Row:
    """A user's profile."""
    return {"user_id": _id(rng), "display_name": rng.choice(PEOPLE), "bio": f"Likes {rng.choice(WORDS)}", "birthday": "1990-02-11"}


_KEY = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
STORIES = (
    Story(
        "customers",
        (
            "CREATE TYPE plan_tier AS ENUM ('free', 'pro', 'team')",
            f"CREATE TABLE customers ({_KEY}, email text NOT NULL, full_name text, plan plan_tier NOT NULL DEFAULT 'free', metadata jsonb)",
        ),
        customer,
        known=(lambda r: customer(r) | {"plan": "Pro"}, lambda r: customer(r) | {"metadata": '{"source": "import"}'}),
        odd=(lambda r: _without(customer(r), "full_name", name="Ada"), lambda r: customer(r) | {"plan": "enterprise"}),
        rename=("ALTER TABLE customers RENAME COLUMN email TO email_address", "ALTER TABLE customers RENAME COLUMN email_address TO email"),
    ),
    Story(
        "orders",
        (
            f"CREATE TABLE orders ({_KEY}, customer_email text NOT NULL, "
            "status text NOT NULL CHECK (status IN ('pending', 'paid', 'completed')), total numeric(10, 2) NOT NULL, "
            "currency char(3) NOT NULL DEFAULT 'EUR', notes text, placed_at timestamptz NOT NULL DEFAULT now())",
        ),
        order,
        known=(lambda r: order(r) | {"total": f"{r.randint(1, 99)}.90"},),
        odd=(
            lambda r: order(r) | {"status": "complete"},
            lambda r: _without(order(r), "total", order_total=12.5),
            lambda r: order(r) | {"total": 19.999},
        ),
        rename=("ALTER TABLE orders RENAME COLUMN notes TO delivery_notes", "ALTER TABLE orders RENAME COLUMN delivery_notes TO notes"),
    ),
    Story(
        "order_items",
        (f"CREATE TABLE order_items ({_KEY}, sku text NOT NULL, quantity integer NOT NULL, unit_price numeric(10, 2))",),
        item,
        known=(lambda r: item(r) | {"quantity": str(r.randint(1, 9))},),
        odd=(lambda r: _without(item(r), "quantity", qty=2),),
    ),
    Story(
        "messages",
        (
            f"CREATE TABLE messages ({_KEY}, conversation_id uuid NOT NULL, sender_id uuid NOT NULL, body text NOT NULL, "
            "sent_at timestamptz NOT NULL DEFAULT now())",
        ),
        message,
        odd=(lambda r: _without(message(r), "body", message="Are you there?"), lambda r: message(r) | {"is_read": False}),
        alter=("ALTER TABLE messages ADD COLUMN is_read boolean", "ALTER TABLE messages DROP COLUMN is_read"),
    ),
    Story(
        "bookings",
        (
            f"CREATE TABLE bookings ({_KEY}, host_id uuid NOT NULL, guests integer NOT NULL, starts_at timestamptz NOT NULL, "
            "status text NOT NULL CHECK (status IN ('requested', 'confirmed', 'cancelled')))",
        ),
        booking,
        known=(lambda r: booking(r) | {"guests": "2"},),
        odd=(lambda r: _without(booking(r), "host_id", created_by=_id(r)), lambda r: booking(r) | {"status": "canceled"}),
    ),
    Story(
        "analytics_events",
        (f"CREATE TABLE analytics_events ({_KEY}, name text NOT NULL, properties jsonb, occurred_at timestamptz NOT NULL DEFAULT now())",),
        event,
        odd=(lambda r: event(r) | {"session_seconds": r.randint(1, 900)}, lambda r: event(r) | {"referrer": "https://example.com"}),
    ),
    Story(
        "devices",
        (f"CREATE TABLE devices ({_KEY}, serial text NOT NULL, battery real, last_seen_at timestamptz)",),
        device,
        odd=(lambda r: device(r) | {"last_seen_at": 1_780_000_000_000 + r.randrange(10**9)}, lambda r: device(r) | {"battery": 16_777_217}),
    ),
    Story(
        "invoices",
        (f"CREATE TABLE invoices ({_KEY}, number text NOT NULL, amount_cents bigint NOT NULL, due_date date)",),
        invoice,
        known=(lambda r: invoice(r) | {"amount_cents": "1999"},),
        odd=(lambda r: _without(invoice(r), "due_date", due_on="2026-12-01"), lambda r: invoice(r) | {"due_date": "2026-02-30"}),
        rename=("ALTER TABLE invoices RENAME TO bills", "ALTER TABLE bills RENAME TO invoices"),
    ),
    Story(
        "tickets",
        (f"CREATE TABLE tickets ({_KEY}, title text NOT NULL, priority smallint NOT NULL DEFAULT 3, assignee_id uuid)",),
        ticket,
        odd=(lambda r: ticket(r) | {"priority": "high"}, lambda r: _without(ticket(r), "assignee_id", assigned_to=_id(r))),
        rename=("ALTER TABLE tickets RENAME COLUMN title TO subject", "ALTER TABLE tickets RENAME COLUMN subject TO title"),
    ),
    Story(
        "shipments",
        (f"CREATE TABLE shipments ({_KEY}, tracking_code text NOT NULL, weight_grams integer, carrier text)",),
        shipment,
        odd=(lambda r: _without(shipment(r), "weight_grams", weight_kg=1.5), lambda r: shipment(r) | {"insured": True}),
        alter=("ALTER TABLE shipments ADD COLUMN insured boolean", "ALTER TABLE shipments DROP COLUMN insured"),
    ),
    Story(
        "subscriptions",
        (
            "CREATE TYPE subscription_tier AS ENUM ('basic', 'premium')",
            f"CREATE TABLE subscriptions ({_KEY}, customer_email text NOT NULL, tier subscription_tier NOT NULL, "
            "seats integer NOT NULL DEFAULT 1)",
        ),
        subscription,
        known=(lambda r: subscription(r) | {"tier": "basic"},),
        odd=(lambda r: subscription(r) | {"tier": "gold"},),
        rename=(
            "ALTER TYPE subscription_tier RENAME VALUE 'basic' TO 'starter'",
            "ALTER TYPE subscription_tier RENAME VALUE 'starter' TO 'basic'",
        ),
    ),
    Story(
        "profiles",
        (f"CREATE TABLE profiles ({_KEY}, user_id uuid NOT NULL, display_name text NOT NULL, bio text, birthday date)",),
        profile,
        odd=(lambda r: _without(profile(r), "display_name", username="ada"), lambda r: _without(profile(r), "user_id")),
    ),
)
