"""Appending to a run: the memory of a longer graph, with everything that has happened carried over.

In:  the graph and `State` of a run at a stop, what is added.
Out: the joined graph, its `State`, and the new tasks that a cancelled one takes with it.
Costs one pass over the whole graph; append in batches.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from armillary.engine import records as at
from armillary.engine.graph import EdgeKind, GraphBuilder, TaskGraph
from armillary.engine.joined import Edge, joined
from armillary.engine.records import State, general_links, lay_out
from armillary.engine.trace import Status
from armillary.errors import InputError


def carried_over(
    graph: TaskGraph, old: State, more: TaskGraph | GraphBuilder, edges: Iterable[Edge]
) -> tuple[TaskGraph, State, list[int]]:
    """Return (joined graph, its state, new tasks to cancel).

    Raises:
        InputError: a rule of the graph is broken, or a link that runs as a simple one would become general.
    """
    whole = joined(graph, more.freeze() if isinstance(more, GraphBuilder) else more, edges)
    _check_links(graph, whole, old)
    new = lay_out(whole)
    for name in ("tasks", "work", "order", "leases", "flows", "train"):
        _copy_rows(
            getattr(old, name),
            getattr(new, name),
            len(getattr(old, name)) - 1,
            keep=("entry", "edge", "member", "cross"),
        )
    for name in ("entries", "rights", "waits", "crosses", "resources", "arbiters", "traffic", "quanta"):
        source = getattr(old, name)
        getattr(new, name)[: len(source)] = source
    for name in ("dirty", "started", "touched", "returned", "trains", "waiting", "ready"):
        source = getattr(old, name)
        getattr(new, name)[: len(source)] = source
    _copy_links(old, new)
    for name in ("ticks", "keys"):
        getattr(new, name)[: old.clock[at.HEAP]] = getattr(old, name)[: old.clock[at.HEAP]]
    mode = new.clock[at.MODE]
    new.clock[:] = old.clock
    new.clock[at.LEFT] += len(whole) - len(graph)
    if (whole.edges.value & 1).any():
        new.clock[at.TRACK] |= 2
    if mode == at.QUEUE_PRIORITY and old.clock[at.MODE] == at.QUEUE_FIFO:
        new.clock[at.MODE] = mode
        from armillary.engine._state_type import table_of
        from armillary.engine.entries_stops import requeue_all

        requeue_all(table_of(new))
    new = new._replace(steps=old.steps, policy_state=old.policy_state)
    new = _with_arrivals(whole, len(graph), old, new)
    return whole, new, _settle_edges(whole, len(graph), old, new)


def _check_links(graph: TaskGraph, whole: TaskGraph, old: State) -> None:
    crossed = np.zeros(len(graph.resources), np.bool_)
    crossed[old.crosses["link"]] = True
    turned = crossed & general_links(whole) & ~general_links(graph)
    if turned.any():
        name = whole.resources.names[int(np.argmax(turned))]
        raise InputError(f"the appended tasks would make {name!r} a general link, it runs as a simple one")


def _copy_rows(source: at.Array, target: at.Array, rows: int, keep: tuple[str, ...]) -> None:
    """Copy records except the offsets of the new layout."""
    for name in source.dtype.names or ():
        if name not in keep:
            target[name][:rows] = source[name][:rows]


def _copy_links(old: State, new: State) -> None:
    for name in old.links.dtype.names or ():
        if name not in ("heap", "general"):
            new.links[name] = old.links[name]
    for index in np.flatnonzero(old.links["general"] == 0).tolist():
        here, there, flows = old.links[index]["heap"], new.links[index]["heap"], old.links[index]["flows"]
        new.sharing[there : there + flows] = old.sharing[here : here + flows]


def _with_arrivals(whole: TaskGraph, first: int, old: State, new: State) -> State:
    """Keep what has not arrived; a new task whose release has passed does not wait for it."""
    now = int(old.clock[at.NOW])
    coming = np.arange(first, len(whole))[whole.release[first:] > now]
    passed = np.arange(first, len(whole))[(whole.release[first:] > 0) & (whole.release[first:] <= now)]
    new.tasks["waiting"][passed] -= 1
    left = old.arrivals[old.clock[at.ARRIVED] :]
    arrivals = np.zeros(len(left) + len(coming), at.EVENT)
    arrivals["tick"] = np.concatenate([left["tick"], whole.release[coming]])
    arrivals["key"] = np.concatenate([left["key"], coming])
    new.clock[at.ARRIVED] = 0
    return new._replace(arrivals=arrivals[np.lexsort((arrivals["key"], arrivals["tick"]))])


def _settle_edges(whole: TaskGraph, first: int, old: State, new: State) -> list[int]:
    """Satisfy edges from tasks that have ended or started; return the new tasks that a cancelled one takes with it."""
    sources = np.repeat(np.arange(len(whole)), np.diff(whole.edges.offset))
    crossing = np.flatnonzero((sources < first) & (whole.edges.index >= first))
    started = set(old.started[: old.clock[at.STARTED]].tolist())
    doomed = []
    for place in crossing.tolist():
        source, target, flags = int(sources[place]), int(whole.edges.index[place]), int(whole.edges.value[place])
        status = Status(int(old.tasks[source]["status"]))
        if status == Status.CANCELLED and not flags & 2:
            doomed.append(target)
        elif not (
            status >= Status.DONE
            or (flags & 1 == EdgeKind.START and old.tasks[source]["start"] >= 0 and source not in started)
        ):
            continue
        new.tasks[target]["waiting"] -= 1
    for task in range(first, len(whole)):
        if new.tasks[task]["waiting"] == 0:
            new.ready[new.clock[at.READY]] = task
            new.clock[at.READY] += 1
    return doomed
