"""Old and new clients keep writing and reading while the schema changes under them (a short run of ``benchmarks.migration``)."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import uvloop

from benchmarks import migration
from benchmarks.stage import Stage
from tests.gateway_process import Gateway


@pytest.fixture
def stage(shared_gateway: Gateway) -> Iterator[Stage]:
    """The gateway of the run."""
    yield Stage(shared_gateway.base_url, shared_gateway.owner_url, shared_gateway.make_key())
    shared_gateway.sql("DROP TABLE IF EXISTS " + ", ".join(migration.TABLES))


def test_fault_10_no_request_fails_and_no_value_lands_in_a_wrong_column(stage: Stage) -> None:
    """Renames, chains, names taken over in one transaction, new columns, other types, dropped columns."""
    world = migration.World(random.Random(7))  # noqa: S311
    migration.prepare(stage, world)
    uvloop.run(migration.run(stage, world, 20, 0.15, 250))
    wrong, lost = migration.compare(stage, world)
    assert (world.failures, wrong, lost) == ([], 0, 0)
    assert world.counts["insert healed"] > 0 and world.counts["insert as sent"] > 0
