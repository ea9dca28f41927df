"""What a transaction behind a pooler begins with."""

from __future__ import annotations

import pytest

from schema_monitor.pooled import local_settings, local_settings_call, opened

LOCAL = "SET LOCAL TimeZone='UTC';"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("BEGIN", f"BEGIN;{LOCAL}"),
        ("BEGIN;", f"BEGIN;{LOCAL}"),
        ("BEGIN READ ONLY;SELECT 1", f"BEGIN READ ONLY;{LOCAL}SELECT 1"),
        ("RESET ALL;RESET ROLE;BEGIN ISOLATION LEVEL SERIALIZABLE;X", f"RESET ALL;RESET ROLE;BEGIN ISOLATION LEVEL SERIALIZABLE;{LOCAL}X"),
        ("INSERT INTO t VALUES ('BEGIN;')", "INSERT INTO t VALUES ('BEGIN;')"),
        ("DO $$BEGIN END$$", "DO $$BEGIN END$$"),
        ("SELECT 1;BEGIN", "SELECT 1;BEGIN"),
        ("BEGINNING", "BEGINNING"),
        ("COMMIT", "COMMIT"),
    ],
)  # fmt: skip
def test_settings_follow_the_begin_that_a_text_starts_with_and_no_other(text: str, sent: str) -> None:
    """A literal that holds the word is a caller's value."""
    assert opened(text, LOCAL) == sent


def test_values_of_settings_are_quoted() -> None:
    assert (
        local_settings({"TimeZone": "o'clock", "statement_timeout": "5"})
        == "SET LOCAL TimeZone='o''clock';SET LOCAL statement_timeout='5';"
    )
    assert local_settings_call({"TimeZone": "o'clock", "x": "5"}) == (
        "SELECT set_config('TimeZone','o''clock',true),set_config('x','5',true)"
    )
    assert local_settings_call({}) == ""
