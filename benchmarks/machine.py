"""The seeded machine over the whole gateway (``tests.machine``) at length: ``python -m benchmarks.machine [--runs 300] [--seed N]``.

Callers of old and new names, DDL, people who approve and reject, replays, a killed or restarted web process, in any order, against a plain
model. The first break ends it, with the steps that led there.
"""

from __future__ import annotations

import argparse
import random
import sys
from time import perf_counter

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.figures import figure
from benchmarks.web_process import OPERATOR, web_process
from resilience_site import monitor_setup
from tests.acceptance.console import Console
from tests.machine import Machine, Site


class Told(Machine):
    """Says how far it has come."""

    began: float

    def teardown(self) -> None:
        """A line for every tenth run."""
        super().teardown()
        runs = self.site.counts["runs"]
        if runs % 10 == 0:
            print(f"{runs} runs in {perf_counter() - self.began:.0f} s", flush=True)


def main() -> int:
    """Prints the seed and what was done; ends with the error where something broke."""
    parser = argparse.ArgumentParser(description="A seeded state machine over the whole gateway.")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    wanted = settings(
        max_examples=options.runs, stateful_step_count=options.steps, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.normal,
    )  # fmt: skip
    with web_process(DJANGO_SETTINGS_MODULE="resilience_site.settings") as gateway, Console(gateway.environment) as console:
        assert monitor_setup.prepare(gateway.owner_url, gateway.target_url) is None
        console.run("capture_schema")
        console.run("createsuperuser", "--noinput", "--username", OPERATOR, "--email", "bench@example.com")
        site = Site.of(gateway, console, OPERATOR)
        machine = type("Seeded", (Told,), {"site": site, "began": perf_counter()})
        run_state_machine_as_test(seed(options.seed)(machine), settings=wanted)
        site.close()
    print(", ".join(f"{count} {what}" for what, count in sorted(site.counts.items())))
    figure(f"breaks in {site.counts['runs']} runs of the machine", "0", "0", True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
