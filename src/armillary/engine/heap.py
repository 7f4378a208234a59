"""The pending-event set of the kernels: a binary heap of (tick, key) records in an array.

In:  an EVENT array and its size in `clock[HEAP]`. Out: events in ascending (tick, key).
Events are never removed early: one that no longer matches what its owner has scheduled is passed over, and swept when many are stale.
"""

from __future__ import annotations

import math
from typing import Any

from armillary.engine._jit import njit, wide
from armillary.engine.records import HEAP, NEVER


@njit(inner=True)
def push(events: Any, clock: Any, tick: int, key: int) -> None:
    """Add an event."""
    at = clock[HEAP]
    clock[HEAP] = at + 1
    while at > 0:
        parent = (at - 1) >> 1
        above = events[parent]
        if above["tick"] < tick or (above["tick"] == tick and above["key"] <= key):
            break
        events[at]["tick"] = above["tick"]
        events[at]["key"] = above["key"]
        at = parent
    events[at]["tick"] = tick
    events[at]["key"] = key


@njit(inner=True)
def pop(events: Any, clock: Any) -> None:
    """Remove the first event."""
    size = clock[HEAP] - 1
    clock[HEAP] = size
    sift_down(events, size, wide(0), events[size]["tick"], events[size]["key"])


@njit(inner=True)
def sift_down(events: Any, size: int, at: int, tick: int, key: int) -> None:
    """Place (tick, key) at the hole `at` or below it, in a heap of `size` events."""
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        below = events[child]
        if child + 1 < size:
            other = events[child + 1]
            if other["tick"] < below["tick"] or (other["tick"] == below["tick"] and other["key"] < below["key"]):
                child += 1
                below = other
        if tick < below["tick"] or (tick == below["tick"] and key <= below["key"]):
            break
        events[at]["tick"] = below["tick"]
        events[at]["key"] = below["key"]
        at = child
    events[at]["tick"] = tick
    events[at]["key"] = key


@njit(inner=True)
def heapify(events: Any, size: int) -> None:
    """Make the first `size` events a heap again."""
    for at in range(size // 2 - 1, -1, -1):
        sift_down(events, size, at, events[at]["tick"], events[at]["key"])


@njit(inner=True)
def sort_ids(ids: Any, count: int) -> None:
    """Sort the first `count` ids ascending: insertion for the usual short or ordered list, with Shell's gaps before it for long ones."""
    gap = 1
    while gap < count // 16:
        gap = 3 * gap + 1
    while gap > 0:
        for place in range(gap, count):
            value = ids[place]
            at = place
            while at >= gap and ids[at - gap] > value:
                ids[at] = ids[at - gap]
                at -= gap
            ids[at] = value
        gap //= 3


@njit(inner=True)
def add_ticks(now: int, ticks: float) -> int:
    """Return `now + ceil(ticks)`; NEVER where that would not fit (compared as float, before the cast)."""
    if not ticks < 4.6e18 - now:
        return NEVER
    return now + int(math.ceil(ticks))
