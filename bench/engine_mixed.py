"""Mixed graphs: tasks that hold two servers at once, transfers on shared links, energies.

In:  `graphs.mixed_dag`. Out: tasks/s of the general kernel, recording start, end and cause. No peer plays such graphs;
the C loop on FIFO tasks of the same size is a yardstick that takes the speed of the machine out of the ratio.
"""

from __future__ import annotations

from armillary.engine import Reason, TaskGraph
from armillary.engine.simulate import Simulation
from bench.benchmark import Benchmark, Measured, Target
from bench.graphs import fifo_dag, mixed_dag
from bench.measure import medians_s, timed
from bench.peers import fifo_dag_c


def play(run: Simulation) -> None:
    assert run.advance() == Reason.IDLE


def beside_c(mixed: TaskGraph, fifo: TaskGraph, runs: int) -> Measured:
    """Tasks/s of the mixed graph, and of the FIFO graph in C where there is gcc."""
    ours = timed(lambda: Simulation(mixed), play)
    in_c = fifo_dag_c.compiled()
    if in_c is None:
        return Measured(len(mixed) / medians_s(runs, ours)[0])
    seconds, yardstick = medians_s(runs, ours, timed(lambda: fifo_dag_c.lay_out(fifo), in_c))
    return Measured(len(mixed) / seconds, len(fifo) / yardstick)


BENCHMARKS = (
    Benchmark(
        "engine.mixed",
        "task/s",
        lambda: beside_c(mixed_dag(), fifo_dag(), 7),
        "looking at several queues a start, and two heap operations and a division a transfer",
        Target("value", 2.5e6),
        "100k FIFO tasks in C, gcc -O3",
    ),
    Benchmark(
        "engine.million_mixed",
        "task/s",
        lambda: beside_c(mixed_dag(1_000_000, 896, 128, window=4096), fifo_dag(1_000_000, 1024, window=4096), 3),
        "memory: three records a task of which none stays in the caches",
        Target("value", 1e6),
        "1 M FIFO tasks in C, gcc -O3",
    ),
)
