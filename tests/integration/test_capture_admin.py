"""The schema pages of the dashboard: to read, not to edit."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from schema_monitor.models import SchemaChange, SchemaVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> SchemaVersion:
    facts = {"scope": {}, "fingerprint": "f", "snapshot": {"relations": {"1": {}}}, "lineage": {}}
    version = SchemaVersion.objects.create(epoch=2, summary="Column public.t.a was renamed to b.", **facts)
    where = {"schema": "public", "relation": "t", "object": "b", "old": "a", "new": "b", "usr": "ann", "app": "psql", "tag": "ALTER TABLE"}
    SchemaChange.objects.create(
        version=version, kind="column_renamed", severity="high", sentence=version.summary, breaks_old_writers=True, **where
    )
    return version


def test_the_list_and_the_page_say_what_changed_and_whom_it_breaks(admin_client: Client, version: SchemaVersion) -> None:
    page = admin_client.get(reverse("admin:schema_monitor_schemaversion_changelist"))
    assert version.summary in page.content.decode()
    page = admin_client.get(reverse("admin:schema_monitor_schemaversion_change", args=[version.pk]))
    assert "writers" in page.content.decode()
    assert "ann (psql): ALTER TABLE" in page.content.decode()
    assert "1 relations" in page.content.decode()


def test_a_version_cannot_be_edited_added_or_deleted(admin_client: Client, version: SchemaVersion) -> None:
    names = [("change", [version.pk]), ("add", []), ("delete", [version.pk])]
    for name, args in names:
        url = reverse(f"admin:schema_monitor_schemaversion_{name}", args=args)
        assert admin_client.post(url, {"summary": "other"}).status_code == 403
