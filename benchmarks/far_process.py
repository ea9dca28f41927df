"""The service behind the AI gateway as a process of its own (``tests/ai_faults.py``), so that it takes no turn of those who measure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec

from tests.ai_faults import Rule, Way
from tests.gateway_process import ROOT


class FarProcess:
    """``base_url`` is what a client is given."""

    def __init__(self, url: str) -> None:
        self.url, self.base_url = url, f"{url}/v1"

    def way(self, **fields: float) -> None:
        """How it answers from now on."""
        self._tell("way", msgspec.json.encode(Way(**fields)))  # type: ignore[arg-type]

    def plan(self, *rules: Rule) -> None:
        """What goes wrong from now on."""
        self._tell("plan", msgspec.json.encode(list(rules)))

    def _tell(self, what: str, body: bytes) -> None:
        httpx.post(f"{self.url}/control/{what}", content=body, trust_env=False).raise_for_status()


@contextmanager
def far_process() -> Iterator[FarProcess]:
    """Runs while the block does."""
    with subprocess.Popen([sys.executable, "-m", "tests.ai_faults"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield FarProcess(process.stdout.readline().strip())
        finally:
            process.kill()
