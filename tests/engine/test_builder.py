"""The builder freezes what it was given; validation names the thing at fault and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from armillary.engine import EdgeKind, GraphBuilder, TaskGraph
from armillary.engine.validate import validate
from armillary.errors import InputError
from armillary.testing import task_graphs
from armillary.units import MAX_TICKS


def test_columns_and_single_tasks_give_equal_graphs() -> None:
    one = GraphBuilder()
    server = one.server("s", units=2)
    first = one.task("a", duration=3, on=[(server, 2)], energy_fj=5)
    one.task("b", duration=4, on=server, after=[first], energy_fj=6)
    many = GraphBuilder()
    server = many.server("s", units=2)
    tasks = many.tasks(2, labels=["a", "b"], duration=np.array([3, 4]), energy_fj=np.array([5, 6]))
    many.demand(np.asarray(tasks), server, np.array([2, 1]))
    many.chain(tasks)
    left, right = one.build(), many.build()
    for name in ("duration", "energy_fj", "label", "kind", "release"):
        assert getattr(left, name).tolist() == getattr(right, name).tolist()
    for name in ("demands", "edges", "members", "crossings"):
        assert getattr(left, name).offset.tolist() == getattr(right, name).offset.tolist()
        assert getattr(left, name).index.tolist() == getattr(right, name).index.tolist()
        assert getattr(left, name).value.tolist() == getattr(right, name).value.tolist()


def test_ragged_lists_keep_the_order_in_which_they_were_given() -> None:
    builder = GraphBuilder()
    servers = [builder.server(f"s{n}") for n in range(3)]
    tasks = builder.tasks(2)
    builder.demand(tasks[1], servers[2])
    builder.demand(tasks[0], servers[1])
    builder.demand(tasks[1], servers[0])
    demands = builder.build().demands
    assert demands.index[demands.row(1)].tolist() == [2, 0]


def test_timed_changes_are_sorted_by_tick_and_stable() -> None:
    builder = GraphBuilder()
    server = builder.server("s")
    for tick, value in ((5, 0.5), (2, 0.25), (5, 2.0)):
        builder.change(tick, server, value)
    changes = builder.build().changes
    assert changes.tick.tolist() == [2, 5, 5]
    assert changes.value.tolist() == [0.25, 0.5, 2.0]


def test_edge_flags_hold_kind_and_keep() -> None:
    builder = GraphBuilder()
    a, b = builder.tasks(2)
    for kind in EdgeKind:
        for keep in (False, True):
            builder.edge(a, b, kind=kind, keep=keep)
    assert builder.build().edges.value.tolist() == [0, 2, 1, 3]


def test_label_names_the_task_in_messages() -> None:
    builder = GraphBuilder()
    builder.tasks(2, labels=["conv1", ""])
    graph = builder.build()
    assert (graph.task_name(0), graph.task_name(1)) == ("conv1 (task 0)", "task 1")


def test_graph_without_tasks_is_valid() -> None:
    assert len(GraphBuilder().build()) == 0


@given(graph=task_graphs())
def test_random_graphs_are_valid(graph: TaskGraph) -> None:
    assert validate(graph) is graph


# Each rule: (what builds a graph that breaks it, what the message must say).
Breaker = Callable[[GraphBuilder], Any]


def _two_of_one_name(builder: GraphBuilder) -> None:
    builder.server("core")
    builder.link("core", capacity=1.0)


def _crossing_arbiter_and_link(builder: GraphBuilder) -> None:
    memory, link = builder.arbiter("hbm", capacity=1.0, quantum_bytes=1.0), builder.link("bus", capacity=1.0)
    builder.task("copy", bytes=1.0, crossing=[memory, link])


def _joint_leases(builder: GraphBuilder) -> None:
    pool = builder.pool("scratchpad", units=3)
    builder.task("tile", leases=[builder.lease(pool, 2), builder.lease(pool, 2)])


def _cycle(builder: GraphBuilder) -> None:
    tasks = builder.tasks(3, labels=["a", "b", "c"])
    builder.chain([tasks[0], tasks[1], tasks[2], tasks[0]])


def _own_edge(builder: GraphBuilder) -> None:
    task = builder.task("alone")
    builder.edge(task, task)


def _demand(what: str, units: int) -> Breaker:
    def build(builder: GraphBuilder) -> None:
        builder.server("core", units=2)
        builder.pool("pool", units=2)
        task = builder.task("conv")
        builder.demand(task, {"core": 0, "pool": 1, "nothing": 7}[what], units)

    return build


def _demand_twice(builder: GraphBuilder) -> None:
    server = builder.server("core", units=2)
    builder.task("conv", on=[server, server])


def _lease(units: int, *, member: bool = True, kind: str = "pool") -> Breaker:
    def build(builder: GraphBuilder) -> None:
        resource = builder.pool("pad", units=2) if kind == "pool" else builder.server("pad", units=2)
        lease = builder.lease(resource, units)
        if member:
            builder.task("tile", leases=[lease])

    return build


def _change(kind: str, value: float, tick: int = 1) -> Breaker:
    def build(builder: GraphBuilder) -> None:
        makers: dict[str, Callable[[], int]] = {
            "server": lambda: builder.server("core"),
            "pool": lambda: builder.pool("pad", units=1),
            "link": lambda: builder.link("bus", capacity=1.0),
            "arbiter": lambda: builder.arbiter("hbm", capacity=1.0, quantum_bytes=1.0),
            "nothing": lambda: 5,
        }
        resource = makers[kind]()
        builder.change(tick, resource, value)

    return build


def _arbiter(**values: Any) -> Breaker:
    return lambda builder: builder.arbiter("hbm", **{"capacity": 1.0, "quantum_bytes": 1.0, **values})


def _crossing(cost: float, *, kind: str = "link") -> Breaker:
    def build(builder: GraphBuilder) -> None:
        resource = {
            "link": lambda: builder.link("bus", capacity=1.0),
            "server": lambda: builder.server("bus"),
            "arbiter": lambda: builder.arbiter("bus", capacity=1.0, quantum_bytes=1.0),
        }[kind]()
        builder.task("copy", bytes=1.0, crossing=[(resource, cost)])

    return build


def _edge_to(target: int) -> Breaker:
    def build(builder: GraphBuilder) -> None:
        builder.edge(builder.task("a"), target)

    return build


RULES: dict[str, tuple[Breaker, str]] = {
    "unique names": (_two_of_one_name, "two resources are called 'core'"),
    "units of servers": (lambda b: b.server("core", units=0), "'core' needs at least one unit"),
    "units of pools": (lambda b: b.pool("pad", units=-1), "'pad' has a negative number of units"),
    "capacity of links": (lambda b: b.link("bus", capacity=-1.0), "'bus' has a capacity that is negative"),
    "finite capacity": (lambda b: b.link("bus", capacity=float("nan")), "'bus' has a capacity"),
    "capacity of arbiters": (_arbiter(capacity=0.0), "'hbm' needs a capacity above 0"),
    "quantum": (_arbiter(quantum_bytes=0.0), "'hbm' needs quantum_bytes above 0"),
    "depth": (_arbiter(depth=0), "'hbm' needs a depth"),
    "threshold": (_arbiter(threshold=0), "'hbm' needs a threshold"),
    "age limit": (_arbiter(age_limit=-1), "'hbm' has a negative age limit"),
    "class cost": (_arbiter(class_cost=(1.0, 0.0)), "'hbm' needs class costs above 0"),
    "duration": (lambda b: b.task("conv", duration=-1), "conv (task 0) has a negative duration"),
    "latency": (lambda b: b.task("conv", latency=-1), "conv (task 0) has a negative latency"),
    "release": (lambda b: b.task("conv", release=-1), "conv (task 0) has a negative release"),
    "late": (lambda b: b.task("conv", release=2**62 + 1), "conv (task 0) has a release beyond 2**62 ticks"),
    "sensitivity": (lambda b: b.task("conv", sensitivity=1.5), "conv (task 0) has a sensitivity outside"),
    "bytes": (lambda b: b.task("conv", bytes=-1.0), "conv (task 0) has bytes that are negative"),
    "finite bytes": (lambda b: b.task("conv", bytes=np.inf), "conv (task 0) has bytes"),
    "rate cap": (lambda b: b.task("conv", rate_cap=0.0), "conv (task 0) has a rate cap"),
    "weight": (lambda b: b.task("conv", weight=0), "conv (task 0) has a weight below 1"),
    "traffic class": (lambda b: b.task("conv", traffic_class=1), "conv (task 0) has a traffic class"),
    "sum of durations": (lambda b: b.tasks(3, duration=MAX_TICKS // 2), "more than 2**62 ticks"),
    "demand of a pool": (_demand("pool", 1), "conv (task 0) demands a resource that is no server"),
    "demand of nothing": (_demand("nothing", 1), "conv (task 0) demands a resource that does not exist"),
    "demand of 0 units": (_demand("core", 0), "conv (task 0) demands less than one unit"),
    "demand of too much": (_demand("core", 3), "conv (task 0) demands more units"),
    "demand twice": (_demand_twice, "conv (task 0) demands a server twice"),
    "crossing a server": (_crossing(1.0, kind="server"), "copy (task 0) crosses a resource that is no link"),
    "crossing at cost 0": (_crossing(0.0), "copy (task 0) crosses a link at a cost"),
    "arbiter at a cost": (_crossing(2.0, kind="arbiter"), "copy (task 0) crosses an arbiter and something else"),
    "arbiter and link": (_crossing_arbiter_and_link, "copy (task 0) crosses an arbiter and something else"),
    "lease of a server": (_lease(1, kind="server"), "lease 0 of pool 'pad' is not taken from a pool"),
    "negative lease": (_lease(-1), "lease 0 of pool 'pad' has a negative number"),
    "lease beyond the pool": (_lease(3), "lease 0 of pool 'pad' needs more units"),
    "lease without members": (_lease(1, member=False), "lease 0 of pool 'pad' has no member"),
    "leases that do not fit together": (_joint_leases, "tile (task 0) needs 4 units of pool 'scratchpad' at once"),
    "member of nothing": (lambda b: b.member(b.task("a"), 3), "a (task 0) is a member of a lease that does not exist"),
    "edge to nothing": (_edge_to(9), "a (task 0) has an edge to a task that does not exist"),
    "edge to itself": (_own_edge, "alone (task 0) waits for itself"),
    "cycle": (_cycle, "wait for one another: a (task 0), b (task 1), c (task 2)"),
    "change of a pool": (_change("pool", 1.0), "pool 'pad' has neither rate nor capacity"),
    "rate 0": (_change("server", 0.0), "'core' cannot be set to 0.0"),
    "arbiter at 0": (_change("arbiter", 0.0), "'hbm' cannot be set to 0.0"),
    "negative link": (_change("link", -1.0), "'bus' cannot be set to -1.0"),
    "endless rate": (_change("server", np.inf), "'core' cannot be set to inf"),
    "change of nothing": (_change("nothing", 1.0), "names resource 5, which does not exist"),
    "change before time": (_change("server", 1.0, tick=-1), "stands at tick -1"),
}


@pytest.mark.parametrize("rule", RULES)
def test_broken_rule_is_refused_with_a_name(rule: str) -> None:
    build, message = RULES[rule]
    builder = GraphBuilder()
    build(builder)
    with pytest.raises(InputError) as caught:
        builder.build()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


CALLS: dict[str, tuple[Breaker, str]] = {
    "column": (lambda b: b.tasks(1, colour=1), "no column 'colour'"),
    "float for integer": (lambda b: b.tasks(1, duration=1.5), "'duration' must be whole numbers"),
    "shape": (lambda b: b.tasks(3, duration=np.arange(2)), "has shape (2,) for 3 tasks"),
    "range": (lambda b: b.task(priority=2**40), "'priority' holds values that do not fit"),
    "labels": (lambda b: b.tasks(2, labels=["a"]), "1 labels for 2 tasks"),
}


@pytest.mark.parametrize("call", CALLS)
def test_wrong_column_is_refused_when_it_is_given(call: str) -> None:
    build, message = CALLS[call]
    with pytest.raises(InputError) as caught:
        build(GraphBuilder())
    assert message in str(caught.value)


@pytest.mark.parametrize("tick_s", [0.0, -1e-9, 2.0, float("nan")])
def test_tick_outside_0_to_1_s_is_refused(tick_s: float) -> None:
    with pytest.raises(InputError, match="tick"):
        GraphBuilder(tick_s=tick_s).build()


def test_edge_from_a_task_that_does_not_exist_is_refused() -> None:
    builder = GraphBuilder()
    builder.edge(4, builder.task())
    with pytest.raises(InputError, match="task 4 does not exist"):
        builder.build()
