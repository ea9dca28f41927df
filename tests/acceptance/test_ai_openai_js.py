"""The openai package of npm, unmodified, on Deno: the cases are in deno/openai_test.ts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance import deno_cases
from tests.ai_faults import far_ai
from tests.gateway_process import Gateway

FILE = "openai_test.ts"
CASES = deno_cases.cases([FILE])

pytestmark = deno_cases.needs_deno


@pytest.fixture(scope="module")
def results(make_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory) -> deno_cases.Results:
    """Runs the file once."""
    with far_ai() as far:
        gateway = make_gateway(AI_BASE_URL=far.base_url(), AI_API_KEY="sk-of-the-provider", AI_MODEL="small").start()
        environment = {
            "AI_GATEWAY_URL": f"{gateway.base_url}/v1",
            "FAR_URL": far.base_url().removesuffix("/v1"),
            "SERVICE_KEY": gateway.make_key(),
            "ANON_KEY": gateway.make_key("anon"),
        }
        found = deno_cases.run([FILE], environment, tmp_path_factory.mktemp("deno"))
        gateway.stop()
    return found


@pytest.mark.parametrize(("file", "name"), CASES, ids=[name for _, name in CASES])
def test_openai_js(results: deno_cases.Results, file: str, name: str) -> None:
    deno_cases.check(results, file, name)
