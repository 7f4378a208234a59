"""Timers: what a handler calls to be called again, and how `drive` takes them off the heap.

In:  a `Calendar`; ticks, classes, kinds and payloads from handlers. Out: handles (int64), for `move` and `cancel`.
Moving a timer to a later tick is a field write (a keep-alive reset): its heap entry is put back when it comes up.
A handle of a timer that has fired or was cancelled is recognised as stale, whatever its slot does now.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.engine._jit import njit
from armillary.engine.calendar import (
    CLASS_BIT,
    HANDLE_MASK,
    KIND_BIT,
    MAX_KIND,
    MAX_PAYLOAD,
    NO_TIMER,
    ROUND_BIT,
    ROUND_MASK,
    SAMPLE,
    SLOT_BIT,
    SLOT_MASK,
    Calendar,
    RecordArray,
)
from armillary.engine.trace import Reason
from armillary.units import MAX_TICKS

_CAPACITY = int(Reason.CAPACITY)
_OVERFLOW = int(Reason.OVERFLOW)


@njit()
def start(calendar: Calendar, tick: int, order: int, kind: int, payload: int) -> int:
    """Start a timer that calls the handler with (kind, payload) at `tick`, in class `order`; returns its handle.

    At the present tick, a class after the present one is still in this round, any other in the next round.
    A tick before now or beyond 2**62, or a class, kind or payload out of range, stops the run with OVERFLOW.
    """
    head = calendar.head[0]
    named = 0 <= order <= SAMPLE and 0 <= kind <= MAX_KIND and 0 <= payload <= MAX_PAYLOAD
    if not named or tick < head["now"] or tick > MAX_TICKS:
        head["stop"] = _OVERFLOW
        return NO_TIMER
    slot = head["free"]
    if slot < 0 or head["pending"] == len(calendar.heap):
        head["refused"] += 1
        head["stop"] = _CAPACITY
        return NO_TIMER
    timer = calendar.timers[slot]
    handle = timer["handle"]
    head["free"] = timer["deadline"]
    head["spare"] -= 1
    rank = _rank(head, tick, (order << CLASS_BIT) | (kind << KIND_BIT) | payload)
    timer["deadline"] = tick
    timer["entry_tick"] = tick
    timer["rank"] = rank
    _push(calendar, tick, rank, handle)
    return int(handle)


@njit()
def move(calendar: Calendar, handle: int, tick: int) -> bool:
    """Let the timer fire at `tick` instead; False if it has fired or was cancelled."""
    head = calendar.head[0]
    if handle < 0:
        return False
    timer = calendar.timers[handle & SLOT_MASK]
    if timer["handle"] != handle:
        return False
    if tick < head["now"] or tick > MAX_TICKS:
        head["stop"] = _OVERFLOW
        return False
    if tick >= timer["entry_tick"] and tick > head["now"]:
        timer["deadline"] = tick
        return True
    if head["pending"] == len(calendar.heap):
        head["refused"] += 1
        head["stop"] = _CAPACITY
        return False
    rank = _rank(head, tick, timer["rank"] & ROUND_MASK)
    timer["deadline"] = tick
    timer["entry_tick"] = tick
    timer["rank"] = rank
    _push(calendar, tick, rank, handle)
    return True


@njit()
def cancel(calendar: Calendar, handle: int) -> bool:
    """Take the timer back; False if it has fired or was cancelled before."""
    if handle < 0 or calendar.timers[handle & SLOT_MASK]["handle"] != handle:
        return False
    release_slot(calendar, handle & SLOT_MASK)
    return True


@njit()
def deadline(calendar: Calendar, handle: int) -> int:
    """Tick at which the timer fires; -1 if it has fired or was cancelled."""
    if handle < 0 or calendar.timers[handle & SLOT_MASK]["handle"] != handle:
        return -1
    return int(calendar.timers[handle & SLOT_MASK]["deadline"])


@njit()
def stop(calendar: Calendar, reason: int) -> None:
    """Let `drive` return `reason` after this call of the handler (POLICY: ask Python; CAPACITY: grow the state)."""
    calendar.head[0]["stop"] = reason


@njit()
def ticks_up(ticks: float) -> int:
    """Round a span up to whole ticks; beyond 2**62, or not a number, it is 2**62 + 1, which `start` refuses."""
    if ticks < MAX_TICKS:
        return int(np.ceil(ticks))
    return MAX_TICKS + 1


# What `drive` calls.


@njit(inline=True, inner=True)
def settle_top(calendar: Calendar) -> None:
    """Drop stale entries off the top of the heap and put back entries whose timers were moved to a later tick."""
    head, heap = calendar.head[0], calendar.heap
    while head["pending"] > 0:
        handle = heap[0]["handle"]
        timer = calendar.timers[handle & SLOT_MASK]
        if timer["handle"] != handle or timer["entry_tick"] != heap[0]["tick"] or timer["rank"] != heap[0]["rank"]:
            drop_top(calendar)
        elif timer["deadline"] > timer["entry_tick"]:
            timer["entry_tick"] = timer["deadline"]
            timer["rank"] &= ROUND_MASK  # a later tick begins with round 0
            _sift_down(heap, head["pending"], timer["entry_tick"], timer["rank"], handle)
        else:
            return


@njit(inline=True, inner=True)
def drop_top(calendar: Calendar) -> None:
    """Take the first entry off the heap."""
    head, heap = calendar.head[0], calendar.heap
    left = head["pending"] - 1
    head["pending"] = left
    if left > 0:
        _sift_down(heap, left, heap[left]["tick"], heap[left]["rank"], heap[left]["handle"])


@njit(inline=True, inner=True)
def release_slot(calendar: Calendar, slot: int) -> None:
    """Free a timer slot; every handle and heap entry of it becomes stale."""
    head, timer = calendar.head[0], calendar.timers[slot]
    timer["handle"] = (timer["handle"] + (1 << SLOT_BIT)) & HANDLE_MASK
    timer["deadline"] = head["free"]
    head["free"] = slot
    head["spare"] += 1


@njit(inline=True, inner=True)
def _rank(head: Any, tick: int, plain: int) -> int:
    """Add to a rank of round 0 the round in which an event made now can be played."""
    if tick != head["now"] or head["order"] < 0:
        return plain
    same_round = (plain >> CLASS_BIT) > head["order"]
    if same_round:
        return plain | int(head["round"]) << ROUND_BIT
    return plain | (int(head["round"]) + 1) << ROUND_BIT


@njit(inline=True, inner=True)
def _push(calendar: Calendar, tick: int, rank: int, handle: int) -> None:
    head, heap = calendar.head[0], calendar.heap
    hole = head["pending"]
    head["pending"] = hole + 1
    while hole > 0:
        parent = (hole - 1) >> 1
        above = heap[parent]
        if above["tick"] < tick or (above["tick"] == tick and above["rank"] <= rank):
            break
        heap[hole] = above
        hole = parent
    entry = heap[hole]
    entry["tick"] = tick
    entry["rank"] = rank
    entry["handle"] = handle


@njit(inline=True, inner=True)
def _sift_down(heap: RecordArray, size: int, tick: int, rank: int, handle: int) -> None:
    """Put an entry in place of the first one of a heap of `size` entries."""
    hole = 0
    child = 1
    while child < size:
        right = child + 1
        if right < size and (
            heap[right]["tick"] < heap[child]["tick"]
            or (heap[right]["tick"] == heap[child]["tick"] and heap[right]["rank"] < heap[child]["rank"])
        ):
            child = right
        below = heap[child]
        if tick < below["tick"] or (tick == below["tick"] and rank <= below["rank"]):
            break
        heap[hole] = below
        hole = child
        child = 2 * hole + 1
    entry = heap[hole]
    entry["tick"] = tick
    entry["rank"] = rank
    entry["handle"] = handle
