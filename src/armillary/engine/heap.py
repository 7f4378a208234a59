"""The pending-event set of the kernels: a binary heap of (tick, key).

In:  `State` (`ticks`, `keys`, and the size in `clock[HEAP]`). Out: events in ascending (tick, key).
Events are never removed early: one that its owner has scheduled anew is passed over (engine/events.py).
Two arrays, not one of records: copying 16 bytes that were written as two halves stalls the processor at every level.
"""

from __future__ import annotations

import math
from typing import Any

from armillary.engine._jit import njit, wide
from armillary.engine.records import HEAP, HOLE, NEVER


@njit(inner=True, inline=True)
def push(s: Any, tick: int, key: int) -> None:
    """Add an event; into the hole that `take` left, if there is one."""
    clock, ticks, keys = s.clock, s.ticks, s.keys
    if clock[HOLE] != 0:
        clock[HOLE] = 0
        sift_down(s, clock[HEAP], wide(0), tick, key)
        return
    at = clock[HEAP]
    clock[HEAP] = at + 1
    while at > 0:
        parent = (at - 1) >> 1
        if ticks[parent] < tick or (ticks[parent] == tick and keys[parent] <= key):
            break
        ticks[at], keys[at] = ticks[parent], keys[parent]
        at = parent
    ticks[at], keys[at] = tick, key


@njit(inner=True, inline=True)
def take(s: Any) -> None:
    """Remove the first event but leave its place open: whatever starts next fills it, with one walk down, not two."""
    s.clock[HOLE] = 1


@njit(inner=True, inline=True)
def close(s: Any) -> None:
    """Close the hole that `take` left, before the first event is looked at."""
    if s.clock[HOLE] != 0:
        s.clock[HOLE] = 0
        size = s.clock[HEAP] - 1
        s.clock[HEAP] = size
        sift_down(s, size, wide(0), s.ticks[size], s.keys[size])


@njit(inner=True, inline=True)
def is_due(s: Any, now: int) -> bool:
    """Whether the first event is due at `now`, none being earlier; closes the hole only if it must."""
    size, ticks = s.clock[HEAP], s.ticks
    if s.clock[HOLE] != 0:
        if not ((size > 1 and ticks[1] == now) or (size > 2 and ticks[2] == now)):
            return False
        close(s)
        return True
    return bool(size > 0 and ticks[0] == now)


@njit(inner=True, inline=True)
def sift_down(s: Any, size: int, at: int, tick: int, key: int) -> None:
    """Place (tick, key) at the hole `at` or below it, in a heap of `size` events."""
    ticks, keys = s.ticks, s.keys
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        # Which child is smaller is a coin toss: arithmetic instead of a branch that is mispredicted half of the time.
        other = min(child + 1, size - 1)
        smaller = (ticks[other] < ticks[child]) | ((ticks[other] == ticks[child]) & (keys[other] < keys[child]))
        child += smaller * (other - child)
        below = ticks[child]
        if tick < below or (tick == below and key <= keys[child]):
            break
        ticks[at], keys[at] = below, keys[child]
        at = child
    ticks[at], keys[at] = tick, key


@njit(inner=True)
def heapify(s: Any, size: int) -> None:
    """Make the first `size` events a heap again."""
    for at in range(size // 2 - 1, -1, -1):
        sift_down(s, size, at, s.ticks[at], s.keys[at])


@njit(inner=True, inline=True)
def sort_ids(ids: Any, count: int) -> None:
    """Sort the first `count` ids ascending: by insertion, after Shell's gaps where the list is long."""
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
    return now + math.ceil(ticks)
