"""Writes by key, and each user's own rows, through the gateway beside a hand-written endpoint: ``python -m benchmarks.keyed [--rounds 5]
[--seconds 2] [--clients 1 64] [--users 1000] [--kinds update upsert own] [--seed 1]``.

``update``: ``PATCH …?id=eq.N``, one row of 100,000 by chance. ``upsert``: ``POST`` with ``Prefer: resolution=merge-duplicates``, a key of
100,000 by chance. ``own``: an insert under row level security by one of ``--users`` users, each with a token of its own; the endpoint
sets role and claims in a transaction as one does by hand, and does not even check the token.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import jwt

from benchmarks import beside, load
from benchmarks.beside import Ask, Place
from benchmarks.figures import figure
from benchmarks.selects import ROWS, prepare
from benchmarks.web_process import web_process
from tests.gateway_process import JWT_SECRET, Gateway

OURS, THEIRS = "gateway", "hand-written"
AIM = 1.0
TABLES = """
CREATE TABLE stock (sku text PRIMARY KEY, amount integer NOT NULL, place text);
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (owner = (current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid)
    WITH CHECK (owner = (current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid);
GRANT SELECT, INSERT ON notes TO authenticated"""
CHANGE = '{"weight_grams":{n},"notes":"three floors up"}'
STOCK = '{"sku":"thing {n}","amount":{n},"place":"shelf"}'


def main() -> int:
    """Starts, measures, prints; 1 where the gateway misses an aim."""
    parser = argparse.ArgumentParser(description="Writes by key and of users through the gateway beside a hand-written endpoint.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--kinds", nargs="+", default=["update", "upsert", "own"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        gateway.sql(TABLES)
        prepare(gateway)
        with beside.handwritten(gateway) as peer:
            kinds = pairs(gateway, peer, options.users)
            print(f"medians of {options.rounds} rounds, by {load.TOOL}, {options.users} users, seed {options.seed}")
            reached = [report(gateway, kind, kinds[kind], clients, options) for kind in options.kinds for clients in options.clients]
    return int(not all(reached))


def report(gateway: Gateway, kind: str, pair: dict[str, tuple[Place, Ask]], clients: int, options: argparse.Namespace) -> bool:
    """One kind of request; whether the aim is reached."""
    rng = random.Random(options.seed)
    found = beside.rounds(pair, beside.postmaster(gateway), clients, options.rounds, options.seconds, rng)
    ratio = beside.table(f"{kind}, {clients} clients", found, THEIRS)[OURS]
    figure(f"{kind} beside hand-written, {clients} clients", f"{ratio:.2f} ×", f"≥ {AIM:.0f} ×", ratio >= AIM)
    return ratio >= AIM


def pairs(gateway: Gateway, peer: Place, users: int) -> dict[str, dict[str, tuple[Place, Ask]]]:
    """Each kind's two requests."""
    merging = beside.ours(gateway)
    merging = Place(merging.url, merging.pid, (*merging.headers, "Prefer: resolution=merge-duplicates"))
    theirs, ours = callers(gateway, users)
    return {
        "update": {
            THEIRS: (peer, Ask("PATCH", "/parcels/{n}", CHANGE, ROWS)),
            OURS: (beside.ours(gateway), Ask("PATCH", "/rest/v1/parcels?id=eq.{n}", CHANGE, ROWS)),
        },
        "upsert": {
            THEIRS: (peer, Ask("POST", "/stock", STOCK, ROWS)),
            OURS: (merging, Ask("POST", "/rest/v1/stock", STOCK, ROWS)),
        },
        "own": {
            THEIRS: (Place(peer.url, peer.pid, (f"@{theirs}",)), Ask("POST", "/own", NOTE, users)),
            OURS: (beside.ours(gateway, f"@{ours}", role="anon"), Ask("POST", "/rest/v1/notes", NOTE, users)),
        },
    }


NOTE = '{"owner":"00000000-0000-4000-8000-{n:012}","body":"a note"}'


def callers(gateway: Gateway, users: int) -> tuple[Path, Path]:
    """Files with a caller a line, for either side."""
    theirs, ours = gateway.home / "claims.txt", gateway.home / "tokens.txt"
    claims = [
        {"sub": f"00000000-0000-4000-8000-{n + 1:012}", "role": "authenticated", "exp": int(time.time()) + 3600} for n in range(users)
    ]
    theirs.write_text("".join(f"X-Claims: {json.dumps(each)}\n" for each in claims))
    ours.write_text("".join(f"Authorization: Bearer {jwt.encode(each, JWT_SECRET)}\n" for each in claims))
    return theirs, ours


if __name__ == "__main__":
    sys.exit(main())
