"""Request-driven models: the loop with a generic handler, and the primitive of shared links.

In:  customers or flows that arrive at random, at load 0.8. Out: events/s, an arrival and a departure each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.engine import Reason
from bench.benchmark import Benchmark, Measured, Target
from bench.graphs import draws
from bench.measure import medians_s, timed

IntArray = npt.NDArray[np.int64]
MEAN_SERVICE = 800_000  # ticks
MEAN_GAP = 1_000_000


def exponential(mean: float, seed: int, count: int) -> IntArray:
    """Whole ticks of at least 1, exponential but for rounding."""
    share = (draws(seed, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return 1 + (-mean * np.log1p(-share)).astype(np.int64)


def arrivals_and_services(count: int) -> tuple[IntArray, IntArray]:
    return np.cumsum(exponential(MEAN_GAP, 1, count)), exponential(MEAN_SERVICE, 2, count)


def generic_handler() -> Measured:
    from bench.peers.simpy_queue import play_queue
    from bench.queue_model import new_run

    arrival, service = arrivals_and_services(1_000_000)
    some = 20_000
    lists = arrival[:some].tolist(), service[:some].tolist()
    few = new_run(arrival[:some], service[:some])
    few.advance()
    assert few.state.left.tolist() == play_queue(*lists), "SimPy lets customers leave at other ticks"
    ours, peer = medians_s(
        5,
        timed(lambda: new_run(arrival, service), lambda run: run.advance() == Reason.IDLE),
        timed(lambda: lists, lambda columns: play_queue(*columns)),
    )
    return Measured(2 * len(arrival) / ours, 2 * some / peer)


def sharing() -> Measured:
    from armillary.engine.sharing import new_links
    from bench.sharing_loop import play_flows

    arrival, service = arrivals_and_services(1_000_000)
    size, left = service.astype(np.float64), np.full(len(arrival), -1)
    (ours,) = medians_s(5, timed(lambda: new_links([1.0], 4096), lambda links: play_flows(links, arrival, size, left)))
    mean = float((left - arrival).mean())
    expected = MEAN_SERVICE / (1 - MEAN_SERVICE / MEAN_GAP)
    assert abs(mean / expected - 1) < 0.05, f"mean time {mean:.4g} ticks, M/G/1-PS has {expected:.4g}"
    return Measured(2 * len(arrival) / ours)


BENCHMARKS = (
    Benchmark(
        "engine.ps_link",
        "event/s",
        sharing,
        "a division and a heap operation an event; mispredicted branches of the heap",
        Target("value", 20e6),
    ),
    Benchmark(
        "engine.drive",
        "event/s",
        generic_handler,
        "merging arrivals with the heap, then taking and giving back a timer slot",
        Target("value", 10e6),
        "SimPy, one process a customer",
    ),
)
