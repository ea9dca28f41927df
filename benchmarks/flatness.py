"""What a request costs as everything around it grows: ``python -m benchmarks.flatness [--what tables rules keys tokens] [--rounds 5]
[--seconds 2] [--clients 16] [--seed 1]``.

Two Mendgates at a time, one with few and one with many: tables of the target (10, 10,000), active rules (10, 100,000: a hundred for the
table that is written, the rest for a thousand others), API keys (1, 10,000) and tokens of users (500, 10,000) that take turns by chance.
The same requests go to both in turns: a healthy insert, one that is healed by lineage, a select by key, an update by key. Judged is
processor time a request, of the gateway and Postgres, which a busy machine does not change. Requests of several users never share a
transaction and those of one do, so one token would be no measure for many. Memory of the gateway is told beside.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import jwt
import psycopg
from msgspec import Struct

from benchmarks import beside, load
from benchmarks.beside import Ask, Block, Place
from benchmarks.figures import figure
from benchmarks.memory import resident_mb
from benchmarks.selects import FILL, ROWS
from benchmarks.web_process import web_process
from healing.gateway import keytext
from tests.gateway_process import JWT_SECRET, Gateway

MOST = 1.1
ASKS = {
    "insert": ("POST", "/rest/v1/parcels", '{"sender":"s","email_address":"p{n}@example.com","weight_grams":7,"price":12.5}'),
    "healed insert": ("POST", "/rest/v1/parcels", '{"sender":"s","email":"p{n}@example.com","weight_grams":7,"price":12.5}'),
    "select": ("GET", "/rest/v1/parcels?id=eq.{n}", "-"),
    "update": ("PATCH", "/rest/v1/parcels?id=eq.{n}", '{"weight_grams":{n}}'),
}


class Dimension(Struct, frozen=True):
    """What grows. ``fill`` makes so many of it; what it returns says who asks."""

    few: int
    many: int
    fill: Callable[[Gateway, int], Place]


def main() -> int:
    """Starts, measures, prints; 1 where something is not flat."""
    parser = argparse.ArgumentParser(description="Cost per request against numbers of tables, rules and callers.")
    parser.add_argument("--what", nargs="+", default=list(DIMENSIONS), choices=list(DIMENSIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--many", type=int, default=0, help="instead of the full number")
    parser.add_argument("--asks", nargs="+", default=list(ASKS), choices=list(ASKS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}")
    return int(not all([flat(what, options) for what in options.what]))


def flat(what: str, options: argparse.Namespace) -> bool:
    """Measures one dimension; whether it is flat."""
    dimension = DIMENSIONS[what]
    numbers = (dimension.few, options.many or dimension.many)
    with ExitStack() as stack:
        gateways = [stack.enter_context(web_process()) for _ in numbers]
        places = [prepared(gateway, dimension, number) for gateway, number in zip(gateways, numbers, strict=True)]
        clients, reached = options.clients, []
        print(f"\n{what}: {numbers[0]:,} and {numbers[1]:,}, {clients} clients; gateway + Postgres, µs a request")
        for name in options.asks:
            ratio, blocks = compare(gateways, places, name, clients, options)
            told = [
                "{:.0f} + {:.0f}".format(*(1e6 * median(p) for p in zip(*((b.server, b.postgres) for b in each), strict=True)))
                for each in blocks
            ]
            print(f"{name:16}{told[0]:>14}{told[1]:>14}{ratio:>8.2f} ×", flush=True)
            figure(f"{name}: {numbers[1]:,} {what} beside {numbers[0]:,}", f"{ratio:.2f} ×", f"≤ {MOST} ×", ratio <= MOST)
            reached.append(ratio <= MOST)
        memory = [resident_mb(place.pid) for place in places]
        print(f"memory of the gateway: {memory[0]:.0f} and {memory[1]:.0f} MB")
    return all(reached)


def prepared(gateway: Gateway, dimension: Dimension, number: int) -> Place:
    """A gateway that knows the table, its former column, and so many of what grows."""
    gateway.sql(load.CREATE)
    gateway.sql(FILL.replace("email_address", "email"))
    gateway.sql("VACUUM ANALYZE parcels")
    gateway.manage("capture_schema")
    gateway.sql(load.RENAME)
    place = dimension.fill(gateway, number)
    gateway.manage("capture_schema")
    gateway.stop()  # what was put into the control database by hand is read at the start
    gateway.start()
    assert gateway.process is not None
    return Place(gateway.base_url, gateway.process.pid, place.headers)


def compare(
    gateways: list[Gateway], places: list[Place], name: str, clients: int, options: argparse.Namespace
) -> tuple[float, list[list[Block]]]:
    """Many beside few: the median of the rounds' ratios of processor time, and the blocks of both."""
    rng, blocks = random.Random(options.seed), [list[Block]() for _ in places]
    what = Ask(*ASKS[name], most=ROWS)
    for place in places:
        warm_up(place, what, callers_of(place), clients)
    for _ in range(options.rounds):
        for which in rng.sample((0, 1), 2):
            seed = rng.randrange(1, 1 << 30)
            block = beside.measured(
                places[which],
                beside.postmaster(gateways[which]),
                lambda p=places[which], r=seed: beside.ask(p, what, clients, options.seconds, r),  # type: ignore[misc]
            )
            blocks[which].append(block)
    return median(many.cost / few.cost for few, many in zip(*blocks, strict=True)), blocks


