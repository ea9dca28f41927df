"""supabase-js, unmodified, on Deno: every call that ``wire.md`` lists. The cases are in deno/*_test.ts; each is one test here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance import deno_cases
from tests.acceptance.bookshop import ADMIN, ANN, BOB, bookshop, token
from tests.acceptance.stagehand import stagehand
from tests.gateway_process import Gateway

OTHERS = {"openai_test.ts", "breakers_test.ts", "upstream_test.ts"}  # they have a test file, and another stage, of their own
FILES = sorted({path.name for path in deno_cases.DENO.glob("*_test.ts")} - OTHERS)
CASES = deno_cases.cases(FILES)

pytestmark = deno_cases.needs_deno


@pytest.fixture(scope="module")
def results(make_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory) -> deno_cases.Results:
    """Runs every file once."""
    with bookshop(make_gateway) as (gateway, console), stagehand(gateway, console) as url:
        return deno_cases.run(FILES, environment(gateway, url), tmp_path_factory.mktemp("deno"))


@pytest.mark.parametrize(("file", "name"), CASES, ids=[f"{file[:-8]}: {name}" for file, name in CASES])
def test_supabase_js(results: deno_cases.Results, file: str, name: str) -> None:
    deno_cases.check(results, file, name)


def environment(gateway: Gateway, stagehand_url: str) -> dict[str, str]:
    """What the cases find in their environment."""
    return {
        "SUPABASE_URL": gateway.base_url,
        "SERVICE_KEY": gateway.make_key("service_role"),
        "ANON_KEY": gateway.make_key("anon"),
        "ANN": ANN,
        "BOB": BOB,
        "ANN_TOKEN": token(gateway, ANN),
        "BOB_TOKEN": token(gateway, BOB),
        "ADMIN": ADMIN,
        "STAGEHAND_URL": stagehand_url,
    }
