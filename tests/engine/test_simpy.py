"""SimPy as a third opinion: FIFO graphs played by a process per task end at the same ticks."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from armillary.engine import GraphBuilder, TaskGraph
from tests.engine.executors import each_executor, play


def _random_fifo_graph(seed: int) -> TaskGraph:
    """One server a task, long random durations: the only ties are tasks made ready by one end, in both by id."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    servers = [builder.server(f"s{n}", units=int(rng.integers(1, 4))) for n in range(4)]
    count = 60
    builder.tasks(count, duration=rng.integers(1, 10**9, count), release=rng.integers(1, 10**9, count))
    builder.demand(np.arange(count), rng.choice(servers, count))
    for _ in range(80):
        source, target = sorted(rng.choice(count, 2, replace=False).tolist())
        builder.edge(source, target)
    return builder.build()


def _simpy_times(graph: TaskGraph) -> tuple[list[int], list[int]]:
    environment = simpy.Environment()
    servers = [simpy.Resource(environment, capacity=int(units)) for units in graph.resources.units]
    ended = [environment.event() for _ in range(len(graph))]
    sources: list[list[int]] = [[] for _ in range(len(graph))]
    for source in range(len(graph)):
        for target in graph.edges.index[graph.edges.row(source)].tolist():
            sources[target].append(source)
    start, end = [0] * len(graph), [0] * len(graph)

    def process(task: int) -> Generator[Any, Any, None]:
        arrival = environment.timeout(int(graph.release[task]))
        yield environment.all_of([arrival, *(ended[source] for source in sources[task])])
        with servers[int(graph.demands.index[graph.demands.row(task)][0])].request() as turn:
            yield turn
            start[task] = int(environment.now)
            yield environment.timeout(int(graph.duration[task]))
            end[task] = int(environment.now)
        ended[task].succeed()

    for task in range(len(graph)):
        environment.process(process(task))
    environment.run()
    return start, end


@each_executor
def test_simpy_agrees_on_fifo_graphs(executor: Any) -> None:
    for seed in range(30):
        graph = _random_fifo_graph(seed)
        trace = play(executor, graph)
        assert _simpy_times(graph) == (trace.start.tolist(), trace.end.tolist()), f"seed {seed}"
