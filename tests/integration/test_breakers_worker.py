"""Breakers in a real worker, where each job is a process that ends at once: what one job learned, the next one knows."""

from __future__ import annotations

import time
from collections.abc import Callable

from breakers.registry import Registry
from resilience_site.wiring import namespace_of
from tests.gateway_process import Gateway
from tests.integration.far_end import Answer, listening
from tests.waiting import HANGS

SET_UP = """
from tests.integration.alert_rows import ADDED, REMOVED, RENAMED, stored, subscribed
[subscribed({url!r}, name=f"hook {{n}}") for n in range(6)]
stored(RENAMED)
"""
MORE = "from tests.integration.alert_rows import ADDED, stored, subscribed; subscribed({url!r}, name='late'); stored(ADDED, epoch=3)"


def test_a_destination_that_one_job_found_broken_is_held_back_by_the_next(make_gateway: Callable[..., Gateway], valkey_url: str) -> None:
    site = make_gateway(ALERT_NETWORKS="127.0.0.1/32")
    elsewhere = Registry()
    elsewhere.connect(valkey_url, namespace=namespace_of(site.control_url))
    with listening() as far:
        far.answers.extend([Answer(500)] * 50)
        breaker = elsewhere.get(f"webhooks:127.0.0.1:{far.server.server_port}")
        site.manage("shell", "-c", SET_UP.format(url=far.url))
        site.manage("rqworker", "--burst")
        assert len(far.heard) == 6
        ends = time.monotonic() + HANGS
        while breaker.view().state != "open":
            assert time.monotonic() < ends, "the job ended without its report"
            time.sleep(0.01)
        opened = time.monotonic()
        site.manage("shell", "-c", MORE.format(url=far.url))
        site.manage("rqworker", "--burst")
        trials = int(time.monotonic() - opened > 40)  # a machine so busy that the breaker's minute was over: one trial is right
        assert len(far.heard) <= 6 + trials, "the next job knew it"
        late = site.control(
            "SELECT m.state, m.attempts, m.last_error FROM schema_monitor_alertmessage m JOIN schema_monitor_schemasubscription s"
            " ON s.id = m.subscription_id WHERE s.name = 'late'"
        )
        assert [(each["state"], each["attempts"]) for each in late] == [("waiting", 0)]
        assert late[0]["last_error"].startswith("Breaker webhooks:127.0.0.1")
        site.manage("shell", "-c", "from breakers.jobs import sweep; sweep()")
        events = site.control("SELECT name, to_state FROM breakers_breakerevent")
        assert {"name": breaker.name, "to_state": "open"} in events
    elsewhere.close()
