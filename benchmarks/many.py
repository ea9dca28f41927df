"""Mendgates with few and with many of something around what is asked: for ``benchmarks.flatness``."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import jwt
import psycopg
from msgspec import Struct

from benchmarks import beside, load
from benchmarks.beside import Place
from benchmarks.selects import FILL
from healing.gateway import keytext
from tests.gateway_process import JWT_SECRET, Gateway

Fill = Callable[[Gateway, int], Iterator[str] | None]


class Dimension(Struct, frozen=True):
    """What grows. ``fill`` makes so many of it while the gateway is stopped; what it yields are the callers, as lines for ``ask.lua``."""

    few: int
    many: int
    fill: Fill
    also: tuple[str, ...] = ()
    """what is asked beside the usual."""


def prepared(gateway: Gateway, fill: Fill, number: int) -> Place:
    """A gateway that knows the table, its former column, and so many of what grows; everything is vacuumed."""
    gateway.stop()  # what is put into the databases by hand is read at the start
    gateway.sql(load.CREATE)
    gateway.sql(FILL.replace("email_address", "email"))
    gateway.manage("capture_schema")
    gateway.sql(load.RENAME)
    callers, path = fill(gateway, number), gateway.home / "callers.txt"
    gateway.manage("capture_schema")
    vacuum(gateway)
    if callers is not None:
        path.write_text("".join(f"{line}\n" for line in callers))
    gateway.start()
    if callers is None:
        return beside.ours(gateway)
    assert gateway.process is not None
    return Place(gateway.base_url, gateway.process.pid, (f"@{path}",))


def vacuum(gateway: Gateway) -> None:
    """Both databases: else it comes by itself, while something is measured."""
    for url in (gateway.owner_url, gateway.owner_url.rpartition("/")[0] + "/mendgate"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")


OTHER = "CREATE TABLE other_{n} (id bigint, name text, amount integer, at timestamptz)"


def tables(gateway: Gateway, number: int, each: str = OTHER) -> None:
    """So many tables beside the one that is used."""
    for start in range(1, number + 1, 500):  # each is locked until its transaction ends
        gateway.sql(";".join(each.format(n=n) for n in range(start, min(start + 500, number + 1))))


RULE = """
INSERT INTO healing_rule (id, schema, "table", operation, signature, fix, sentence, source, state, content_hash, relation_fingerprint,
    bound, author, proof, why, created_at, successes, failures, reversals, reversals_known)
SELECT gen_random_uuid(), 'public', CASE WHEN n <= 100 THEN 'parcels' ELSE 'other_' || mod(n, 1000) END, 'insert',
    'unknown_column:was_' || n,
    jsonb_build_array(jsonb_build_object('op', 'rename_column', 'from', 'was_' || n, 'to', 'notes')), 'was', 'builtin', 'active',
    md5(n::text), '', '{}', '', '{}', '', now(), 0, 0, 0, 0 FROM generate_series(1, %s) AS n"""


def rules(gateway: Gateway, number: int) -> None:
    """So many active rules. They are put there by hand: the database holds that a rule is decided by people."""
    with psycopg.connect(gateway.control_url, autocommit=True) as control:
        control.execute("ALTER TABLE healing_rule DISABLE TRIGGER USER")
        control.execute(RULE, (number,))
        control.execute("ALTER TABLE healing_rule ENABLE TRIGGER USER")


KEYS = """COPY healing_apikey (id, name, prefix, hash, role, scopes, requests_per_minute, at_once, most_bytes, created_at) FROM STDIN"""


def keys(gateway: Gateway, number: int) -> Iterator[str]:
    """So many callers with a key each."""
    made = [keytext.make() for _ in range(number)]
    with psycopg.connect(gateway.control_url) as control, control.cursor() as cursor, cursor.copy(KEYS) as rows:
        for n, (_, prefix, hashed) in enumerate(made):
            rows.write_row((uuid.uuid4(), f"caller {n}", prefix, hashed, "service_role", "[]", 0, 0, 0, "now"))
    return (f"apikey: {key}\tAuthorization: Bearer {key}" for key, _, _ in made)


def tokens(gateway: Gateway, number: int) -> Iterator[str]:
    """So many users with a token each."""
    expires, key = int(time.time()) + 7200, gateway.make_key("anon")
    claims = ({"sub": str(uuid.UUID(int=n + 1)), "role": "service_role", "exp": expires} for n in range(number))
    return (f"apikey: {key}\tAuthorization: Bearer {jwt.encode(each, JWT_SECRET)}" for each in claims)


DIMENSIONS = {
    "tables": Dimension(10, 10_000, tables),
    "rules": Dimension(10, 100_000, rules, ("ruled insert",)),
    "keys": Dimension(1, 10_000, keys),
    "tokens": Dimension(100, 10_000, tokens),
}
