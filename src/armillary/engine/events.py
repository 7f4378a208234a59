"""Which pending events still count, and the clean-up of those that do not.

In:  `State` with its event heap. Out: a heap without stale or repeated events, whenever it is half full.
An owner that reschedules pushes a new event and leaves the old one: an event counts if its owner has scheduled it so.
"""

from __future__ import annotations

from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import njit, wide
from armillary.engine.heap import close, heapify

RUNNING = 2  # engine.trace.Status.RUNNING


@njit(inner=True)
def is_valid(s: Any, tick: int, key: int) -> bool:
    """Whether an event still is what its owner has scheduled."""
    if key < 0:
        return bool(s.links[key - at.LINK_KEY]["end"] == tick)
    if key >= at.ARBITER_KEY:
        return bool(s.arbiters[key - at.ARBITER_KEY]["due"] == tick)
    task = key >> 2
    if s.tasks[task]["status"] != RUNNING:
        return False
    part = key & 3
    if part == at.WORK_PART:
        return bool(s.work[task]["end"] == tick or s.work[task]["end"] == at.NEVER)
    return bool(part == at.LAUNCH or s.flows[s.tasks[task]["flow"]]["end"] == tick)


@njit(inner=True)
def sweep(s: Any) -> None:
    """Drop stale and repeated events once the heap is half full.

    The array holds twice what can count at any time; what one round can push fits in the other half (records.lay_out).
    """
    if s.clock[at.HEAP] <= s.ticks.shape[0] // 2:
        return
    close(s)
    kept = wide(0)
    for place in range(s.clock[at.HEAP]):
        tick, key = s.ticks[place], s.keys[place]
        if is_valid(s, tick, key) and is_first(s, key):
            s.ticks[kept], s.keys[kept] = tick, key
            kept += 1
    s.clock[at.HEAP] = kept
    for place in range(kept):
        forget(s, s.keys[place])
    heapify(s, kept)


@njit(inner=True)
def is_first(s: Any, key: int) -> bool:
    """Whether this sweep meets the key for the first time; remembers it."""
    if key < 0:
        owner = s.links[key - at.LINK_KEY]
        seen, owner["swept"] = owner["swept"], 1
        return bool(seen == 0)
    if key >= at.ARBITER_KEY:
        arbiter = s.arbiters[key - at.ARBITER_KEY]
        seen, arbiter["swept"] = arbiter["swept"], 1
        return bool(seen == 0)
    task, part = s.tasks[key >> 2], 1 << (key & 3)
    fresh = task["swept"] & part == 0
    task["swept"] |= part
    return bool(fresh)


@njit(inner=True)
def forget(s: Any, key: int) -> None:
    """Forget that the sweep has met the key."""
    if key < 0:
        s.links[key - at.LINK_KEY]["swept"] = 0
    elif key >= at.ARBITER_KEY:
        s.arbiters[key - at.ARBITER_KEY]["swept"] = 0
    else:
        s.tasks[key >> 2]["swept"] = 0
