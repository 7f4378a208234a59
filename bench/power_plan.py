"""What a capacity planner waits for: six weeks of a row, and policies compared over sizes and seeds.

In:  `dgx-a100-40`, requests generated from its load. Out: seconds.
"""

from __future__ import annotations

import resource
import time

from bench.benchmark import Benchmark, Measured, Target
from bench.measure import medians_s, timed

ROW, SERVERS, DAYS = "dgx-a100-40", 52, 42.0
MOST_BYTES = 2**30


def six_weeks() -> Measured:
    """CPU seconds of one run under POLCA: requests drawn and played, power sampled every 100 ms."""
    from armillary.power.row.run import policy_for, prepare, run_case

    case = prepare(row=ROW, servers=SERVERS, days=DAYS)
    policy = policy_for(case, "polca")
    played = run_case(case, policy)
    samples = int(played.state.histogram.sum())
    assert samples == round(DAYS * 86_400 * 10), f"{samples} samples in {DAYS:g} days"
    assert len(played.requests.group) > 1_000_000, "no row of requests"
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert held < MOST_BYTES, f"{held / 2**20:.0f} MiB at most"
    del played
    (seconds,) = medians_s(3, timed(lambda: case, lambda prepared: run_case(prepared, policy)))
    return Measured(seconds)


def comparison() -> Measured:
    """Seconds by the clock for 4 policies x 7 sizes x 3 seeds of six weeks on two processes."""
    from armillary.power.compare import GROWTH, POLICIES, compare

    before = time.perf_counter()
    result = compare(row=ROW, days=DAYS, seeds=3, workers=2)
    seconds = time.perf_counter() - before
    assert len(result.outcomes) == len(POLICIES) * len(GROWTH) * 3
    return Measured(seconds)


BENCHMARKS = (
    Benchmark(
        "power.sixweeks",
        "s",
        six_weeks,
        "the heap of timers and the sliding minima of power: about ten events a request",
        Target("value", 20.0, at_most=True),
    ),
    Benchmark(
        "power.compare",
        "s by the clock",
        comparison,
        "105 runs of six weeks on two cores",
        Target("value", 900.0, at_most=True),
    ),
)
