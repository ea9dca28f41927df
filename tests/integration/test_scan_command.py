"""``scan_functions`` on a folder of functions: what it prints, what it keeps, and how it ends."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command

from healing.models import ScanRun
from healing.scan_runs import DETAILED
from tests.integration.schema_rows import BEFORE, RENAMED, evolve

pytestmark = pytest.mark.django_db

HEAD = 'import { createClient } from "npm:@supabase/supabase-js@2";\nconst db = createClient(Deno.env.get("SUPABASE_URL")!, "key");\n'
GOOD = "await db.from('users').update({ email_address: 'a' }).eq('id', 1);\n"
BAD = "await db.from('users').insert({ colour: 'red' });\n"
OLD = "await db.from('users').update({ email: 'a' });\n"
ASKS = "export const ask = () => fetch('https://api.openai.com/v1/chat/completions', { method: 'POST' });\n"


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """Three functions and what they share."""
    root = tmp_path / "supabase" / "functions"
    files = {
        "good/index.ts": HEAD + GOOD,
        "stripe-webhook/index.ts": "import { ask } from '../_shared/ai.ts';\n" + HEAD + BAD + "await ask();\n",
        "hello/index.ts": "Deno.serve(() => new Response('hello'));\n",
        "_shared/ai.ts": ASKS,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def schema() -> None:
    """The users table after email → email_address."""
    evolve(BEFORE, RENAMED)


def said(*words: str) -> str:
    out = StringIO()
    call_command("scan_functions", *words, skip_checks=True, stdout=out, stderr=StringIO())
    return out.getvalue()


def code(*words: str) -> int:
    """The exit code, as a shell sees it."""
    try:
        said(*words)
    except SystemExit as ended:
        return int(ended.code or 0)
    except CommandError as error:
        return error.returncode
    return 0


@pytest.mark.usefixtures("schema")
def test_the_table_says_what_is_direct_what_is_wrong_and_what_to_move_first(functions: Path) -> None:
    text = said(str(functions))
    assert "0 of 2 functions are moved (0%); 1 have nothing to move." in text
    assert "1. stripe-webhook:" in text and "2. good:" in text
    assert "nobody repeats its calls by hand" in text
    assert "stripe-webhook/index.ts:4:33  error  MGS002 unknown-column" in text
    assert "Held against schema version 2" in text


@pytest.mark.usefixtures("schema")
def test_json_and_sarif_hold_the_same_findings(functions: Path) -> None:
    found = json.loads(said(str(functions), "--format", "json"))
    assert {f["name"]: (f["state"], f["ai"], f["shared"]) for f in found["functions"]} == {
        "good": ("direct", 0, []), "hello": ("nothing to move", 0, []), "stripe-webhook": ("direct", 1, ["_shared/ai.ts"]),
    }  # fmt: skip
    run = json.loads(said(str(functions), "--format", "sarif"))["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    (result,) = [r for r in run["results"] if r["ruleId"] == "MGS002"]
    assert rules[result["ruleIndex"]] == "MGS002"
    place = result["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "supabase/functions/stripe-webhook/index.ts"},
        "region": {"startLine": 4, "startColumn": 33},
    }
    assert [f["id"] for f in found["findings"]] == [r["ruleId"] for r in run["results"]]


@pytest.mark.usefixtures("schema")
def test_check_fails_on_errors_and_on_lesser_levels_where_asked(functions: Path) -> None:
    assert code(str(functions)) == 0
    assert code(str(functions), "--check") == 1
    (functions / "stripe-webhook/index.ts").write_text(HEAD + OLD)
    assert code(str(functions), "--check") == 0
    assert code(str(functions), "--check", "--level", "warning") == 1


def test_what_cannot_be_done_ends_with_two_and_says_the_way_out(functions: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no folder .*nowhere.* supabase/functions") as nowhere:
        said(str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match=r"No schema version has been captured yet.*capture_schema") as blind:
        said(str(functions))
    with pytest.raises(CommandError, match="is a file") as file:
        said(str(functions / "good/index.ts"), "--no-schema")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CommandError, match="holds no TypeScript") as nothing:
        said(str(empty), "--no-schema")
    traffic = tmp_path / "traffic.csv"
    traffic.write_text("name;n\n")
    with pytest.raises(CommandError, match="cannot be read as traffic") as bad:
        said(str(functions), "--no-schema", "--traffic", str(traffic))
    with pytest.raises(CommandError, match="The schema cannot be read from --database") as away:
        said(str(functions), "--database", "postgresql://nobody@127.0.0.1:1/none")
    assert {e.value.returncode for e in (nowhere, blind, file, nothing, bad, away)} == {2}


def test_without_a_schema_calls_are_counted_and_nothing_is_judged(functions: Path) -> None:
    text = said(str(functions), "--no-schema")
    assert "Not held against a schema: 0 errors" in text
    assert not ScanRun.objects.exists()


@pytest.mark.usefixtures("schema")
def test_files_that_are_no_typescript_are_told_and_the_others_still_judged(functions: Path) -> None:
    (functions / "broken").mkdir()
    (functions / "broken/index.ts").write_text(HEAD + GOOD + "const = {;\n")
    (functions / "broken/bytes.ts").write_bytes(b"\xff\xfe\x00bad")
    (functions / "broken/link.ts").symlink_to("/etc/passwd")
    text = said(str(functions))
    assert "broken/index.ts:4:" in text and "is not understood as TypeScript" in text
    assert "broken/bytes.ts:1:1  warning  MGS018 not-readable\n    it is not UTF-8 text" in text
    assert "link.ts" not in text
    assert "MGS002" in text
    assert code(str(functions), "--check", "--level", "warning") == 1


@pytest.mark.usefixtures("schema")
def test_a_patch_writes_the_names_of_today_where_that_is_asked(functions: Path, tmp_path: Path) -> None:
    path = functions / "good/index.ts"
    path.write_text(
        HEAD + "const email = 'a';\nawait db.from('users').update({ email }).eq('email', 'b').select('email').or('email.eq.c');\n"
    )
    text = said(str(functions), "--patch", str(tmp_path / "p"), "--names")
    diff = (tmp_path / "p").read_text()
    assert "+await db.from('users').update({ email_address: email }).eq('email_address', 'b').select('email:email_address')" in diff
    assert "`email` is called `email_address` now in users: write it by hand" in text


@pytest.mark.usefixtures("schema")
def test_measured_traffic_decides_the_order(functions: Path, tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.csv"
    traffic.write_text("function,calls,failures\ngood,100000,5000\nstripe-webhook,3,0\n")
    text = said(str(functions), "--traffic", str(traffic))
    assert "1. good: 100000 calls (measured); 5.0% of its calls fail" in text


@pytest.mark.usefixtures("schema")
def test_each_scan_is_kept_and_old_ones_lose_their_details(functions: Path) -> None:
    for _ in range(DETAILED + 2):
        said(str(functions))
    runs = list(ScanRun.objects.all())
    assert [(r.direct, r.nothing, r.errors, r.to_move, r.share) for r in runs] == [(2, 1, 1, 2, 0.0)] * (DETAILED + 2)
    assert [bool(r.functions) for r in runs] == [True] * DETAILED + [False] * 2
    said(str(functions), "--no-record")
    assert ScanRun.objects.count() == DETAILED + 2


def test_a_database_can_be_read_directly_as_ci_does_after_its_migrations(functions: Path, target_url: str, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE users (id bigint PRIMARY KEY, email_address text)")
    found = json.loads(said(str(functions), "--format", "json", "--database", target_url))
    assert [(f["id"], f["column"]) for f in found["findings"]] == [("MGS003", "id"), ("MGS002", "colour")]
    assert not ScanRun.objects.exists()
