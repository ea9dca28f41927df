"""The page of functions: empty, on the way, done; and who may see it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests.integration.control_rows import onlooker
from tests.integration.schema_rows import BEFORE, RENAMED, evolve

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres", "redis_away")]
CALL = (
    'import {{ createClient }} from "npm:@supabase/supabase-js@2";\n'
    'const db = createClient(Deno.env.get("{setting}")!, "key");\n'
    'await db.from("users").update({{ email: "<b>x</b>" }}).eq("colour", "red");\n'
)


@pytest.fixture
def redis_away(settings: Any) -> None:
    """The dashboard works without Redis."""
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0", "SERIALIZER": "rq.serializers.JSONSerializer"}}


def see(user: User | None = None, **query: str) -> str:
    client = Client()
    client.force_login(user or onlooker(f"otto{User.objects.count()}"))
    answer = client.get(reverse("functions"), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def scan(root: Path) -> None:
    call_command("scan_functions", str(root), skip_checks=True, stdout=StringIO())


def write(root: Path, **settings: str) -> None:
    for name, setting in settings.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "index.ts").write_text(CALL.format(setting=setting))


def test_before_the_first_scan_it_says_what_a_scan_is_for_and_how_to_make_one() -> None:
    text = see()
    assert "No edge functions were scanned yet." in text and "manage.py scan_functions" in text


def test_the_burn_down_what_is_next_and_what_is_wrong_with_the_change_of_source(tmp_path: Path) -> None:
    evolve(BEFORE, RENAMED)
    write(tmp_path / "functions", one="SUPABASE_URL", two="SUPABASE_URL")
    scan(tmp_path / "functions")
    write(tmp_path / "functions", two="MENDGATE_URL")
    scan(tmp_path / "functions")
    text = see()
    assert "1 of 2 functions are moved" in text and "50 % (0 % " in text
    assert text.count('<rect class="mg-burn-') == 3
    assert "<code>one</code>" in text and "no traffic known" in text
    assert "2 places cannot work" in text and "one/index.ts:3" in text
    assert "update({ email_address: &quot;&lt;b&gt;x&lt;/b&gt;&quot; })" in text
    assert "<b>x</b>" not in text


def test_a_folder_is_chosen_and_an_unknown_one_shows_the_last(tmp_path: Path) -> None:
    evolve(BEFORE)
    for name in ("shop", "blog"):
        write(tmp_path / name, **{name: "SUPABASE_URL"})
        scan(tmp_path / name)
    assert "<code>shop</code>" in see(folder=str(tmp_path / "shop"))
    assert "<code>blog</code>" in see(folder="nothing", page="zero")


def test_only_who_may_see_scans_sees_them() -> None:
    client = Client()
    client.force_login(User.objects.create_user("nina", is_staff=True))
    assert client.get(reverse("functions")).status_code == 403
