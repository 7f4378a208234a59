"""Bytes in the kernel: transfers on simple links, max-min sharing of general ones, quanta of an arbiter.

In:  `graphs.chained_transfers`, `graphs.contending_trains`. Out: transfers/s, events/s (each the end of one flow, the
start of the next and one new sharing), quanta/s.
"""

from __future__ import annotations

import numpy as np

from armillary.engine import TaskGraph
from armillary.engine.simulate import Simulation, simulate
from bench.benchmark import Benchmark, Measured, Target
from bench.engine_mixed import play
from bench.graphs import chained_transfers, contending_trains
from bench.measure import medians_s, timed
from bench.peers.max_min import play_chains

LINKS, FLOWS = 64, 128
TRAINS, QUANTA = 2_000, 256


def transfers() -> Measured:
    graph = chained_transfers(100_000, chains=64, links=8, crossed=1)
    (ours,) = medians_s(7, timed(lambda: Simulation(graph), play))
    return Measured(len(graph) / ours)


def play_in_numpy(graph: TaskGraph) -> object:
    crossed = graph.crossings.index.astype(np.int64).reshape(len(graph), -1)
    return play_chains(graph.bytes, crossed, graph.resources.capacity * graph.tick_s, FLOWS)


def max_min() -> Measured:
    short = chained_transfers(4 * FLOWS, chains=FLOWS, links=LINKS, crossed=2)
    long = chained_transfers(10_000, chains=FLOWS, links=LINKS, crossed=2)
    # One tick a change: later transfers begin where earlier ones ended, with last bits that differ.
    late = np.abs(simulate(short).end - np.asarray(play_in_numpy(short)))
    assert late.max() <= 4 * FLOWS, f"NumPy ends a transfer {late.max()} ticks away"
    ours, peer = medians_s(3, timed(lambda: Simulation(long), play), timed(lambda: short, play_in_numpy))
    # Each transfer is two events: it joins the component's flows and leaves them.
    return Measured(2 * len(long) / ours, 2 * len(short) / peer)


def arbiter() -> Measured:
    graph = contending_trains(TRAINS, QUANTA)
    (ours,) = medians_s(7, timed(lambda: Simulation(graph), play))
    return Measured(TRAINS * QUANTA / ours)


BENCHMARKS = (
    Benchmark(
        "engine.transfers",
        "transfer/s",
        transfers,
        "the link's heap of flows and the event heap, one operation each on joining and leaving",
        Target("value", 3e6),
    ),
    Benchmark(
        "engine.maxmin",
        "event/s",
        max_min,
        "progressive filling: every link of the component is emptied and filled anew at each event",
        Target("value", 150e3),
        "NumPy progressive filling",
    ),
    Benchmark(
        "engine.arbiter",
        "quantum/s",
        arbiter,
        "one round of the kernel a quantum while two classes contend",
        Target("value", 5e6),
    ),
)
