"""A project's schema, rebuilt by replaying its migrations into a scratch database: what fails is skipped, and the tables that it names
count as unknown from then on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg

from schema_monitor import catalog
from schema_monitor.core.snapshot import Snapshot

_WORD = re.compile(r'"([^"]+)"|([A-Za-z_][A-Za-z0-9_]*)')
_DOLLAR = re.compile(r"\$([A-Za-z_]\w*)?\$")
_NOT_TABLES = re.compile(
    r"^\s*(CREATE\s+(OR\s+REPLACE\s+)?(FUNCTION|POLICY|TRIGGER|EXTENSION|PUBLICATION)|DROP\s+(POLICY|TRIGGER|FUNCTION|EXTENSION)|GRANT|REVOKE|COMMENT"
    r"|SELECT|INSERT|UPDATE|DELETE|CREATE\s+(UNIQUE\s+)?INDEX|ALTER\s+PUBLICATION|ALTER\s+FUNCTION|NOTIFY)",
    re.IGNORECASE,
)
_PLATFORM = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='anon') THEN CREATE ROLE anon; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='authenticated') THEN CREATE ROLE authenticated; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='service_role') THEN CREATE ROLE service_role; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='supabase_admin') THEN CREATE ROLE supabase_admin; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='postgres') THEN CREATE ROLE postgres; END IF;
END $$;
CREATE SCHEMA auth; CREATE SCHEMA storage; CREATE SCHEMA extensions; CREATE SCHEMA cron;
CREATE SCHEMA net; CREATE SCHEMA vault; CREATE SCHEMA realtime;
CREATE TABLE auth.users (id uuid PRIMARY KEY, instance_id uuid, aud text, role text, email text, encrypted_password text, phone text,
  email_confirmed_at timestamptz, confirmed_at timestamptz, last_sign_in_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb,
  is_super_admin boolean, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, is_anonymous boolean);
CREATE TABLE auth.identities (id uuid, user_id uuid, provider text, identity_data jsonb);
CREATE TABLE auth.sessions (id uuid, user_id uuid);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid';
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS 'SELECT NULL::jsonb';
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text, owner uuid, public boolean, file_size_limit bigint, allowed_mime_types text[],
  avif_autodetection boolean, created_at timestamptz, updated_at timestamptz);
CREATE TABLE storage.objects (id uuid PRIMARY KEY, bucket_id text, name text, owner uuid, owner_id text, metadata jsonb, path_tokens text[],
  created_at timestamptz, updated_at timestamptz, last_accessed_at timestamptz, version text);
CREATE FUNCTION storage.foldername(text) RETURNS text[] LANGUAGE sql AS 'SELECT string_to_array($1, ''/'')';
CREATE FUNCTION storage.filename(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION storage.extension(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
CREATE FUNCTION extensions.uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
CREATE FUNCTION extensions.gen_random_bytes(integer) RETURNS bytea LANGUAGE sql AS 'SELECT ''''::bytea';
CREATE FUNCTION public.gen_random_bytes(integer) RETURNS bytea LANGUAGE sql AS 'SELECT ''''::bytea';
CREATE FUNCTION public.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE PUBLICATION supabase_realtime;
"""


class Replayed:
    """``snapshot``, and the names of tables of which something failed."""

    def __init__(self, snapshot: Snapshot, doubtful: frozenset[str], statements: int, failed: int) -> None:
        self.snapshot, self.doubtful, self.statements, self.failed = snapshot, doubtful, statements, failed


def replay(url: str, migrations: Path) -> Replayed:
    """Replays into an empty database."""
    doubtful: set[str] = set()
    count = failed = 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_PLATFORM)
        connection.execute("SET statement_timeout = '20s'; SET check_function_bodies = off; SET search_path = public, extensions")
        for file in sorted(migrations.rglob("*.sql")):
            for statement in statements(file.read_text(encoding="utf-8", errors="replace")):
                count += 1
                try:
                    connection.execute(_without_extensions(statement))  # type: ignore[call-overload]
                except psycopg.Error:
                    failed += 1
                    if not _NOT_TABLES.match(statement):
                        doubtful |= {a or b for a, b in _WORD.findall(statement)}
    with psycopg.connect(url, autocommit=True) as connection:
        snapshot = catalog.read_snapshot_sync(connection, ["public"])
    return Replayed(snapshot, frozenset(doubtful), count, failed)


def _without_extensions(statement: str) -> str:
    """Types of extensions that are not here, as text: only names, nullability and defaults are judged by them."""
    statement = re.sub(r"\b(extensions\.)?vector(\s*\(\s*\d+\s*\))?(?=\s*[,)\n;]|\s+(NOT|NULL|DEFAULT))", "text", statement)
    return re.sub(r"\bcitext\b", "text", statement, flags=re.IGNORECASE)


def statements(text: str) -> Iterator[str]:
    """Splits SQL at the semicolons that end statements."""
    at = start = depth = 0
    while at < len(text):
        char = text[at]
        if text.startswith("--", at):
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
        elif text.startswith("/*", at):
            at = (text.find("*/", at) + 2) if "*/" in text[at:] else len(text)
        elif char in "'\"":
            end = text.find(char, at + 1)
            at = len(text) if end < 0 else end + 1
        elif char == "$" and (tag := _DOLLAR.match(text, at)) is not None:
            end = text.find(tag.group(), tag.end())
            at = len(text) if end < 0 else end + len(tag.group())
        elif char == ";" and depth == 0:
            if text[start:at].strip():
                yield text[start:at]
            at = start = at + 1
        else:
            at += 1
    if text[start:].strip():
        yield text[start:]
