"""Random task graphs with every feature of the engine, small and full of ties.

In:  a generator of random numbers (or hypothesis), the number of tasks, the features wanted.
Out: valid `TaskGraph`s, and additions to a running one.
Durations of 0 to 3 ticks make many things happen at one tick; byte counts and capacities are awkward floats.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import TYPE_CHECKING, Any

import numpy as np

from armillary.engine.graph import Discipline, EdgeKind, GraphBuilder, ResourceKind, TaskGraph
from armillary.engine.reference_links import simple_links
from armillary.errors import MissingExtraError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TICK_S = 1e-9


class Feature(Flag):
    """What a random graph may use beside tasks, servers of one unit and END edges."""

    UNITS = auto()  # servers of several units, demands of several units and servers
    BACKFILL = auto()
    PRIORITIES = auto()
    RELEASES = auto()
    LATENCIES = auto()
    START_EDGES = auto()
    KEEP_EDGES = auto()
    SIMPLE_LINKS = auto()
    GENERAL_LINKS = auto()  # several links a task, costs, rate caps
    ARBITERS = auto()
    LEASES = auto()
    SHARED_LEASES = auto()  # several members: hold and wait, so a graph may deadlock
    SENSITIVITY = auto()
    CHANGES = auto()  # timed changes of rates and capacities, links to 0 and back

    @classmethod
    def everything(cls) -> Feature:
        """Return all features together."""
        return ~cls(0)

    @classmethod
    def integers(cls) -> Feature:
        """Return the features under which all times are sums of integers."""
        floats = cls.SIMPLE_LINKS | cls.GENERAL_LINKS | cls.ARBITERS | cls.SENSITIVITY | cls.CHANGES
        return cls.everything() & ~floats


def random_graph(rng: np.random.Generator, *, tasks: int, features: Feature | None = None) -> TaskGraph:
    """Return a valid graph of `tasks` tasks.

    Args:
        rng: where all choices come from; equal states give equal graphs.
        tasks: number of tasks, at least 0.
        features: what may occur; everything by default. Only SHARED_LEASES can make a graph deadlock.
    """
    return random_builder(rng, tasks=tasks, features=features).build()


def random_builder(rng: np.random.Generator, *, tasks: int, features: Feature | None = None) -> GraphBuilder:
    """Return the builder of a random graph, to add to before it is built."""
    wanted = Feature.everything() if features is None else features
    builder = GraphBuilder(tick_s=TICK_S)
    servers = _add_servers(builder, rng, wanted)
    pools = _add_pools(builder, rng, wanted)
    carriers = _add_carriers(builder, rng, wanted)
    _add_tasks(builder, rng, tasks, wanted, servers, carriers)
    _add_leases(builder, rng, tasks, wanted, pools)
    if Feature.CHANGES in wanted:
        _add_changes(builder, rng, servers, carriers)
    return builder


def random_addition(
    rng: np.random.Generator, graph: TaskGraph, *, tasks: int
) -> tuple[TaskGraph, list[tuple[int, int, int]]]:
    """Return tasks to append to `graph` while it runs, and edges that lead to them from its tasks.

    Args:
        rng: where all choices come from.
        graph: what runs; its simple links stay simple.
        tasks: number of tasks to add, at least 1.
    """
    kinds = graph.resources.kind.tolist()
    servers = [(r, int(graph.resources.units[r])) for r, kind in enumerate(kinds) if kind == ResourceKind.SERVER]
    pools = [(r, int(graph.resources.units[r])) for r, kind in enumerate(kinds) if kind == ResourceKind.POOL]
    simple = simple_links(graph)
    carriers = {
        "simple": sorted(simple),
        "general": [r for r, kind in enumerate(kinds) if kind == ResourceKind.LINK and r not in simple],
        "arbiter": [r for r, kind in enumerate(kinds) if kind == ResourceKind.ARBITER],
    }
    builder = GraphBuilder(tick_s=graph.tick_s)
    _add_tasks(builder, rng, tasks, Feature.everything(), servers, carriers)
    _add_leases(builder, rng, tasks, Feature.everything(), pools)
    edges = [
        (int(rng.integers(len(graph))), len(graph) + int(rng.integers(tasks)), int(rng.integers(0, 4)))
        for _ in range(int(rng.integers(0, 2 * tasks)) if len(graph) else 0)
    ]
    return builder.freeze(), edges


Servers = list[tuple[int, int]]  # resource, units
Carriers = dict[str, list[int]]  # simple links, general links and arbiters


def _add_servers(builder: GraphBuilder, rng: np.random.Generator, wanted: Feature) -> Servers:
    servers = []
    for number in range(int(rng.integers(1, 5))):
        units = int(rng.integers(1, 5)) if Feature.UNITS in wanted else 1
        backfill = Feature.BACKFILL in wanted and bool(rng.random() < 0.4)
        servers.append((builder.server(f"server{number}", units=units, backfill=backfill), units))
    return servers


def _add_pools(builder: GraphBuilder, rng: np.random.Generator, wanted: Feature) -> Servers:
    pools = []
    if Feature.LEASES in wanted:
        for number in range(int(rng.integers(1, 3))):
            units = int(rng.integers(0, 7))
            backfill = Feature.BACKFILL in wanted and bool(rng.random() < 0.4)
            pools.append((builder.pool(f"pool{number}", units=units, backfill=backfill), units))
    return pools


def _add_carriers(builder: GraphBuilder, rng: np.random.Generator, wanted: Feature) -> Carriers:
    def capacity() -> float:
        return float(rng.choice([1e9, 1e9 / 3, 7e8, 2.5e9]))

    carriers: Carriers = {"simple": [], "general": [], "arbiter": []}
    if Feature.SIMPLE_LINKS in wanted:
        carriers["simple"] = [builder.link(f"plain{n}", capacity=capacity()) for n in range(int(rng.integers(1, 3)))]
    if Feature.GENERAL_LINKS in wanted:
        carriers["general"] = [builder.link(f"shared{n}", capacity=capacity()) for n in range(int(rng.integers(2, 5)))]
    if Feature.ARBITERS in wanted:
        for number in range(int(rng.integers(1, 3))):
            carriers["arbiter"].append(
                builder.arbiter(
                    f"arbiter{number}",
                    capacity=capacity(),
                    quantum_bytes=float(rng.choice([1.0, 2.0, 1.7, 4.0])),
                    depth=int(rng.integers(1, 5)),
                    discipline=Discipline(int(rng.integers(0, 3))),
                    threshold=int(rng.integers(1, 4)),
                    age_limit=int(rng.choice([0, 3, 10, 2**61])),
                    class_cost=(1.0, 1.3, 0.5),
                )
            )
    return carriers


def _ticks(rng: np.random.Generator, count: int) -> np.ndarray:
    """Mostly 0 to 3, so that ties abound; now and then longer."""
    long = rng.random(count) < 0.15
    return np.where(long, rng.integers(0, 40, count), rng.integers(0, 4, count))


def _add_tasks(
    builder: GraphBuilder, rng: np.random.Generator, count: int, wanted: Feature, servers: Servers, carriers: Carriers
) -> None:
    """Add `count` tasks and the edges among them; edges follow a random order, not that of the ids."""
    first = len(builder)
    columns: dict[str, Any] = {"duration": _ticks(rng, count), "energy_fj": rng.integers(0, 100, count)}
    if Feature.PRIORITIES in wanted:
        columns["priority"] = rng.integers(-1, 3, count)
    if Feature.RELEASES in wanted:
        columns["release"] = np.where(rng.random(count) < 0.4, rng.integers(0, 12, count), 0)
    if Feature.LATENCIES in wanted:
        columns["latency"] = np.where(rng.random(count) < 0.4, _ticks(rng, count), 0)
    if Feature.SENSITIVITY in wanted:
        columns["sensitivity"] = rng.choice([0.0, 0.3, 0.5, 1.0], count)
    if any(carriers.values()):
        columns["bytes"] = rng.choice([0.0, 1.0, 2.0, 5.0, 10 / 3, 0.1, 17.7, 40.0], count)
        columns["weight"] = rng.integers(1, 4, count)
        columns["traffic_class"] = rng.integers(0, 3, count) if carriers["arbiter"] else np.zeros(count, np.int64)
    caps = np.full(count, np.inf)
    crossings = [_crossing(rng, carriers) for _ in range(count)]
    for task, (kind, _) in enumerate(crossings):
        if kind == "general" and rng.random() < 0.3:
            caps[task] = float(rng.choice([1e8, 3e8 / 7, 2e9]))
    builder.tasks(count, kind="", labels=[f"t{first + task}" for task in range(count)], rate_cap=caps, **columns)
    for task, (kind, links) in enumerate(crossings):
        for link in links:
            builder.cross(first + task, link, float(rng.choice([1.0, 0.5, 1 / 3, 2.2])) if kind != "arbiter" else 1.0)
        for server, units in _demands(rng, servers, wanted):
            builder.demand(first + task, server, units)
    _add_edges(builder, rng, first, count, wanted)


def _crossing(rng: np.random.Generator, carriers: Carriers) -> tuple[str, list[int]]:
    kinds = [kind for kind, members in carriers.items() if members]
    if not kinds or rng.random() < 0.4:
        return "", []
    kind = str(rng.choice(kinds))
    most = min(3, len(carriers[kind])) if kind == "general" else 1
    picked = rng.choice(carriers[kind], int(rng.integers(1, most + 1)), replace=False)
    return kind, [int(link) for link in picked]


def _demands(rng: np.random.Generator, servers: Servers, wanted: Feature) -> list[tuple[int, int]]:
    if rng.random() < 0.25:
        return []
    several = Feature.UNITS in wanted and len(servers) > 1 and rng.random() < 0.3
    picked = rng.permutation(len(servers))[: 2 if several else 1]
    return [
        (servers[number][0], int(rng.integers(1, servers[number][1] + 1)) if rng.random() < 0.5 else 1)
        for number in picked
    ]


def _add_edges(builder: GraphBuilder, rng: np.random.Generator, first: int, count: int, wanted: Feature) -> None:
    if count < 2:
        return
    order = rng.permutation(count) + first
    for _ in range(int(count * rng.choice([0.0, 0.5, 1.2]))):
        one, other = sorted(rng.choice(count, 2, replace=False).tolist())
        starts = Feature.START_EDGES in wanted and rng.random() < 0.3
        keep = Feature.KEEP_EDGES in wanted and bool(rng.random() < 0.3)
        kind = EdgeKind.START if starts else EdgeKind.END
        builder.edge(int(order[one]), int(order[other]), kind=kind, keep=keep)


def _add_leases(builder: GraphBuilder, rng: np.random.Generator, count: int, wanted: Feature, pools: Servers) -> None:
    """Let some tasks join one or two leases; what a task takes at once fits in each pool."""
    taken: dict[tuple[int, int], int] = {}  # task, pool -> units that it may take at once
    for _ in range(count // 3 if pools else 0):
        pool, size = pools[int(rng.integers(len(pools)))]
        most = min(3, count) if Feature.SHARED_LEASES in wanted and rng.random() < 0.4 else 1
        members = rng.choice(count, int(rng.integers(1, most + 1)), replace=False).tolist()
        room = size - max(taken.get((task, pool), 0) for task in members)
        units = int(rng.integers(0, room + 1))
        lease = builder.lease(pool, units, until_start=bool(rng.random() < 0.3))
        for task in members:
            taken[task, pool] = taken.get((task, pool), 0) + units
            builder.member(task, lease)


def _add_changes(builder: GraphBuilder, rng: np.random.Generator, servers: Servers, carriers: Carriers) -> None:
    for server, _ in servers:
        for tick in rng.integers(0, 20, int(rng.integers(0, 4))).tolist():
            builder.change(tick, server, float(rng.choice([0.5, 1.0, 1.5, 1 / 3, 0.9])))
    for link in carriers["simple"] + carriers["general"]:
        if rng.random() < 0.5:
            tick = int(rng.integers(0, 20))
            builder.change(tick, link, float(rng.choice([0.0, 3e8, 2e9])))
            builder.change(tick + int(rng.integers(0, 8)), link, float(rng.choice([1e9, 1e9 / 7])))
    for arbiter in carriers["arbiter"]:
        if rng.random() < 0.5:
            builder.change(int(rng.integers(0, 20)), arbiter, float(rng.choice([2e8, 3e9])))


def task_graphs(*, max_tasks: int = 25) -> SearchStrategy[TaskGraph]:
    """Return a hypothesis strategy of random graphs; it shrinks towards few tasks and few features.

    Raises:
        MissingExtraError: hypothesis is not installed.
    """
    try:
        from hypothesis import strategies
    except ImportError:
        raise MissingExtraError("hypothesis", "test") from None

    def graph(seed: int, tasks: int, chosen: frozenset[Feature]) -> TaskGraph:
        features = Feature(0)
        for feature in chosen:
            features |= feature
        return random_graph(np.random.default_rng(seed), tasks=tasks, features=features)

    return strategies.builds(
        graph,
        seed=strategies.integers(0, 2**32 - 1),
        tasks=strategies.integers(0, max_tasks),
        chosen=strategies.frozensets(strategies.sampled_from(list(Feature))),
    )
