"""Checks of a task graph before time runs: every rule of docs/engine.md that needs no clock.

In:  a `TaskGraph` as the builder froze it. Out: the same graph, or `InputError` naming the task or resource at fault.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import Ragged, ResourceKind, Resources, TaskGraph
from armillary.errors import InputError
from armillary.units import MAX_TICKS


def validate(graph: TaskGraph) -> TaskGraph:
    """Return `graph` if every rule holds.

    Raises:
        InputError: the first rule that is broken, with the name of the task or resource and what would be right.
    """
    _check_resources(graph)
    _check_columns(graph)
    _check_lists(graph)
    _check_leases(graph)
    _check_changes(graph)
    _check_cycles(graph)
    return graph


def _check_resources(graph: TaskGraph) -> None:
    resources = graph.resources
    if not 0.0 < graph.tick_s <= 1.0:
        raise InputError(f"a tick of {graph.tick_s!r} s is not usable", hint="use 1e-12 (picoseconds) or 1e-9")
    if len(set(resources.names)) != len(resources.names):
        twice = next(name for name in resources.names if resources.names.count(name) > 1)
        raise InputError(f"two resources are called {twice!r}")
    is_server, is_pool = resources.kind == ResourceKind.SERVER, resources.kind == ResourceKind.POOL
    is_arbiter = resources.kind == ResourceKind.ARBITER
    rules: list[tuple[npt.NDArray[np.bool_], str]] = [
        (
            is_server & ((resources.units < 1) | (resources.units >= 2**31)),
            "needs at least one unit and fewer than 2**31",
        ),
        (is_pool & (resources.units < 0), "has a negative number of units"),
        (
            ~(np.isfinite(resources.capacity) & (resources.capacity >= 0)),
            "has a capacity that is negative or not finite",
        ),
        (is_arbiter & (resources.capacity <= 0), "needs a capacity above 0"),
        (
            is_arbiter & ~(np.isfinite(resources.quantum_bytes) & (resources.quantum_bytes > 0)),
            "needs quantum_bytes above 0",
        ),
        (is_arbiter & (resources.depth < 1), "needs a depth of at least 1"),
        (is_arbiter & (resources.threshold < 1), "needs a threshold of at least 1"),
        (is_arbiter & (resources.age_limit < 0), "has a negative age limit"),
        (
            is_arbiter & ~np.all(np.isfinite(resources.class_cost) & (resources.class_cost > 0), axis=1),
            "needs class costs above 0",
        ),
    ]
    for broken, why in rules:
        if broken.any():
            raise InputError(f"resource {resources.names[int(np.argmax(broken))]!r} {why}")


def _check_columns(graph: TaskGraph) -> None:
    rules: list[tuple[npt.NDArray[np.bool_], str]] = [
        (graph.duration < 0, "has a negative duration"),
        (graph.latency < 0, "has a negative latency"),
        (graph.release < 0, "has a negative release"),
        (graph.release > MAX_TICKS, "has a release beyond 2**62 ticks"),
        (~((graph.sensitivity >= 0) & (graph.sensitivity <= 1)), "has a sensitivity outside 0..1"),
        (~(np.isfinite(graph.bytes) & (graph.bytes >= 0)), "has bytes that are negative or not finite"),
        (~(graph.rate_cap > 0), "has a rate cap that is not above 0"),
        (graph.weight < 1, "has a weight below 1"),
        (
            (graph.traffic_class < 0) | (graph.traffic_class >= graph.resources.class_cost.shape[1]),
            "has a traffic class without a cost",
        ),
    ]
    for broken, why in rules:
        if broken.any():
            raise InputError(f"{graph.task_name(int(np.argmax(broken)))} {why}")
    if float(graph.duration.sum(dtype=np.float64)) + float(graph.latency.sum(dtype=np.float64)) >= MAX_TICKS:
        raise InputError("durations and latencies add up to more than 2**62 ticks", hint="use a longer tick")


def _owner(ragged: Ragged, broken: npt.NDArray[Any]) -> int:
    return int(np.searchsorted(ragged.offset, int(np.argmax(broken)), side="right")) - 1


def _refuse(graph: TaskGraph, ragged: Ragged, broken: npt.NDArray[Any], why: str) -> None:
    if broken.any():
        raise InputError(f"{graph.task_name(_owner(ragged, broken))} {why}")


def _check_lists(graph: TaskGraph) -> None:
    resources, count = graph.resources, len(graph.resources)
    for ragged, limit, what in (
        (graph.demands, count, "demands a resource"),
        (graph.crossings, count, "crosses a resource"),
        (graph.members, len(graph.leases), "is a member of a lease"),
        (graph.edges, len(graph), "has an edge to a task"),
    ):
        _refuse(graph, ragged, (ragged.index < 0) | (ragged.index >= limit), f"{what} that does not exist")
    demanded, crossed = resources.kind[graph.demands.index], resources.kind[graph.crossings.index]
    _refuse(graph, graph.demands, demanded != ResourceKind.SERVER, "demands a resource that is no server")
    _refuse(graph, graph.demands, graph.demands.value < 1, "demands less than one unit")
    _refuse(
        graph,
        graph.demands,
        graph.demands.value > resources.units[graph.demands.index],
        "demands more units than the server has",
    )
    crossable = (crossed == ResourceKind.LINK) | (crossed == ResourceKind.ARBITER)
    _refuse(graph, graph.crossings, ~crossable, "crosses a resource that is no link or arbiter")
    cost = graph.crossings.value
    _refuse(graph, graph.crossings, ~(np.isfinite(cost) & (cost > 0)), "crosses a link at a cost that is not above 0")
    lengths = np.diff(graph.crossings.offset)
    alone = np.repeat(lengths == 1, lengths)
    _refuse(
        graph,
        graph.crossings,
        (crossed == ResourceKind.ARBITER) & (~alone | (cost != 1.0)),
        "crosses an arbiter and something else, or at a cost",
    )
    for ragged, what in (
        (graph.demands, "demands a server"),
        (graph.crossings, "crosses a link"),
        (graph.members, "joins a lease"),
    ):
        _refuse(graph, ragged, _repeated(ragged), f"{what} twice")


def _repeated(ragged: Ragged) -> npt.NDArray[np.bool_]:
    """Mark entries that stand twice in one row."""
    row = np.repeat(np.arange(len(ragged.offset) - 1), np.diff(ragged.offset))
    order = np.lexsort((ragged.index, row))
    same = (row[order][1:] == row[order][:-1]) & (ragged.index[order][1:] == ragged.index[order][:-1])
    marked = np.zeros(len(row), np.bool_)
    marked[order[1:][same]] = True
    return marked


def _check_leases(graph: TaskGraph) -> None:
    leases, resources = graph.leases, graph.resources
    if not len(leases):
        return
    members = np.bincount(graph.members.index, minlength=len(leases))
    inside = (leases.pool >= 0) & (leases.pool < len(resources))
    pool = np.where(inside, leases.pool, 0)
    rules: list[tuple[npt.NDArray[np.bool_], str]] = [
        (~inside | (resources.kind[pool] != ResourceKind.POOL), "is not taken from a pool"),
        (leases.units < 0, "has a negative number of units"),
        (leases.units > resources.units[pool], "needs more units than its pool has"),
        (members == 0, "has no member"),
    ]
    for broken, why in rules:
        if broken.any():
            lease = int(np.argmax(broken))
            name = resources.names[int(leases.pool[lease])] if inside[lease] else "?"
            raise InputError(f"lease {lease} of pool {name!r} {why}")
    _check_joint_leases(graph)


def _check_joint_leases(graph: TaskGraph) -> None:
    """A task takes all its untaken leases at once: together they must fit in each pool."""
    row = np.repeat(np.arange(len(graph)), np.diff(graph.members.offset))
    pool = graph.leases.pool[graph.members.index].astype(np.int64)
    key, inverse = np.unique(row * len(graph.resources) + pool, return_inverse=True)
    need = np.zeros(len(key), np.int64)
    np.add.at(need, inverse, graph.leases.units[graph.members.index])
    over = need > graph.resources.units[key % len(graph.resources)]
    if over.any():
        worst = int(np.argmax(over))
        task, place = divmod(int(key[worst]), len(graph.resources))
        raise InputError(
            f"{graph.task_name(task)} needs {int(need[worst])} units of pool {graph.resources.names[place]!r} at once, "
            f"which has {int(graph.resources.units[place])}"
        )


def _check_changes(graph: TaskGraph) -> None:
    changes, resources = graph.changes, graph.resources
    for tick, resource, value in zip(
        changes.tick.tolist(), changes.resource.tolist(), changes.value.tolist(), strict=True
    ):
        if not 0 <= resource < len(resources):
            raise InputError(f"a timed change names resource {resource}, which does not exist")
        if not 0 <= tick <= MAX_TICKS:
            raise InputError(
                f"a timed change of {resources.names[resource]!r} stands at tick {tick}", hint="use 0 to 2**62"
            )
        check_change(resources.names[resource], ResourceKind(int(resources.kind[resource])), value)


def check_change(name: str, kind: ResourceKind, value: float) -> None:
    """Refuse a rate factor or capacity that the resource cannot take.

    Raises:
        InputError: a pool; a factor or arbiter capacity not above 0; a negative link capacity; not finite.
    """
    if kind == ResourceKind.POOL:
        raise InputError(f"pool {name!r} has neither rate nor capacity to change")
    lowest_allowed = value >= 0 if kind == ResourceKind.LINK else value > 0
    if not (np.isfinite(value) and lowest_allowed):
        raise InputError(f"{name!r} cannot be set to {value!r}", hint="use a finite value above 0")


def check_settable(resources: Resources, resource: int, value: float, *, rate: bool) -> None:
    """Refuse a rate factor (`rate`) or a capacity that is to be set at a stop.

    Raises:
        InputError: no such resource, one of another kind, or a value that it cannot take.
    """
    if not 0 <= resource < len(resources):
        raise InputError(f"resource {resource} does not exist", hint=f"there are {len(resources)} resources")
    name, kind = resources.names[resource], ResourceKind(int(resources.kind[resource]))
    check_change(name, kind, value)
    if rate and kind != ResourceKind.SERVER:
        raise InputError(f"{name!r} has no rate to set", hint="use set_capacity for links and arbiters")
    if not rate and kind == ResourceKind.SERVER:
        raise InputError(f"{name!r} has no capacity to set", hint="use set_rate for servers")


def _check_cycles(graph: TaskGraph) -> None:
    """Peel off tasks without open predecessors, level by level; what remains lies on or behind a cycle."""
    if bool(np.all(np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset)) < graph.edges.index)):
        return  # ids ascend along every edge, as planners emit them
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    matrix = csr_array(
        (np.ones(len(graph.edges.index), np.int8), graph.edges.index, graph.edges.offset),
        shape=(len(graph), len(graph)),
    )
    count, component = connected_components(matrix, directed=True, connection="strong")
    if count == len(graph):
        source = np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset))
        own = source == graph.edges.index
        if not own.any():
            return
        raise InputError(
            f"{graph.task_name(int(source[np.argmax(own)]))} waits for itself", hint="remove one of its edges"
        )
    crowded = int(np.argmax(np.bincount(component)))
    names = [graph.task_name(int(task)) for task in np.flatnonzero(component == crowded)[:3]]
    raise InputError(
        f"these tasks wait for one another: {', '.join(names)}", hint="remove one of the edges between them"
    )
