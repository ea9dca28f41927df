"""Who may only look: every URL of the admin, found by asking Django, answers without changing a row, or refuses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, UUIDConverter

from breakers.models import AiSettings, BreakerConfig, BreakerConfigVersion, BreakerEvent
from tests.integration.control_rows import onlooker, reviewer
from tests.integration.test_admin_pages import enter, world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres", "redis_away")]
OWN = ("/admin/login/", "/admin/logout/", "/admin/password_change/", "/admin/password_change/done/")
"""What anybody may do to themselves."""


@pytest.fixture
def redis_away(settings: Any) -> None:
    """What needs Redis says so."""
    settings.RQ_QUEUES = {name: {"URL": "redis://127.0.0.1:1/0"} for name in ("default", "ai")}


def patterns(found: Any = None, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every pattern below /admin/, as the parts of its path."""
    for each in found if found is not None else get_resolver().url_patterns:
        here = (*before, each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns, here)
        elif isinstance(each, URLPattern):
            yield here


def urls(made: dict[str, Any]) -> list[str]:
    """One URL a pattern: with ids of rows that are there, where a model of ours has some, else with ones that fit."""
    return sorted({url for parts in patterns() if (url := _filled(parts, made)).startswith("/admin/") and url not in OWN})


def _filled(parts: tuple[Any, ...], made: dict[str, Any]) -> str:
    text = "/" + "".join(str(getattr(part, "_route", "")) for part in parts)
    for part in parts:
        for name, converter in getattr(part, "converters", {}).items():
            text = text.replace(f"<{_kind(converter)}{name}>", _value(text, name, converter, made))
    return text


def _kind(converter: Any) -> str:
    kinds = {IntConverter: "int:", UUIDConverter: "uuid:"}
    for kind, word in kinds.items():
        if isinstance(converter, kind):
            return word
    name = type(converter).__name__.removesuffix("Converter").lower()
    return f"{name}:".replace("string", "str")


def _value(text: str, name: str, converter: Any, made: dict[str, Any]) -> str:
    model = text.removeprefix("/admin/").split("/")[:2]
    rows = {"quarantineitem": "item", "proposal": "proposal", "rule": "rule", "replay": "order", "apikey": "key", "policy": "policy"}
    if len(model) == 2 and model[1] in rows and name in ("object_id", "pk"):
        return str(made[rows[model[1]]].pk)
    if isinstance(converter, IntConverter):
        return "0"
    return str(uuid.UUID(int=7)) if isinstance(converter, UUIDConverter) or name == "object_id" else "x"


def rows() -> dict[str, Any]:
    """Every row but of sessions, and of what the breakers and AI's pages write down by themselves, whoever looks."""
    noted = (Session, BreakerConfig, BreakerConfigVersion, BreakerEvent, AiSettings)
    ours = [model for model in apps.get_models() if model._meta.managed and model not in noted]
    return {model._meta.label: _digest(model._meta.db_table) for model in ours}


def _digest(table: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), md5(string_agg(md5((to_jsonb(t) - 'last_login')::text), '' ORDER BY to_jsonb(t)::text)) FROM \"{table}\" t"
        )
        return cursor.fetchone()


def test_every_url_of_the_admin_answers_who_may_only_look_and_changes_nothing() -> None:
    otto, found = enter(onlooker()), urls(world(reviewer()))
    assert len(found) > 150 and any("/undo/" in url for url in found)
    before = rows()
    for url in found:
        answer = otto.get(url)
        assert answer.status_code in (200, 302, 403, 404, 405, 503), (url, answer.status_code)
        if url.endswith("/add/"):
            assert answer.status_code in (403, 404), url
        answer = otto.post(url, {"why": "x", "action": "replay", "fix": "[]", "post": "yes", "right": "no", "name": "x"})
        assert answer.status_code in (200, 302, 400, 403, 404, 405, 503), (url, answer.status_code)
    after = rows()
    assert [label for label, digest in before.items() if after[label] != digest] == []


def test_who_is_nobody_is_asked_to_log_in_everywhere() -> None:
    nobody, found = Client(), urls(world(reviewer()))
    for url in found:
        answer = nobody.get(url)
        assert answer.status_code in (301, 302, 404), (url, answer.status_code)
        if answer.status_code == 302:
            assert "/login/" in answer["Location"] or answer["Location"].startswith("/admin"), (url, answer["Location"])
