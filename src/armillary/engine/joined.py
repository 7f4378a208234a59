"""A running graph and more of it, as one graph: what `append` plays on with.

In:  the graph so far; tasks, leases and edges to add (local ids); edges from and to any task (global ids).
Out: one validated `TaskGraph`: old ids stay, new task and lease ids follow; resources and timed changes stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.engine.columns import TASK_COLUMNS
from armillary.engine.graph import Leases, Ragged, TaskGraph
from armillary.engine.validate import validate
from armillary.errors import InputError

# (source, target, EdgeKind + 2 * keep), task ids of the joined graph.
Edge = tuple[int, int, int]


def joined(graph: TaskGraph, more: TaskGraph, edges: Iterable[Edge] = ()) -> TaskGraph:
    """Return `graph` with the tasks, leases and edges of `more` after its own.

    Args:
        graph: what runs already.
        more: unchecked columns (`GraphBuilder.freeze`); its resource indices are those of `graph`.
        edges: (source, target, EdgeKind + 2 * keep) in ids of the joined graph; the target is a new task.

    Raises:
        InputError: `more` has timed changes, an edge leads to an old task, or a rule of the graph is broken.
    """
    old = len(graph)
    if len(more.changes.tick):
        raise InputError(
            "an appended graph has timed changes", hint="put them into the first graph, or set rates at a stop"
        )
    extra = np.array(list(edges), np.int64).reshape(-1, 3)
    for source, target, _ in extra.tolist():
        if not (0 <= source < old + len(more) and old <= target < old + len(more)):
            raise InputError(
                f"an appended edge leads from task {source} to task {target}",
                hint=f"targets are new tasks: {old} to {old + len(more) - 1}",
            )
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(graph, name), getattr(more, name)]) for name in TASK_COLUMNS
    }
    return validate(
        replace(
            graph,
            leases=Leases(
                pool=np.concatenate([graph.leases.pool, more.leases.pool]),
                units=np.concatenate([graph.leases.units, more.leases.units]),
                until_start=np.concatenate([graph.leases.until_start, more.leases.until_start]),
            ),
            demands=_stacked(graph.demands, more.demands),
            crossings=_stacked(graph.crossings, more.crossings),
            members=_stacked(graph.members, _shifted(more.members, len(graph.leases))),
            edges=_with_rows(_stacked(graph.edges, _shifted(more.edges, old)), extra),
            **columns,
            **_named(graph, more, "kind", "kinds"),
            **_named(graph, more, "label", "labels"),
        )
    )


def _stacked(first: Ragged, second: Ragged) -> Ragged:
    offset = np.concatenate([first.offset, first.offset[-1] + second.offset[1:]])
    return Ragged(
        offset.astype(np.int32),
        np.concatenate([first.index, second.index]),
        np.concatenate([first.value, second.value]),
    )


def _shifted(ragged: Ragged, by: int) -> Ragged:
    return Ragged(ragged.offset, (ragged.index + by).astype(np.int32), ragged.value)


def _with_rows(ragged: Ragged, extra: npt.NDArray[np.int64]) -> Ragged:
    """Add entries (row, index, value) at the end of their rows."""
    rows = len(ragged.offset) - 1
    row = np.concatenate([np.repeat(np.arange(rows), np.diff(ragged.offset)), extra[:, 0]])
    order = np.argsort(row, kind="stable")
    offset = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=offset[1:])
    return Ragged(
        offset.astype(np.int32),
        np.concatenate([ragged.index, extra[:, 1]])[order].astype(np.int32),
        np.concatenate([ragged.value, extra[:, 2]])[order].astype(ragged.value.dtype),
    )


def _named(graph: TaskGraph, more: TaskGraph, column: str, names: str) -> dict[str, Any]:
    """Join a column of indices into a tuple of names, equal names sharing one index."""
    table = {name: index for index, name in enumerate(getattr(graph, names))}
    indices = [table.setdefault(name, len(table)) for name in getattr(more, names)]
    moved = np.array(indices, np.int32)[getattr(more, column)]
    return {column: np.concatenate([getattr(graph, column), moved]), names: tuple(table)}
