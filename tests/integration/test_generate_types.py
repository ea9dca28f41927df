"""``generate_types``: the file, and what the TypeScript compiler says to programs that use it with the real supabase-js."""

from __future__ import annotations

import os
import subprocess
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command

from healing.typings.document import typescript
from schema_monitor import catalog
from tests.integration.schema_rows import BEFORE, RENAMED, evolve

pytestmark = pytest.mark.django_db

DENO = Path(__file__).resolve().parents[1] / "acceptance" / "deno" / "node_modules" / ".bin" / "deno"
SCHEMA = """
CREATE TYPE mood AS ENUM ('happy', 'very sad');
CREATE TABLE people (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email_address text NOT NULL, mood mood, moods mood[], born date,
  "odd-name" int DEFAULT 1, details jsonb, tags text[] NOT NULL DEFAULT '{}',
  initials text GENERATED ALWAYS AS (left(email_address, 1)) STORED, search tsvector);
CREATE TABLE homes (id int PRIMARY KEY, person_id bigint UNIQUE REFERENCES people, price numeric(6,2));
CREATE VIEW cheap AS SELECT id, person_id, price FROM homes WHERE price < 10;
CREATE FUNCTION count_people(since date, kind text DEFAULT 'x') RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION everybody() RETURNS SETOF people LANGUAGE sql AS 'SELECT * FROM people';
CREATE FUNCTION stats() RETURNS TABLE (name text, amount bigint) LANGUAGE sql AS 'SELECT ''a'', 1::bigint';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
PEOPLE = """
      people: {
        Row: {
          born: string | null
          details: Json | null
          email_address: string
          id: number
          initials: string | null
          mood: Database["public"]["Enums"]["mood"] | null
          moods: Database["public"]["Enums"]["mood"][] | null
          "odd-name": number | null
          search: unknown
          tags: string[]
        }
        Insert: {
          born?: string | null
          details?: Json | null
          email_address: string
          id?: never
          initials?: never
"""
PROGRAM = """
import { createClient } from "@supabase/supabase-js";
import { Constants, type Database, type Enums, type Tables, type TablesInsert, type TablesUpdate } from "./types.ts";

const db = createClient<Database>("http://127.0.0.1:1", "key");
const person: TablesInsert<"people"> = { email_address: "a@b", mood: "happy", details: { a: [1, null] } };
await db.from("people").insert(person);
await db.from("people").insert([{ email_address: "c@d", "odd-name": 3 }]);
await db.from("people").update({ born: "2000-01-01" } satisfies TablesUpdate<"people">).eq("mood", "very sad");
const { data } = await db.from("homes").select("id, price, people(email_address, mood)").single();
const address: string | undefined = data?.people?.email_address;
const cheap: Tables<"cheap"> = { id: 1, person_id: null, price: 2 };
const { data: count } = await db.rpc("count_people", { since: "2020-01-01" });
const twice: number = (count ?? 0) * 2;
const { data: stats } = await db.rpc("stats");
const amount: number | undefined = stats?.[0].amount;
const moods: readonly Enums<"mood">[] = Constants.public.Enums.mood;
const elsewhere: Tables<{ schema: "public" }, "people">["email_address"] = "x";
console.log(address, cheap, twice, amount, moods, elsewhere);
"""
STALE = {
    'db.from("people").insert({ email_address: "a", colour: "red" })': "colour",
    'db.from("people").insert({ email: "a" })': "email_address",
    'db.from("people").insert({ email_address: "a", initials: "A" })': "never",
    'db.from("people").insert({ email_address: "a", mood: "Happy" })': '"happy"',
    'db.from("people").insert({ email_address: 3 })': "string",
    'db.from("person").select()': "person",
    'db.from("cheap").insert({ id: "x" })': "number",
    'db.rpc("count_people", { from: "2020-01-01" })': "since",
    'db.from("people").select("email").single().then(({ data }) => data!.email.length)': "email",
}


def prepared(owner: psycopg.Connection) -> str:
    """The types of the schema above."""
    owner.execute(SCHEMA)
    owner.commit()
    owner.autocommit = True
    return typescript(catalog.read_snapshot_sync(owner, ["public"]), ("public",))


def said(*words: str) -> str:
    out = StringIO()
    call_command("generate_types", *words, skip_checks=True, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_tables_views_functions_and_enums_have_the_shape_of_supabases_generator(owner: psycopg.Connection) -> None:
    text = prepared(owner)
    assert PEOPLE in text
    assert '            foreignKeyName: "homes_person_id_fkey"\n            columns: ["person_id"]\n            isOneToOne: true\n' in text
    assert "      count_people: { Args: { kind?: string; since: string }; Returns: number }\n" in text
    assert '        Returns: Database["public"]["Tables"]["people"]["Row"][]\n' in text
    assert (
        "      stats: {\n        Args: never\n        Returns: {\n          amount: number\n          name: string\n        }[]\n      }\n"
        in text
    )
    assert "stamp" not in text
    assert '      mood: "happy" | "very sad"\n' in text and '      mood: ["happy", "very sad"],\n' in text
    assert "    CompositeTypes: {\n      [_ in never]: never\n" in text


def test_a_right_program_compiles_and_each_stale_one_does_not(owner: psycopg.Connection, tmp_path: Path) -> None:
    if not DENO.exists():
        pytest.skip("npm packages are not installed: make clients")
    (tmp_path / "types.ts").write_text(prepared(owner))
    (tmp_path / "node_modules").symlink_to(DENO.parents[1])
    (tmp_path / "package.json").write_text('{"dependencies": {"@supabase/supabase-js": "*"}}')
    head = PROGRAM.split("const person", 1)[0]
    (tmp_path / "right.ts").write_text(PROGRAM)
    files = ["right.ts"]
    for number, line in enumerate(STALE):
        files.append(f"stale{number}.ts")
        (tmp_path / files[-1]).write_text(f"{head}await {line};\n")
    everything = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    words = [str(DENO), "check", "--node-modules-dir=manual", "--no-lock", *files]
    told = subprocess.run(words, cwd=tmp_path, env=everything, capture_output=True, text=True, timeout=180, check=False).stderr
    assert "right.ts:" not in told and "types.ts:" not in told, told
    missed = [line for number, line in enumerate(STALE) if f"stale{number}.ts:" not in told]
    assert missed == []
    for word in STALE.values():
        assert word in told


def test_the_command_writes_the_newest_version_and_check_tells_when_the_file_is_old(tmp_path: Path) -> None:
    path = tmp_path / "types.ts"
    evolve(BEFORE, RENAMED)
    said("--output", str(path))
    assert "email_address: string | null" in path.read_text()
    assert said() == path.read_text()
    assert "is what the schema is" in said("--check", str(path))
    path.write_text(path.read_text().replace("email_address", "email"))
    with pytest.raises(SystemExit) as ended:
        said("--check", str(path))
    assert ended.value.code == 1


def test_what_cannot_be_done_ends_with_two(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No schema version has been captured yet.*capture_schema") as blind:
        said()
    evolve(BEFORE)
    with pytest.raises(CommandError, match="crm is not exposed") as hidden:
        said("--schema", "crm")
    with pytest.raises(CommandError, match="cannot be written") as unwritable:
        said("--output", str(tmp_path / "no" / "types.ts"))
    with pytest.raises(CommandError, match="cannot be read") as missing:
        said("--check", str(tmp_path / "no.ts"))
    assert {e.value.returncode for e in (blind, hidden, unwritable, missing)} == {2}
