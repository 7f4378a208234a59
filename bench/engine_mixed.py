"""Mixed graphs: tasks that hold two servers at once, transfers on shared links, energies.

In:  `graphs.mixed_dag`. Out: tasks/s of the general kernel, recording start, end and cause. The peer is the plain
kernel on a graph of FIFO tasks of the same size: what the features cost, whatever the machine.
"""

from __future__ import annotations

from armillary.engine import Reason, TaskGraph
from armillary.engine.simulate import Simulation
from bench.benchmark import Benchmark, Measured, Target
from bench.graphs import fifo_dag, mixed_dag
from bench.measure import medians_s, timed


def play(run: Simulation) -> None:
    assert run.advance() == Reason.IDLE


def beside_fifo(mixed: TaskGraph, fifo: TaskGraph, runs: int) -> Measured:
    ours, plain = medians_s(
        runs,
        timed(lambda: Simulation(mixed), play),
        timed(lambda: Simulation(fifo), play),
    )
    return Measured(len(mixed) / ours, len(fifo) / plain)


BENCHMARKS = (
    Benchmark(
        "engine.mixed",
        "task/s",
        lambda: beside_fifo(mixed_dag(), fifo_dag(), 7),
        "looking at several queues a start, and two heap operations and a division a transfer",
        Target("value", 2.5e6),
        "the plain kernel on 100k FIFO tasks",
    ),
    Benchmark(
        "engine.million_mixed",
        "task/s",
        lambda: beside_fifo(mixed_dag(1_000_000, 896, 128, window=4096), fifo_dag(1_000_000, 1024, window=4096), 3),
        "memory: three records a task of which none stays in the caches",
        Target("value", 1e6),
        "the plain kernel on 1 M FIFO tasks",
    ),
)
