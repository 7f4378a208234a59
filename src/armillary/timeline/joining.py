"""From a trace to a timeline: join what happened with what the graph knows.

In:  a `Trace`. Out: a `Timeline`; names that no task uses are left out, the others stand in order of first use.
"""

from __future__ import annotations

import numpy as np

from armillary.engine.graph import FloatArray, Ragged, ResourceKind, SmallIntArray, TaskGraph
from armillary.engine.trace import Status, Trace
from armillary.timeline.causes import classify, ready_ticks
from armillary.timeline.timeline import LeaseSpans, ResourceTable, Timeline


def join(trace: Trace) -> Timeline:
    """Return the timeline of `trace`."""
    graph = trace.graph
    kinds, kind = _used_names(graph.kinds, graph.kind)
    labels, label = _used_names(graph.labels, graph.label)
    return Timeline(
        tick_s=graph.tick_s,
        reason=trace.reason,
        now=trace.now,
        resources=ResourceTable(
            graph.resources.names, graph.resources.kind, graph.resources.units, graph.resources.capacity
        ),
        kinds=kinds,
        labels=labels,
        start=trace.start,
        end=trace.end,
        ready=ready_ticks(trace),
        cause=trace.cause,
        cause_kind=classify(trace),
        status=trace.status,
        kind=kind,
        label=label,
        latency=graph.latency,
        duration=graph.duration,
        bytes=graph.bytes,
        energy_fj=graph.energy_fj,
        demands=graph.demands,
        crossings=Ragged(graph.crossings.offset, graph.crossings.index, _cost_per_byte(graph)),
        leases=_lease_spans(trace),
        rate_steps=trace.rate_steps,
    )


def _used_names(names: tuple[str, ...], index: SmallIntArray) -> tuple[tuple[str, ...], SmallIntArray]:
    """Drop names without a task and order the rest by first use."""
    first = np.full(len(names), len(index), np.int64)
    first[index[::-1]] = np.arange(len(index))[::-1]  # of equal places, the last write stays: the first use
    order = np.argsort(first, kind="stable")[: int(np.count_nonzero(first < len(index)))]
    place = np.zeros(len(names), np.int32)
    place[order] = np.arange(len(order))
    return tuple(names[old] for old in order.tolist()), place[index]


def _cost_per_byte(graph: TaskGraph) -> FloatArray:
    task = np.repeat(np.arange(len(graph)), np.diff(graph.crossings.offset))
    resource = graph.crossings.index
    by_class = graph.resources.class_cost[resource, graph.traffic_class[task]]
    at_arbiter = graph.resources.kind[resource] == ResourceKind.ARBITER
    return np.where(at_arbiter, graph.crossings.value * by_class, graph.crossings.value)


def _lease_spans(trace: Trace) -> LeaseSpans:
    """From the first start of a member to the last end (or start), passing over members cancelled before a start."""
    graph, count = trace.graph, len(trace.graph.leases)
    lease = graph.members.index
    member = np.repeat(np.arange(len(graph), dtype=np.int32), np.diff(graph.members.offset))
    status, never = trace.status[member], trace.start[member] < 0
    over = np.where(graph.leases.until_start[lease], trace.start[member], trace.end[member])
    over = np.where((over < 0) & ~(never & (status == Status.CANCELLED)), trace.now, over)
    end = np.full(count, -1, np.int64)
    np.maximum.at(end, lease, over)
    start = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(start, lease[~never], trace.start[member[~never]])
    task = np.full(count, len(graph), np.int32)
    opens = ~never & (trace.start[member] == start[lease])
    np.minimum.at(task, lease[opens], member[opens])
    taken = np.flatnonzero(task < len(graph))
    taken = taken[np.argsort(task[taken], kind="stable")]
    return LeaseSpans(task[taken], graph.leases.pool[taken], graph.leases.units[taken], start[taken], end[taken])
