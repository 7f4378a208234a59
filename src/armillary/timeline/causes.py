"""Why each task started when it did, and since when it could have.

In:  a `Trace`: cause (a task or -1), start and end per task, and the graph's edges, demands and leases.
Out: a `Cause` per task, and the tick at which its edges and its arrival had let it go.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import EdgeKind, IntArray, Ragged, SmallIntArray
from armillary.engine.trace import Trace


class Cause(IntEnum):
    """What let a task start."""

    NOT_STARTED = 0
    BEGIN = 1  # nothing: it started at tick 0
    DEPENDENCY = 2  # the end or start of a task before it
    RESOURCE = 3  # units of a server that a task gave back, or its turn in the queue
    LEASE = 4  # units of a pool that came back
    ARRIVAL = 5  # its release
    OUTSIDE = 6  # what a caller did at a stop: append or cancel


def classify(trace: Trace) -> npt.NDArray[np.uint8]:
    """Return the `Cause` of each task's start, shape (tasks,)."""
    graph, cause, start = trace.graph, trace.cause, trace.start
    kind = np.full(len(start), Cause.NOT_STARTED, np.uint8)
    started = start >= 0
    alone = started & (cause < 0)
    kind[alone] = np.where(start[alone] == graph.release[alone], Cause.ARRIVAL, Cause.OUTSIDE)
    kind[alone & (start == 0)] = Cause.BEGIN
    pushed = np.flatnonzero(started & (cause >= 0))
    by = cause[pushed].astype(np.int64)
    pool = Ragged(graph.members.offset, graph.leases.pool[graph.members.index], graph.members.value)
    kind[pushed] = Cause.OUTSIDE
    kind[pushed[_share(pool, pushed, by)]] = Cause.LEASE
    kind[pushed[_share(graph.demands, pushed, by)]] = Cause.RESOURCE
    kind[_by_edge(trace)] = Cause.DEPENDENCY
    # A cause that neither ended nor started then (never started, or ended before the task was appended) was not the
    # last.
    apart = (trace.end[by] != start[pushed]) & (start[by] != start[pushed])
    kind[pushed[apart]] = Cause.OUTSIDE
    return kind


def ready_ticks(trace: Trace) -> IntArray:
    """Return the latest of each task's release and of the ends and starts that its edges wait for, shape (tasks,).

    A task that was appended late, or freed by the cancelling of one that never started, was ready later than this says.
    """
    graph = trace.graph
    ready = graph.release.astype(np.int64)
    np.maximum.at(ready, graph.edges.index, _edge_tick(trace))
    return np.where(trace.start >= 0, np.minimum(ready, trace.start), ready)


def _edge_tick(trace: Trace) -> IntArray:
    """Tick at which each edge was satisfied, -1 if never or not known; shape (edges,)."""
    by_start = (trace.graph.edges.value & 1) == EdgeKind.START
    source = _sources(trace.graph.edges)
    return np.where(by_start, trace.start[source], trace.end[source])


def _by_edge(trace: Trace) -> IntArray:
    """Tasks whose cause is the source of an edge that was satisfied at their start."""
    edges, source = trace.graph.edges, _sources(trace.graph.edges)
    in_time = (_edge_tick(trace) == trace.start[edges.index]) & (trace.start[edges.index] >= 0)
    tasks: IntArray = edges.index[(trace.cause[edges.index] == source) & in_time].astype(np.int64)
    return tasks


def _sources(edges: Ragged) -> SmallIntArray:
    return np.repeat(np.arange(len(edges.offset) - 1, dtype=np.int32), np.diff(edges.offset))


def _share(lists: Ragged, task: IntArray, other: IntArray) -> npt.NDArray[np.bool_]:
    """Tell for each pair of tasks whether their rows of `lists` have an entry in common."""
    width = int(lists.index.max(initial=0)) + 1
    keys = np.sort(_sources(lists).astype(np.int64) * width + lists.index)
    lengths = np.diff(lists.offset)[task]
    pair = np.repeat(np.arange(len(task)), lengths)
    first = np.repeat(lists.offset[task] - np.cumsum(lengths) + lengths, lengths)
    entry = lists.index[first + np.arange(len(pair))]
    wanted = other[pair] * width + entry
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    shared = np.zeros(len(task), np.bool_)
    if len(keys):
        shared[pair[keys[place] == wanted]] = True
    return shared
