"""The migrations of the last release, and those that came since: what ``check_upgrade`` judges and ``--mark`` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from resilience_site.expand_contract import Breach, breaches

FILE = Path(__file__).resolve().parent / "released_migrations.txt"
OURS = ("breakers", "healing", "metrics", "optimizer", "schema_monitor")
_HEAD = "# The newest migration of each app in the last release. Written by: python manage.py check_upgrade --mark\n"

Node = tuple[str, str]


def judge(file: Path = FILE) -> list[Breach]:
    """What the release in that file would stumble over. Needs no database."""
    loader = MigrationLoader(None)
    known = _read(file)
    return list(breaches(_since(loader, known), loader.project_state(known)))


def mark(file: Path = FILE) -> list[Node]:
    """A release is made: from now on everything that there is now is in use somewhere."""
    leaves = [node for node in MigrationLoader(None).graph.leaf_nodes() if node[0] in OURS]
    file.write_text(_HEAD + "".join(f"{app} {name}\n" for app, name in leaves), "utf-8")
    return leaves


def _read(file: Path) -> list[Node]:
    lines = [line.split() for line in file.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    return [(app, name) for app, name in lines]


def _since(loader: MigrationLoader, known: list[Node]) -> Iterator[Migration]:
    released = {node for leaf in known for node in loader.graph.forwards_plan(leaf)}
    done: set[Node] = set()
    for leaf in (node for node in loader.graph.leaf_nodes() if node[0] in OURS):
        for node in loader.graph.forwards_plan(leaf):
            if node not in released and node not in done:
                done.add(node)
                yield loader.graph.nodes[node]