def callers_of(place: Place) -> int:
    """How many ask."""
    return next((len(Path(line[1:]).read_text().splitlines()) for line in place.headers if line.startswith("@")), 1)


def warm_up(place: Place, what: Ask, callers: int, clients: int) -> None:
    """Until every caller was seen: who comes for the first time is verified, which is not what is measured here."""
    seconds = 2.0
    while (seen := beside.ask(place, what, max(clients, min(callers, 32)), seconds, seed=0).requests) < callers:
        seconds *= 1.3 * callers / max(seen, callers // 20)


def tables(gateway: Gateway, number: int) -> Place:
    """So many tables beside the one that is used."""
    for start in range(0, number, 250):
        names = range(start, min(start + 250, number))
        gateway.sql(";".join(f"CREATE TABLE other_{n} (id bigint, name text, amount integer, at timestamptz)" for n in names))
    return beside.ours(gateway)


RULE = """
INSERT INTO healing_rule (id, schema, "table", operation, signature, fix, sentence, source, state, content_hash, relation_fingerprint,
    bound, author, proof, why, created_at, successes, failures, reversals, reversals_known)
SELECT gen_random_uuid(), 'public', CASE WHEN n <= 100 THEN 'parcels' ELSE 'other_' || mod(n, 1000) END, 'insert',
    'unknown_column:was_' || n,
    jsonb_build_array(jsonb_build_object('op', 'rename_column', 'from', 'was_' || n, 'to', 'notes')), 'was', 'builtin', 'active',
    md5(n::text), '', '{}', '', '{}', '', now(), 0, 0, 0, 0 FROM generate_series(1, %s) AS n"""


def rules(gateway: Gateway, number: int) -> Place:
    """So many active rules. They are put there by hand: the database holds that a rule is decided by people."""
    with psycopg.connect(gateway.control_url, autocommit=True) as control:
        control.execute("ALTER TABLE healing_rule DISABLE TRIGGER USER")
        control.execute(RULE, (number,))
        control.execute("ALTER TABLE healing_rule ENABLE TRIGGER USER")
        control.execute("VACUUM ANALYZE healing_rule")
    return beside.ours(gateway)


def keys(gateway: Gateway, number: int) -> Place:
    """So many callers with a key each."""
    made = [keytext.make() for _ in range(number)]
    add = """INSERT INTO healing_apikey (id, name, prefix, hash, role, scopes, requests_per_minute, at_once, most_bytes, created_at)
        VALUES (%s, %s, %s, %s, 'service_role', '[]', 0, 0, 0, now())"""
    with psycopg.connect(gateway.control_url) as control:
        control.cursor().executemany(add, [(uuid.uuid4(), f"caller {n}", prefix, hashed) for n, (_, prefix, hashed) in enumerate(made)])
    return callers(gateway, (f"apikey: {key}\tAuthorization: Bearer {key}" for key, _, _ in made))


def tokens(gateway: Gateway, number: int) -> Place:
    """So many users with a token each."""
    expires, key = int(time.time()) + 7200, gateway.make_key("anon")
    claims = ({"sub": str(uuid.UUID(int=n + 1)), "role": "service_role", "exp": expires} for n in range(number))
    return callers(gateway, (f"apikey: {key}\tAuthorization: Bearer {jwt.encode(each, JWT_SECRET)}" for each in claims))


def callers(gateway: Gateway, lines: Iterator[str]) -> Place:
    """Those who ask, from a file."""
    path = gateway.home / "callers.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return Place(gateway.base_url, 0, (f"@{path}",))


DIMENSIONS = {
    "tables": Dimension(10, 10_000, tables),
    "rules": Dimension(10, 100_000, rules),
    "keys": Dimension(1, 10_000, keys),
    "tokens": Dimension(500, 10_000, tokens),
}


if __name__ == "__main__":
    sys.exit(main())
