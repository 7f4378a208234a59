"""What no trace may break: room in servers and pools, the order of edges, bytes over capacity."""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.engine import EdgeKind, GraphBuilder, ResourceKind, Status, TaskGraph, Trace
from armillary.testing import Feature, random_graph
from tests.engine.executors import each_executor

SEEDS = range(60)


def _played(executor: Any, seed: int) -> tuple[TaskGraph, Trace]:
    graph = random_graph(np.random.default_rng(seed), tasks=30)
    simulation = executor(graph)
    simulation.advance()
    return graph, simulation.trace()


def _peak(intervals: list[tuple[int, int, int]]) -> int:
    """Return the most units held at once by (from, to, units); what ends at a tick makes room at that tick."""
    steps = [(begin, 1, units) for begin, end, units in intervals if end > begin]
    steps += [(end, 0, -units) for begin, end, units in intervals if end > begin]
    level = peak = 0
    for _, _, change in sorted(steps):
        level += change
        peak = max(peak, level)
    return peak


@each_executor
def test_servers_never_hold_more_than_their_units(executor: Any) -> None:
    for seed in SEEDS:
        graph, trace = _played(executor, seed)
        for server in np.flatnonzero(graph.resources.kind == ResourceKind.SERVER).tolist():
            held = []
            for task in np.flatnonzero(trace.start >= 0).tolist():
                entries = graph.demands.row(task)
                end = int(trace.end[task]) if trace.end[task] >= 0 else int(trace.now) + 1
                held += [
                    (int(trace.start[task]), end, int(units))
                    for r, units in zip(graph.demands.index[entries], graph.demands.value[entries], strict=True)
                    if r == server
                ]
            assert _peak(held) <= graph.resources.units[server], f"seed {seed}"


@each_executor
def test_pools_never_lease_more_than_their_units(executor: Any) -> None:
    for seed in SEEDS:
        graph, trace = _played(executor, seed)
        members: dict[int, list[int]] = {lease: [] for lease in range(len(graph.leases))}
        for task in range(len(graph)):
            for lease in graph.members.index[graph.members.row(task)].tolist():
                members[lease].append(task)
        for pool in np.flatnonzero(graph.resources.kind == ResourceKind.POOL).tolist():
            held = []
            for lease in np.flatnonzero(graph.leases.pool == pool).tolist():
                starts, ends = trace.start[members[lease]], trace.end[members[lease]]
                if (starts < 0).all():
                    continue
                last = starts if graph.leases.until_start[lease] else ends
                until = int(last.max()) if (last >= 0).all() else int(trace.now) + 1
                held.append((int(starts[starts >= 0].min()), until, int(graph.leases.units[lease])))
            assert _peak(held) <= graph.resources.units[pool], f"seed {seed}"


@each_executor
def test_no_task_starts_before_what_it_waits_for(executor: Any) -> None:
    for seed in SEEDS:
        graph, trace = _played(executor, seed)
        started = trace.start >= 0
        assert (trace.start[started] >= graph.release[started]).all()
        for source in range(len(graph)):
            entries = graph.edges.row(source)
            for target, flags in zip(graph.edges.index[entries], graph.edges.value[entries], strict=True):
                if started[target]:
                    before = trace.start if int(flags) & 1 == EdgeKind.START else trace.end
                    assert 0 <= before[source] <= trace.start[target], f"seed {seed}"


@each_executor
def test_cause_happens_no_later_than_its_effect(executor: Any) -> None:
    """A cause ends or starts at the very tick of the start that it allowed."""
    for seed in SEEDS:
        _, trace = _played(executor, seed)
        for task in np.flatnonzero(trace.cause >= 0).tolist():
            cause = int(trace.cause[task])
            assert trace.start[task] in (trace.start[cause], trace.end[cause]), f"seed {seed}"


@each_executor
def test_done_tasks_have_had_their_latency_and_work(executor: Any) -> None:
    """At rates of at most 1 a task takes at least latency + duration; without changes and bytes exactly that."""
    for seed in SEEDS:
        features = Feature.integers()
        graph = random_graph(np.random.default_rng(seed), tasks=30, features=features)
        simulation = executor(graph)
        simulation.advance()
        trace = simulation.trace()
        done = trace.status == Status.DONE
        assert (trace.end - trace.start)[done].tolist() == (graph.latency + graph.duration)[done].tolist()


@each_executor
def test_links_move_their_bytes_at_their_capacity(executor: Any) -> None:
    """A link that is never idle ends at sum(bytes x cost) / capacity, rounded up by at most a tick a flow."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for cap in (np.inf, 1e12):  # a simple and a general link; the cap binds nobody
            builder = GraphBuilder(tick_s=1e-9)
            link = builder.link("wire", capacity=7e8)
            count = int(rng.integers(1, 12))
            sizes, costs = rng.random(count) * 100, rng.choice([1.0, 0.5, 1 / 3], count)
            tasks = builder.tasks(count, bytes=sizes, weight=rng.integers(1, 4, count), rate_cap=cap)
            builder.cross(np.asarray(tasks), link, costs)
            simulation = executor(builder.build())
            simulation.advance()
            ideal = float((sizes * costs).sum()) / 0.7
            assert ideal - 1e-6 <= simulation.trace().makespan <= ideal + count


@each_executor
def test_arbiter_serves_every_byte_once(executor: Any) -> None:
    """A busy arbiter of whole quanta takes exactly the sum of its quanta's ticks, under every discipline."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        builder = GraphBuilder(tick_s=1e-9)
        memory = builder.arbiter(
            "memory",
            capacity=1e9,
            quantum_bytes=2.0,
            depth=int(rng.integers(1, 5)),
            discipline=seed % 3,  # type: ignore[arg-type]
            threshold=int(rng.integers(1, 4)),
            age_limit=int(rng.choice([0, 5, 2**61])),
            class_cost=(1.0, 2.0),
        )
        quanta, classes = rng.integers(1, 9, 6), rng.integers(0, 2, 6)
        tasks = builder.tasks(6, bytes=quanta * 2.0, traffic_class=classes)
        builder.cross(np.asarray(tasks), memory)
        simulation = executor(builder.build())
        simulation.advance()
        assert simulation.trace().makespan == int((quanta * 2 * (1 + classes)).sum())
