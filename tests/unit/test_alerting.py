"""Who is told, when it is tried again, where it may go, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Struct

from schema_monitor.alerts.sent import retry_after
from schema_monitor.core.alert_texts import for_discord, for_slack, one_line, title
from schema_monitor.core.alert_words import next_step, who_is_hit
from schema_monitor.core.reach import reachable
from schema_monitor.core.retry import MAX_ATTEMPTS, OPENS_AT, pause_of_destination, pause_of_message
from schema_monitor.core.severity import WEIGHTS
from schema_monitor.core.subscribed import wants


class Wish(Struct):
    minimum: str = "low"
    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class Seen(Struct):
    severity: str = "high"
    schema: str = "public"
    relation: str = "user_roles"
    kind: str = "column_renamed"


@pytest.mark.parametrize(
    ("wish", "so"),
    [
        (Wish(), True),
        (Wish("high"), True),
        (Wish("critical"), False),
        (Wish(tables=("user_*",)), True),
        (Wish(tables=("user",)), False),
        (Wish(tables=("orders", "*roles")), True),
        (Wish(schemas=("auth",)), False),
        (Wish(kinds=("*_renamed",), tables=("user.roles",)), False),
    ],
)
def test_a_subscription_wants_what_is_in_all_its_lists(wish: Wish, so: bool) -> None:
    assert wants(wish, Seen()) is so


def test_pauses_grow_to_six_hours_and_end_after_about_a_day() -> None:
    pauses = [pause_of_message(n, 0.5) for n in range(1, MAX_ATTEMPTS)]
    assert all(pauses)
    seconds = [pause.total_seconds() for pause in pauses if pause]
    assert seconds[:4] == [5, 15, 45, 135]
    assert seconds == sorted(seconds)
    assert timedelta(hours=18) < timedelta(seconds=sum(seconds)) < timedelta(hours=30)
    assert pause_of_message(MAX_ATTEMPTS, 0.5) is None
    spread = [pause_of_message(3, chance) for chance in (0.0, 1.0)]
    assert spread == [timedelta(seconds=36), timedelta(seconds=54)]


def test_a_destination_is_left_alone_longer_and_longer() -> None:
    assert pause_of_destination(OPENS_AT - 1) is None
    assert [pause_of_destination(OPENS_AT + n) for n in (0, 1, 9, 99)] == [timedelta(minutes=m) for m in (1, 2, 30, 30)]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 120 ", 120), ("999999999999", 86400), ("soon", None), ("-3", None), (None, None), ("Sun, 06 Nov 1994 08:49:37 GMT", 0)],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: int | None) -> None:
    assert retry_after(value) == (None if seconds is None else timedelta(seconds=seconds))


def test_a_date_in_retry_after_counts_from_now() -> None:
    moment = datetime.now(UTC) + timedelta(minutes=5)
    found = retry_after(moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert found is not None
    assert timedelta(minutes=4, seconds=50) < found <= timedelta(minutes=5)


@pytest.mark.parametrize(
    "inside",
    ["127.0.0.1", "10.0.0.8", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "::", "fe80::1%eth0", "fd00::1",
     "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "255.255.255.255"],
)  # fmt: skip
def test_addresses_inside_are_out_of_reach(inside: str) -> None:
    assert not reachable(inside, (), plain=False)
    assert not reachable(inside, ("10.9.0.0/16",), plain=False)


def test_public_addresses_need_tls_and_named_networks_do_not() -> None:
    assert reachable("93.184.215.14", (), plain=False)
    assert reachable("2606:2800:21f:cb07::1", (), plain=False)
    assert not reachable("93.184.215.14", (), plain=True)
    assert reachable("10.1.2.3", ("10.1.0.0/16",), plain=True)
    assert reachable("::ffff:10.1.2.3", ("10.1.0.0/16",), plain=True)


def test_every_kind_has_a_next_step() -> None:
    for kind, weight in WEIGHTS.items():
        assert next_step(kind, writers=weight.writers, readers=weight.readers, inferred=False).endswith(".")
    assert "followed" in next_step("column_renamed", writers=True, readers=True, inferred=False)
    assert "kept" in next_step("column_renamed", writers=True, readers=True, inferred=True)


@pytest.mark.parametrize(
    ("hits", "said"),
    [
        (None, "Callers that write it the old way."),
        ({"requests": 0, "callers": []}, "No request of the last 7 days touches it."),
        ({"requests": 1, "callers": [{"name": "shop", "requests": 1}]}, "1 request of the last 7 days touches it: shop (1)."),
        (
            {"requests": 4120, "callers": [{"name": f"c{n}", "requests": 1030} for n in range(4)]},
            "4,120 requests of the last 7 days touch it: c0 (1,030), c1 (1,030), c2 (1,030) and 1 more.",
        ),
    ],
)
def test_who_is_hit_is_counted_where_it_is_known(hits: Any, said: str) -> None:
    assert who_is_hit(hits, "column_removed", writers=True, readers=False, inferred=False) == said


def test_names_from_a_database_do_nothing_where_they_are_shown() -> None:
    assert one_line("a\r\nBcc: b\x00\u2028c") == "a Bcc: b c"
    assert for_slack("<!channel> *a* `b` &") == "&lt;!channel&gt; ∗a∗ ˋbˋ &amp;"
    assert for_discord("@here [a](b) *c*") == "\\@here \\[a\\]\\(b\\) \\*c\\*"
    assert title(0, "low", "") == "Test: alerts of Mendgate arrive here"
    assert title(1, "high", "A\nb.") == "high: A b."
