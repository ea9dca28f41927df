"""Three web hosts renewed one by one under load, by the clock as an operator does it: ``python -m benchmarks.rolling [--rounds 5]``.

Sixteen callers write through a balancer that looks at ``/readyz`` (tests/balancer.py); each host is told to stop, drains, ends, and starts
again; in the middle of each round the control database is expanded by a column. Every write must be answered 201 at its first try, and be
stored once.
"""

from __future__ import annotations

import argparse
import time
from statistics import quantiles

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from tests.balancer import Balancer
from tests.gateway_process import Gateway
from tests.hosts import Host, eventually
from tests.rolling import TABLE, Sent, load

ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
CALLERS, PAUSE = 16, 0.02
DRAIN = 2


def main() -> int:
    """Prints what failed; 1 if anything did."""
    parser = argparse.ArgumentParser(description="Renews three hosts one by one under load.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with web_process(DRAIN_SECONDS=str(DRAIN), STOP_SECONDS="30") as gateway:
        gateway.sql(TABLE)
        gateway.manage("capture_schema")
        sent, took = renewed(gateway, options.rounds)
        stored = [row["id"] for row in gateway.sql("SELECT id FROM notes ORDER BY id")]
    wrong = len(set(stored) ^ set(sent.acknowledged)) + len(stored) - len(set(stored))
    p99 = quantiles(sent.seconds, n=100)[98] * 1000
    for failure in sent.failures[:10]:
        print(failure)
    writes = len(sent.acknowledged) + len(sent.failures)
    print(f"{options.rounds * len(ADDRESSES)} restarts in {took:.0f} s, {writes} writes, p99 {p99:.0f} ms, wrongly stored {wrong}")
    figure(f"rolling restarts: failed of {writes} writes", str(len(sent.failures)), "0", not sent.failures)
    figure("rolling restarts: writes lost or doubled", str(wrong), "0", not wrong)
    return int(bool(sent.failures or wrong))


def renewed(gateway: Gateway, rounds: int) -> tuple[Sent, float]:
    """What the callers were told, and how long it took."""
    key, hosts = gateway.make_key(), [Host(gateway, address).start("web") for address in ADDRESSES]
    servers = {host.address: (host.address, gateway.port) for host in hosts}
    try:
        with Balancer(list(servers.values())) as balancer:
            eventually(lambda: all(balancer.sends_to(each) for each in servers.values()), "all are ready")
            began = time.monotonic()
            with load(balancer.port, key, CALLERS, PAUSE) as sent:
                for number in range(rounds):
                    for host in hosts:
                        renew(host, balancer)
                        if host is hosts[0]:
                            gateway.control(f"ALTER TABLE healing_apikey ADD COLUMN next_{number} text NOT NULL DEFAULT ''")
            return sent, time.monotonic() - began
    finally:
        for host in hosts:
            host.lost()


def renew(host: Host, balancer: Balancer) -> None:
    """SIGTERM, and then only the clock: it drains for its seconds, and ends."""
    host.end("web")
    eventually(lambda: host.ended("web"), "it ends")
    host.start("web")
    eventually(lambda: balancer.sends_to((host.address, host.first.port)), "the next one is ready")


if __name__ == "__main__":
    raise SystemExit(main())
