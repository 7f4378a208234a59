"""Metamorphic laws: scaling, relabelling and union of graphs change a trace in the one way that they must."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from armillary.engine import EdgeKind, GraphBuilder, TaskGraph, Trace
from armillary.testing import Feature, random_graph
from tests.engine.executors import each_executor

SEEDS = range(40)


def _played(executor: Any, graph: TaskGraph) -> Trace:
    simulation = executor(graph)
    simulation.advance()
    trace: Trace = simulation.trace()
    return trace


def _rebuilt(
    builder: GraphBuilder,
    graph: TaskGraph,
    *,
    order: npt.NDArray[np.int64] | None = None,
    factor: int = 1,
    prefix: str = "",
    priority: npt.NDArray[np.int64] | None = None,
) -> None:
    """Add `graph` to `builder`: its task order[i] becomes task i, times multiplied, names prefixed."""
    order = np.arange(len(graph)) if order is None else order
    place = np.empty(len(graph), np.int64)
    place[order] = np.arange(len(graph))
    resources, first, base = graph.resources, len(builder), -1
    for index, name in enumerate(resources.names):
        units, backfill = int(resources.units[index]), bool(resources.backfill[index])
        add = builder.server if resources.kind[index] == 0 else builder.pool
        new = add(prefix + name, units=units, backfill=backfill)
        base = new if base < 0 else base
    leases = [
        builder.lease(int(pool) + base, int(units), until_start=bool(at_start))
        for pool, units, at_start in zip(graph.leases.pool, graph.leases.units, graph.leases.until_start, strict=True)
    ]
    first_lease = leases[0] if leases else 0
    builder.tasks(
        len(graph),
        duration=graph.duration[order] * factor,
        latency=graph.latency[order] * factor,
        release=graph.release[order] * factor,
        priority=(graph.priority if priority is None else priority)[order],
    )
    for old in range(len(graph)):
        task = first + int(place[old])
        entries = graph.demands.row(old)
        builder.demand(task, graph.demands.index[entries] + base, graph.demands.value[entries])
        builder.member(task, graph.members.index[graph.members.row(old)] + first_lease)
        entries = graph.edges.row(old)
        for target, flags in zip(graph.edges.index[entries], graph.edges.value[entries], strict=True):
            builder.edge(task, first + int(place[target]), kind=EdgeKind(int(flags) & 1), keep=int(flags) >= 2)


@each_executor
def test_scaled_integer_times_scale_the_trace(executor: Any) -> None:
    """All times multiplied by k: every start and end is multiplied by k, causes stay."""
    for seed in SEEDS:
        graph = random_graph(np.random.default_rng(seed), tasks=25, features=Feature.integers())
        builder = GraphBuilder(tick_s=graph.tick_s)
        _rebuilt(builder, graph, factor=7)
        plain, scaled = _played(executor, graph), _played(executor, builder.build())
        for name in ("start", "end"):
            before = getattr(plain, name)
            assert np.where(before < 0, before, 7 * before).tolist() == getattr(scaled, name).tolist()
        assert plain.cause.tolist() == scaled.cause.tolist()
        assert plain.reason == scaled.reason


@each_executor
def test_relabelled_tasks_keep_their_times(executor: Any) -> None:
    """With a distinct priority each, ids decide nothing: any order of the tasks gives the same starts and ends."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        # A shared lease notes the largest id; starts and ends do not depend on that either.
        graph = random_graph(rng, tasks=25, features=Feature.integers())
        priority, order = rng.permutation(len(graph)), rng.permutation(len(graph))
        plain, moved = GraphBuilder(tick_s=graph.tick_s), GraphBuilder(tick_s=graph.tick_s)
        _rebuilt(plain, graph, priority=priority)
        _rebuilt(moved, graph, priority=priority, order=order)
        one, other = _played(executor, plain.build()), _played(executor, moved.build())
        for name in ("start", "end", "status"):
            assert getattr(one, name)[order].tolist() == getattr(other, name).tolist()


@each_executor
def test_union_of_independent_graphs_is_the_union_of_their_traces(executor: Any) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        parts = [random_graph(rng, tasks=15, features=Feature.integers()) for _ in range(2)]
        builder = GraphBuilder(tick_s=parts[0].tick_s)
        for number, part in enumerate(parts):
            _rebuilt(builder, part, prefix=f"{number}/")
        whole = _played(executor, builder.build())
        traces = [_played(executor, part) for part in parts]
        for name in ("start", "end", "status"):
            joined = np.concatenate([getattr(trace, name) for trace in traces])
            assert joined.tolist() == getattr(whole, name).tolist()


@each_executor
@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_bytes_and_capacity_scale_together(executor: Any, factor: float) -> None:
    """Twice the bytes over twice the capacity take the same time, to the tick (factors that are exact in binary)."""
    for seed in SEEDS:
        features = Feature.SIMPLE_LINKS | Feature.GENERAL_LINKS | Feature.UNITS | Feature.RELEASES
        graph = random_graph(np.random.default_rng(seed), tasks=20, features=features)
        plain = _played(executor, graph)
        scaled = _played(executor, _with_scaled_bytes(graph, factor))
        assert plain.digest() == scaled.digest()


def _with_scaled_bytes(graph: TaskGraph, factor: float) -> TaskGraph:
    resources = replace(graph.resources, capacity=graph.resources.capacity * factor)
    return replace(graph, resources=resources, bytes=graph.bytes * factor, rate_cap=graph.rate_cap * factor)
