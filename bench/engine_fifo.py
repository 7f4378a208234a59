"""Tasks on FIFO servers: the plain kernel against SimPy, against C, without recording, and at a million tasks.

In:  `graphs.fifo_dag`. Out: tasks/s of the loop, recording start, end and cause, the graph laid out beforehand (as for
C); `engine.whole` takes in the layout and the trace. Every peer must find the same start and end of every task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from armillary.engine import TaskGraph
from armillary.engine.simulate import Simulation, simulate
from bench.benchmark import Benchmark, Measured, Target
from bench.graphs import fifo_dag
from bench.measure import medians_s, repeated, timed
from bench.peers import fifo_dag_c


def check_equal(graph: TaskGraph, start: object, end: object, peer: str) -> None:
    """Raise AssertionError unless the engine starts and ends every task when the peer does."""
    trace = simulate(graph)
    assert np.array_equal(trace.start, np.asarray(start)), f"{peer} starts tasks at other ticks"
    assert np.array_equal(trace.end, np.asarray(end)), f"{peer} ends tasks at other ticks"


def against_simpy(play: Callable[[Any], Any], runs: int) -> Measured:
    """Tasks/s of our loop and of a SimPy model, `play`, of the same graph."""
    from bench.peers import simpy_dag

    graph = fifo_dag()
    lists = simpy_dag.lists_of(graph)
    start, end = play(lists)
    check_equal(graph, start, end, "SimPy")
    ours, peer = medians_s(
        runs, repeated(timed(lambda: Simulation(graph), Simulation.advance)), timed(lambda: lists, play)
    )
    return Measured(len(graph) / ours, len(graph) / peer)


def lean_simpy() -> Measured:
    from bench.peers.simpy_dag import play_servers

    return against_simpy(play_servers, 3)


def usual_simpy() -> Measured:
    from bench.peers.simpy_dag import play_tasks

    return against_simpy(play_tasks, 1)


def whole() -> Measured:
    from bench.peers import simpy_dag

    graph = fifo_dag()
    lists = simpy_dag.lists_of(graph)
    ours, peer = medians_s(3, repeated(timed(lambda: graph, simulate)), timed(lambda: lists, simpy_dag.play_servers))
    return Measured(len(graph) / ours, len(graph) / peer)


def against_c(graph: TaskGraph, runs: int) -> Measured:
    """Tasks/s of our loop and of the same in C, where there is gcc."""
    play = fifo_dag_c.compiled()
    if play is None:
        (ours,) = medians_s(runs, timed(lambda: Simulation(graph), Simulation.advance))
        return Measured(len(graph) / ours)
    records = fifo_dag_c.lay_out(graph)
    play(records)
    check_equal(graph, records.tasks["start"][:-1], records.tasks["end"][:-1], "C")
    ours, peer = medians_s(
        runs,
        timed(lambda: Simulation(graph), Simulation.advance),
        timed(lambda: fifo_dag_c.lay_out(graph), play),
    )
    return Measured(len(graph) / ours, len(graph) / peer)


def without_recording() -> Measured:
    from bench.unrecorded import play_plain

    graph = fifo_dag()
    recorded, bare = medians_s(
        15,
        timed(lambda: Simulation(graph), Simulation.advance),
        timed(lambda: Simulation(graph), play_plain),
    )
    return Measured(len(graph) / recorded, len(graph) / bare)


BENCHMARKS = (
    Benchmark(
        "engine.fifo_dag",
        "task/s",
        lean_simpy,
        "cache misses on task records and mispredicted branches of queue and heap",
        Target("ratio", 60),
        "SimPy, one process a server with a Store",
    ),
    Benchmark(
        "engine.fifo_dag_task",
        "task/s",
        usual_simpy,
        "as engine.fifo_dag",
        Target("ratio", 300),
        "SimPy, one process a task",
    ),
    Benchmark(
        "engine.fifo_dag_c",
        "task/s",
        lambda: against_c(fifo_dag(), 15),
        "generality: units, several demands, rounds and ties; C has one unit, one demand, no rounds",
        Target("ratio", 0.5),
        "the same loop in C, gcc -O3",
    ),
    Benchmark(
        "engine.whole",
        "task/s",
        whole,
        "laying out columns as records and copying the trace, in NumPy",
        None,
        "SimPy, one process a server with a Store",
    ),
    Benchmark(
        "engine.recording",
        "task/s",
        without_recording,
        "one more cache line of the resource and the task written",
        Target("ratio", 0.8),
        "the same without start, end and cause",
    ),
    Benchmark(
        "engine.million",
        "task/s",
        lambda: against_c(fifo_dag(1_000_000, 1024, window=4096), 3),
        "memory: records of 1 M tasks and a heap of 1,024 running ones do not fit the caches",
        Target("value", 3e6),
        "the same loop in C, gcc -O3",
    ),
)
