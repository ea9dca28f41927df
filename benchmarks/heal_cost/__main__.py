"""What a known fix costs: a healed insert against a healthy one, in turns: ``python -m benchmarks.heal_cost``."""

from __future__ import annotations

import argparse
import json
from statistics import median

import httpx

from benchmarks.load import load
from benchmarks.stage import Stage, arguments, stage_of

TABLE = """CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL, body text, words integer, score numeric(8,2),
created_at timestamptz NOT NULL DEFAULT now())"""
ROW = {"body": "a text of some length", "words": 5, "score": 1.5}


def main() -> None:
    """Prints the ratio of medians for lineage and for an approved rule."""
    parser = arguments(argparse.ArgumentParser(prog="python -m benchmarks.heal_cost", description=__doc__))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64])
    options = parser.parse_args()
    with stage_of(options) as stage:
        stage.sql(TABLE.format("bench_healed"), "GRANT ALL ON bench_healed TO service_role")
        stage.capture()
        stage.sql("ALTER TABLE bench_healed RENAME COLUMN title TO headline")
        stage.capture()
        kinds = {"lineage": "title"} | ({"rule": "caption"} if _approve(stage) else {})
        for kind, key in kinds.items():
            for clients in options.clients:
                _compare(stage, kind, key, clients, options.rounds, options.seconds)
        stage.sql("DROP TABLE bench_healed")


def _approve(stage: Stage) -> bool:
    """Makes a rule for ``caption`` the way a person does: a kept write, its proposal, an approval."""
    if not stage.own:
        return False
    headers = {"apikey": stage.key}
    with httpx.Client(base_url=stage.base_url, headers=headers, trust_env=False, timeout=30) as client:
        kept = client.post("/rest/v1/bench_healed", json={"caption": "a", **ROW}).headers["mendgate-quarantine"]
        proposals = client.get(f"/api/v1/quarantine/{kept}").json()["proposals"]
        wanted = [{"op": "rename_column", "from": "caption", "to": "headline"}]
        chosen = next(p["id"] for p in proposals if p["fix"] == wanted)
        stage.manage("approve", chosen, "--user", "admin")
        return client.post("/rest/v1/bench_healed", json={"caption": "a", **ROW}).status_code == 201


def _compare(stage: Stage, kind: str, key: str, clients: int, rounds: int, seconds: float) -> None:
    headers = {"apikey": stage.key, "authorization": f"Bearer {stage.key}"}
    url = f"{stage.base_url}/rest/v1/bench_healed"
    bodies = {"healthy": json.dumps({"headline": "A title", **ROW}).encode(), "healed": json.dumps({key: "A title", **ROW}).encode()}
    rates: dict[str, list[float]] = {name: [] for name in bodies}
    slow: dict[str, list[float]] = {name: [] for name in bodies}
    errors = 0
    for number in range(rounds + 1):
        for name, body in bodies.items():
            measured = load(url, body, headers, clients, seconds if number else 1)
            if number:
                rates[name].append(measured.rate)
                slow[name].append(measured.p99)
                errors += measured.errors
        stage.sql("TRUNCATE bench_healed")
    healthy, healed = median(rates["healthy"]), median(rates["healed"])
    print(
        f"{kind:8} {clients:4} clients  healthy {healthy:7.0f}/s  healed {healed:7.0f}/s  cost {healthy / healed:.2f}× (target ≤ 1.1×)  "
        f"p99 {median(slow['healthy']):.1f} / {median(slow['healed']):.1f} ms  errors {errors}"
    )


if __name__ == "__main__":
    main()
