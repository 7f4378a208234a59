"""Queues of ready tasks at resources: FIFO lists, or skew heaps where priorities differ.

In:  ENTRY records (one a task and resource) and the RESOURCE they queue at. Out: the first entry that still waits.
Both orders are (priority, ready round, id). Entries that no longer wait (`waits` 0) are passed over.
"""

from __future__ import annotations

from typing import Any

from armillary.engine._jit import njit, wide
from armillary.engine.records import DIRTY


@njit(inner=True)
def comes_before(s: Any, one: int, other: int) -> bool:
    """Whether task `one` has the smaller key."""
    a, b = s.order[one], s.order[other]
    if a["priority"] != b["priority"]:
        return bool(a["priority"] < b["priority"])
    if a["ready"] != b["ready"]:
        return bool(a["ready"] < b["ready"])
    return one < other


@njit(inner=True)
def enqueue(s: Any, resource: Any, entry: int, by_priority: bool) -> None:
    """Let `entry` wait at `resource` (one record)."""
    s.waits[entry] = 1
    s.entries[entry]["next"] = -1
    resource["queued"] += 1
    if by_priority:
        s.rights[entry] = -1
        resource["head"] = merge(s, wide(resource["head"]), entry)
    elif resource["head"] < 0:
        resource["head"] = entry
        resource["tail"] = entry
    else:
        s.entries[resource["tail"]]["next"] = entry
        resource["tail"] = entry


@njit(inner=True, inline=True)
def first_waiting(s: Any, resource: Any, by_priority: bool) -> int:
    """Return the first entry that waits at `resource`, or -1; drops those before it that no longer do."""
    entry = wide(resource["head"])
    while entry >= 0 and s.waits[entry] == 0:
        if by_priority:
            entry = merge(s, wide(s.entries[entry]["next"]), wide(s.rights[entry]))
        else:
            entry = wide(s.entries[entry]["next"])
        resource["head"] = entry
    return entry


@njit(inner=True)
def merge(s: Any, one: int, other: int) -> int:
    """Merge two skew heaps of entries (`next` is the left child) and return the root."""
    entries = s.entries
    if one < 0:
        return other
    if other < 0:
        return one
    if comes_before(s, wide(entries[other]["task"]), wide(entries[one]["task"])):
        one, other = other, one
    root = one
    while True:
        # Descend the right spine of the smaller root and swap its children on the way: that keeps the heap balanced.
        rest = wide(s.rights[one])
        s.rights[one] = entries[one]["next"]
        if rest < 0:
            entries[one]["next"] = other
            return root
        if comes_before(s, wide(entries[other]["task"]), wide(entries[rest]["task"])):
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
