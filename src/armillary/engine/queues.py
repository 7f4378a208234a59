"""Queues of ready tasks at resources: FIFO lists, or skew heaps where priorities differ.

In:  ENTRY records (one a task and resource) and the RESOURCE they queue at. Out: the first entry that still waits.
Both orders are (priority, ready round, id). Entries that no longer wait (`waiting == 0`) are passed over when they come first.
"""

from __future__ import annotations

from typing import Any

from armillary.engine._jit import njit, wide
from armillary.engine.records import DIRTY


@njit(inner=True, inline=True)
def comes_before(tasks: Any, one: int, other: int) -> bool:
    """Whether task `one` has the smaller key."""
    a, b = tasks[one], tasks[other]
    if a["priority"] != b["priority"]:
        return bool(a["priority"] < b["priority"])
    if a["ready"] != b["ready"]:
        return bool(a["ready"] < b["ready"])
    return one < other


@njit(inner=True, inline=True)
def enqueue(entries: Any, tasks: Any, resource: Any, entry: int, by_priority: bool) -> None:
    """Let `entry` wait at `resource` (one record)."""
    entries[entry]["waiting"] = 1
    entries[entry]["next"] = -1
    resource["queued"] += 1
    if by_priority:
        entries[entry]["right"] = -1
        resource["head"] = merge(entries, tasks, wide(resource["head"]), entry)
    elif resource["head"] < 0:
        resource["head"] = entry
        resource["tail"] = entry
    else:
        entries[resource["tail"]]["next"] = entry
        resource["tail"] = entry


@njit(inner=True, inline=True)
def first_waiting(entries: Any, tasks: Any, resource: Any, by_priority: bool) -> int:
    """Return the first entry that waits at `resource`, or -1; drops those before it that no longer do."""
    entry = wide(resource["head"])
    while entry >= 0 and entries[entry]["waiting"] == 0:
        if by_priority:
            entry = merge(entries, tasks, wide(entries[entry]["next"]), wide(entries[entry]["right"]))
        else:
            entry = wide(entries[entry]["next"])
        resource["head"] = entry
    return entry


@njit(inner=True, inline=True)
def merge(entries: Any, tasks: Any, one: int, other: int) -> int:
    """Merge two skew heaps of entries (`next` is the left child) and return the root."""
    if one < 0:
        return other
    if other < 0:
        return one
    if comes_before(tasks, wide(entries[other]["task"]), wide(entries[one]["task"])):
        one, other = other, one
    root = one
    while True:
        # Descend the right spine of the smaller root and swap its children on the way: that keeps the heap balanced.
        rest = wide(entries[one]["right"])
        entries[one]["right"] = entries[one]["next"]
        if rest < 0:
            entries[one]["next"] = other
            return root
        if comes_before(tasks, wide(entries[other]["task"]), wide(entries[rest]["task"])):
            rest, other = other, rest
        entries[one]["next"] = rest
        one = rest


@njit(inner=True, inline=True)
def mark_dirty(clock: Any, dirty: Any, resource: Any, index: int) -> None:
    """Have dispatch look at a resource whose room or queue has changed."""
    if resource["dirty"] == 0:
        resource["dirty"] = 1
        dirty[clock[DIRTY]] = index
        clock[DIRTY] += 1
