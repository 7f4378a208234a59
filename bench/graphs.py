"""The task graphs that are benchmarked, made from an integer hash: the same on every machine and NumPy version.

In:  sizes and a seed. Out: `TaskGraph`. Durations are whole picoseconds of up to 1 ms, so that ties are rare and peers
with other rules for ties must find the same starts and ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.engine import Discipline, GraphBuilder, TaskGraph

Words = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

MILLISECOND = 10**9  # ticks
WINDOW = 1000  # tasks back that an edge reaches at most


def draws(seed: int, count: int) -> Words:
    """Return `count` words of 64 bits: splitmix64 of a counter (Steele, Lea, Flood, OOPSLA 2014)."""
    word = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 40)) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def below(bound: int, seed: int, count: int) -> IntArray:
    """Return `count` whole numbers in 0 .. bound - 1."""
    return (draws(seed, count) % np.uint64(bound)).astype(np.int64)


def random_edges(builder: GraphBuilder, tasks: range, window: int, seed: int) -> None:
    """Let each task wait for one or two of the `window` tasks before it: 1.5 edges a task, less those drawn twice."""
    count = len(tasks)
    target = np.repeat(np.arange(count), 1 + below(2, seed, count))
    source = target - 1 - below(window, seed + 1, len(target))
    pairs = np.unique(np.stack([source, target], axis=1)[source >= 0], axis=0)
    builder.edge(pairs[:, 0], pairs[:, 1])


def fifo_dag(tasks: int = 100_000, servers: int = 8, *, window: int = WINDOW) -> TaskGraph:
    """Tasks on one of `servers` servers each, 1.49 edges a task (spec: 100k tasks, 149k edges, 8 servers)."""
    builder = GraphBuilder()
    server = np.array([builder.server(f"server {at}") for at in range(servers)])
    ids = builder.tasks(tasks, duration=1 + below(MILLISECOND, 1, tasks))
    builder.demand(ids, server[below(servers, 2, tasks)])
    random_edges(builder, ids, window, 3)
    return builder.build()


def mixed_dag(tasks: int = 100_000, servers: int = 8, links: int = 4, *, window: int = WINDOW) -> TaskGraph:
    """Of ten tasks five hold two servers at once, two hold one, three move bytes over a shared link; with energies."""
    builder = GraphBuilder()
    server = np.array([builder.server(f"server {at}") for at in range(servers)])
    # At this capacity links are busy for 0.7 of the time: a transfer shares its link with two others on average.
    link = np.array([builder.link(f"link {at}", capacity=0.16 * servers / links * 1e9) for at in range(links)])
    part = below(10, 4, tasks)
    size = 1 + below(MILLISECOND, 1, tasks)
    moves = part >= 7
    ids = builder.tasks(
        tasks,
        duration=np.where(moves, 0, size),
        bytes=np.where(moves, size / 1000.0, 0.0),
        energy_fj=below(10**6, 5, tasks),
    )
    every = np.arange(tasks)
    first = below(servers, 2, tasks)
    second = (first + 1 + below(servers - 1, 6, tasks)) % servers
    builder.demand(every[~moves], server[first[~moves]])
    builder.demand(every[part < 5], server[second[part < 5]])
    builder.cross(every[moves], link[below(links, 7, tasks)[moves]])
    random_edges(builder, ids, window, 3)
    return builder.build()


def chained_transfers(transfers: int, chains: int, links: int, crossed: int) -> TaskGraph:
    """`chains` transfers at a time, each over `crossed` different links; when one ends the next of its chain begins."""
    builder = GraphBuilder()
    link = np.array([builder.link(f"link {at}", capacity=1e9) for at in range(links)])
    ids = np.asarray(builder.tasks(transfers, bytes=(1.0 + below(10**6, 1, transfers))))
    at = below(links, 2, transfers)
    for step in range(crossed):
        builder.cross(ids, link[at])
        at = (at + 1 + below(links // crossed - 1, 3 + step, transfers)) % links
    builder.edge(ids[:-chains], ids[chains:])
    return builder.build()


def contending_trains(trains: int, quanta: int) -> TaskGraph:
    """Two traffic classes that always have trains of `quanta` quanta waiting at one memory controller, in turns."""
    builder = GraphBuilder()
    quantum = 256.0
    memory = builder.arbiter(
        "memory",
        capacity=1e12,
        quantum_bytes=quantum,
        depth=8,
        discipline=Discipline.ROUND_ROBIN,
        class_cost=(1.0, 1.2),
    )
    ids = np.asarray(builder.tasks(trains, bytes=quanta * quantum, traffic_class=np.arange(trains) % 2))
    builder.cross(ids, memory)
    builder.edge(ids[:-4], ids[4:])  # two trains of each class at a time
    return builder.build()


def running_tasks(tasks: int) -> TaskGraph:
    """`tasks` long tasks that all run at once on one server."""
    builder = GraphBuilder()
    server = builder.server("row", units=tasks)
    builder.demand(builder.tasks(tasks, duration=10**15 + below(10**15, 1, tasks), sensitivity=0.8), server)
    return builder.build()


def ticking_chain(tasks: int, period: int) -> TaskGraph:
    """One task after the other, each of `period` ticks; a latency on the last has the general kernel play it."""
    builder = GraphBuilder()
    server = builder.server("server")
    ids = builder.tasks(tasks, duration=period, latency=(np.arange(tasks) == tasks - 1).astype(np.int64))
    builder.demand(ids, server)
    builder.chain(ids)
    return builder.build()
