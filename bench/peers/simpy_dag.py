"""The FIFO task graph in SimPy, in its two idioms: a process per server with a Store, and a process per task.

In:  `Lists`, the columns of a task graph as Python lists. Out: start and end of every task.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import simpy

from armillary.engine import TaskGraph

Process = Generator[Any, Any, None]
Ticks = list[float]  # whole numbers; SimPy's clock may hold either


class Lists(NamedTuple):
    """What a SimPy model reads: by task, but for the number of servers."""

    duration: list[int]
    server: list[int]
    targets: list[list[int]]
    waiting: list[int]
    servers: int


def lists_of(graph: TaskGraph) -> Lists:
    """Return the columns of a graph whose tasks hold one unit of one server each."""
    targets = [graph.edges.index[graph.edges.row(task)].tolist() for task in range(len(graph))]
    waiting = [0] * len(graph)
    for row in targets:
        for target in row:
            waiting[target] += 1
    return Lists(graph.duration.tolist(), graph.demands.index.tolist(), targets, waiting, len(graph.resources))


def play_servers(model: Lists) -> tuple[Ticks, Ticks]:
    """One process a server that takes tasks from its Store: the leanest idiom."""
    count = len(model.duration)
    start: Ticks = [-1] * count
    end: Ticks = [-1] * count
    waiting = list(model.waiting)
    environment = simpy.Environment(0)
    stores = [simpy.Store(environment) for _ in range(model.servers)]

    def serve(store: Any) -> Process:
        while True:
            task = yield store.get()
            start[task] = environment.now
            yield environment.timeout(model.duration[task])
            end[task] = environment.now
            for target in model.targets[task]:
                waiting[target] -= 1
                if waiting[target] == 0:
                    stores[model.server[target]].put(target)

    for store in stores:
        environment.process(serve(store))
    for task in range(count):
        if waiting[task] == 0:
            stores[model.server[task]].put(task)
    environment.run()
    return start, end


def play_tasks(model: Lists) -> tuple[Ticks, Ticks]:
    """One process a task, which waits for its predecessors and then for its Resource: the usual idiom."""
    count = len(model.duration)
    start: Ticks = [-1] * count
    end: Ticks = [-1] * count
    environment = simpy.Environment(0)
    resources = [simpy.Resource(environment) for _ in range(model.servers)]
    processes: list[Any] = []
    sources: list[list[int]] = [[] for _ in range(count)]
    for source, targets in enumerate(model.targets):
        for target in targets:
            sources[target].append(source)

    def run(task: int) -> Process:
        if sources[task]:
            yield environment.all_of([processes[source] for source in sources[task]])
        with resources[model.server[task]].request() as request:
            yield request
            start[task] = environment.now
            yield environment.timeout(model.duration[task])
            end[task] = environment.now

    processes.extend(environment.process(run(task)) for task in range(count))
    environment.run()
    return start, end
