"""What observing costs, and how true it is: ``python -m benchmarks.metrics_cost [--rounds 5] [--seconds 2] [--clients 64]``.

An observation beside doing nothing, in one process; the gateway's inserts with and without metrics, in turns in one run; quantiles of
recorded latencies beside the exact ones; counts of many processes beside what they counted.
"""

from __future__ import annotations

import argparse
import random
import timeit
from multiprocessing import Pool
from statistics import median

from benchmarks import cpu, load
from benchmarks.figures import figure
from benchmarks.web_process import web_process
from metrics.core.count import Tally
from metrics.core.observation import Wrote
from metrics.core.sketch import Sketch, dump
from metrics.core.sketch import load as read
from metrics.recorder import Recorder
from tests.gateway_process import Gateway

PROCESSES, EACH = 20, 20_000
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def main() -> int:
    """Measures, prints; 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description="What observing costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    reached = [cost(), truth(), merged(), throughput(options.rounds, options.seconds, options.clients)]
    return int(not all(reached))


def cost() -> bool:
    """Microseconds of the process for one observation: made, taken, counted."""
    recorder, number = Recorder(), 100_000
    made = min(timeit.repeat(lambda: _observe(recorder), number=1, repeat=5)) / EACH * 1e6
    tally, seen = Tally(), _wrote(0.012)
    counted = min(timeit.repeat(lambda: tally.observe(seen), number=number, repeat=3)) / number * 1e6
    print(f"an observation: {made:.2f} us where it happens, {counted:.2f} us later in the background")
    figure("one observation, where it happens", f"{made:.2f} us", "<= 2 us", made <= 2)
    return made <= 2


def _observe(recorder: Recorder) -> None:
    recorder._seen.clear()
    for _ in range(EACH):
        recorder.observe(Wrote("public.parcels", "insert", "a-key", "healthy", 0.012))


def _wrote(seconds: float) -> Wrote:
    return Wrote("public.parcels", "insert", "a-key", "healthy", seconds)


def latencies(seed: int) -> list[float]:
    """Latencies as they are: most are short, some are very long."""
    rng = random.Random(seed)
    return [rng.lognormvariate(-5.5, 0.6) * (20 if rng.random() < 0.01 else 1) for _ in range(EACH)]


def truth() -> bool:
    """The largest error of a quantile, in parts of the exact one."""
    worst = 0.0
    for seed in range(5):
        values = latencies(seed)
        sketch = Sketch()
        for value in values:
            sketch.add(value)
        ordered = sorted(values)
        for q in QUANTILES:
            exact, found = ordered[int(q * (len(ordered) - 1))], sketch.quantile(q)
            assert found is not None
            worst = max(worst, abs(found - exact) / exact)
    figure("quantiles beside the exact ones, largest error", f"{worst:.2%}", "<= 1 %", worst <= 0.01)
    return worst <= 0.01


def count(seed: int) -> dict[str, object]:
    """One process's sketch, as it is stored."""
    sketch = Sketch()
    for value in latencies(seed):
        sketch.add(value)
    return dump(sketch)


def merged() -> bool:
    """Sketches of many processes, merged, beside one that saw everything."""
    with Pool(4) as pool:
        parts = pool.map(count, range(PROCESSES))
    whole, alone = Sketch(), Sketch()
    for part in parts:
        whole.merge(read(part))
    for seed in range(PROCESSES):
        for value in latencies(seed):
            alone.add(value)
    same = whole.count == PROCESSES * EACH and whole.buckets == alone.buckets
    figure(f"counts of {PROCESSES} processes, merged", "exact" if same else "wrong", "exact", same)
    return same


def throughput(rounds: int, seconds: float, clients: int) -> bool:
    """The gateway's inserts with metrics, in parts of those without."""
    with web_process() as on, web_process(METRICS="off") as off:
        places = [prepared(on), prepared(off)]
        found: list[tuple[float, float]] = []
        used: list[tuple[float, float]] = []
        for number in range(rounds + 1):
            order = [0, 1] if number % 2 else [1, 0]
            blocks = {which: block((on, off)[which], places[which], clients, seconds if number else 1) for which in order}
            if number:
                found.append((blocks[0][0], blocks[1][0]))
                used.append((blocks[0][1], blocks[1][1]))
    with_metrics, without = median(a for a, _ in found), median(b for _, b in found)
    lost = 1 - median(a / b for a, b in found)
    print(f"{clients} clients: {with_metrics:.0f} inserts a second with metrics, {without:.0f} without")
    spent = [median(each) for each in zip(*used, strict=True)]
    print(f"processor time of the gateway: {spent[0]:.0f} us an insert with metrics, {spent[1]:.0f} without")
    figure(f"throughput that metrics cost, {clients} clients", f"{lost:.1%}", "<= 3 %", lost <= 0.03)
    return lost <= 0.03


def block(gateway: Gateway, place: tuple[str, str, dict[str, str]], clients: int, seconds: float) -> tuple[float, float]:
    """Inserts a second, and processor microseconds an insert."""
    assert gateway.process is not None
    before = cpu.spent(gateway.process.pid)
    speed = load.insert(*place, clients, seconds)
    return speed.rate, (cpu.spent(gateway.process.pid) - before) / speed.requests * 1e6


def prepared(gateway: Gateway) -> tuple[str, str, dict[str, str]]:
    """A table, and where to insert."""
    gateway.sql(load.CREATE)
    gateway.manage("capture_schema")
    key = gateway.make_key()
    return f"{gateway.base_url}/rest/v1/parcels", "email", {"apikey": key, "Authorization": f"Bearer {key}"}


if __name__ == "__main__":
    raise SystemExit(main())
