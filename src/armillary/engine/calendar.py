"""The calendar of a request-driven model: sorted arrivals, timers, and the heap of timers.

In:  columns of arrival ticks per stream (`new_calendar`, `add_arrivals`).
Out: `Calendar`, four record arrays; `timers.py` changes it, `drive` walks it by (tick, round, class, kind, payload).
Arrivals never sit in the heap. Two events with equal keys are equal calls of the handler, so no result depends on the
order in which they were made (docs/drive.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import type_of
from armillary.errors import ArmillaryError, InputError
from armillary.units import MAX_TICKS

RecordArray = npt.NDArray[np.void]
IntArray = npt.NDArray[np.int64]

# Classes of events within a tick, in order; the same as in docs/engine.md, section 3.
COMPLETION: Final = 0
RELEASE: Final = 1
CHANGE: Final = 2
ARRIVAL: Final = 3
POLICY: Final = 4
SAMPLE: Final = 5

NO_TIMER: Final = -1
MAX_PAYLOAD: Final = 2**32 - 1
MAX_KIND: Final = 255
MAX_ROUNDS: Final = 2**20 - 1

# A rank orders events of one tick: round (20 bits), class (3), kind (8), payload (32).
KIND_BIT: Final = 32
CLASS_BIT: Final = 40
ROUND_BIT: Final = 43
ROUND_MASK: Final = (1 << ROUND_BIT) - 1

# A handle is the number of earlier uses of its slot (39 bits) and the slot (24): a stale one never fits again.
SLOT_BIT: Final = 24
SLOT_MASK: Final = (1 << SLOT_BIT) - 1
HANDLE_MASK: Final = 2**63 - 1

GO_ON: Final = -1

HEAD = np.dtype(
    [
        ("now", np.int64),  # tick of the last event
        ("round", np.int64),  # its round within the tick
        ("order", np.int64),  # its class; -1 before the first event
        ("cursor", np.int64),  # next arrival
        ("pending", np.int64),  # heap entries, stale ones included
        ("free", np.int64),  # first free timer slot, -1: none
        ("spare", np.int64),  # number of free slots
        ("events", np.int64),  # calls of the handler so far
        ("stop", np.int64),  # Reason for which to stop after this call, -1: go on
        ("burst", np.int64),  # most timers that one call of the handler starts or moves forward
        ("rounds", np.int64),  # rounds in one tick after which it is a LIVELOCK
        ("refused", np.int64),  # timers that did not fit although `burst` were free
    ]
)
ARRIVALS = np.dtype([("tick", np.int64), ("rank", np.int64)])
TIMERS = np.dtype(
    [
        ("handle", np.int64),
        ("deadline", np.int64),  # tick at which it fires; in a free slot: the next free slot
        ("entry_tick", np.int64),  # tick and
        ("rank", np.int64),  # rank of its one valid heap entry
    ]
)
ENTRIES = np.dtype([("tick", np.int64), ("rank", np.int64), ("handle", np.int64)])


class Calendar(NamedTuple):
    """What is due: four record arrays, so that a compiled handler gets them in one argument."""

    head: RecordArray  # shape (1,), HEAD
    arrivals: RecordArray  # shape (arrivals,), ARRIVALS, ascending
    timers: RecordArray  # shape (timer slots,), TIMERS
    heap: RecordArray  # shape (entries,), ENTRIES, a binary heap on (tick, rank)


# numba types for the signature of a model's entry point: `@njit(INT64(STATE, CALENDAR, INT64))`.
INT64 = type_of(np.int64(0))
CALENDAR = type_of(Calendar(np.zeros(1, HEAD), np.zeros(0, ARRIVALS), np.zeros(0, TIMERS), np.zeros(0, ENTRIES)))


@dataclass(frozen=True, slots=True)
class Stream:
    """Events known in advance: at `ticks[i]` the handler gets `payloads[i]` (default: i). Shape (arrivals,), any order.

    `order` is their class: ARRIVAL for requests, CHANGE for caps and rates, POLICY or SAMPLE for a cadence.
    """

    kind: int
    ticks: IntArray
    payloads: IntArray | None = None
    order: int = ARRIVAL


def new_calendar(
    streams: Sequence[Stream] = (), *, timers: int = 64, burst: int = 4, rounds: int = 100_000
) -> Calendar:
    """Return a calendar at tick 0.

    Args:
        streams: arrivals; several streams are merged into one sorted column.
        timers: slots to begin with; `Run` adds more when fewer than `burst` are free.
        burst: the most timers that one call of the handler starts or moves to an earlier tick.
        rounds: rounds in one tick after which `drive` stops with LIVELOCK.

    Raises:
        InputError: a tick, kind or payload out of range, or columns of unequal length.
    """
    if not (1 <= burst <= 2**16 and 0 <= timers <= 2**SLOT_BIT and 1 <= rounds <= MAX_ROUNDS):
        raise InputError(
            f"a calendar with burst {burst}, {timers} timers and {rounds} rounds is out of range",
            hint="use a burst of 1 to 65536, at most 2**24 timers and 2**20 - 1 rounds",
        )
    head = np.zeros(1, HEAD)
    head["order"] = -1
    head["free"] = -1
    head["stop"] = GO_ON
    head["burst"] = burst
    head["rounds"] = rounds
    empty = Calendar(head, np.zeros(0, ARRIVALS), np.zeros(0, TIMERS), np.zeros(0, ENTRIES))
    return add_arrivals(grown(empty, max(timers, 2 * burst)), streams)


def add_arrivals(calendar: Calendar, streams: Sequence[Stream]) -> Calendar:
    """Return the calendar with more arrivals, all later than its present tick (or at tick 0 before the first event).

    Arrivals already taken are dropped, so that a long trace can be fed in pieces.

    Raises:
        InputError: a tick, kind or payload out of range, or columns of unequal length.
    """
    head = calendar.head[0]
    earliest = int(head["now"]) + (int(head["order"]) >= 0)
    parts = [calendar.arrivals[int(head["cursor"]) :], *(_stream_column(stream, earliest) for stream in streams)]
    merged = np.concatenate(parts)
    merged = merged[np.lexsort((merged["rank"], merged["tick"]))]
    head["cursor"] = 0
    return calendar._replace(arrivals=merged)


def _stream_column(stream: Stream, earliest: int) -> RecordArray:
    ticks = np.asarray(stream.ticks)
    payloads = np.arange(len(ticks)) if stream.payloads is None else np.asarray(stream.payloads)
    if not (np.issubdtype(ticks.dtype, np.integer) and np.issubdtype(payloads.dtype, np.integer)):
        raise InputError(
            f"arrivals of kind {stream.kind} must be whole numbers", hint="round with armillary.units.to_ticks"
        )
    if ticks.shape != payloads.shape or ticks.ndim != 1:
        raise InputError(f"arrivals of kind {stream.kind}: {ticks.shape} ticks and {payloads.shape} payloads")
    if not 0 <= stream.kind <= MAX_KIND:
        raise InputError(f"kind {stream.kind} of an arrival is out of range", hint=f"use 0 to {MAX_KIND}")
    if not COMPLETION <= stream.order <= SAMPLE:
        raise InputError(f"class {stream.order} of an arrival is out of range", hint="use COMPLETION .. SAMPLE")
    if ticks.size and not (earliest <= ticks.min() and ticks.max() <= MAX_TICKS):
        raise InputError(
            f"arrivals of kind {stream.kind} reach from tick {ticks.min()} to {ticks.max()}",
            hint=f"use {earliest} to 2**62",
        )
    if payloads.size and not (payloads.min() >= 0 and payloads.max() <= MAX_PAYLOAD):
        raise InputError(f"a payload of arrivals of kind {stream.kind} is out of range", hint="use 0 to 2**32 - 1")
    column = np.zeros(len(ticks), ARRIVALS)
    column["tick"] = ticks
    column["rank"] = (stream.order << CLASS_BIT) | (stream.kind << KIND_BIT) | payloads.astype(np.int64)
    return column


def grown(calendar: Calendar, slots: int) -> Calendar:
    """Return the calendar without stale heap entries, with at least `slots` timer slots and twice as many entries.

    Raises:
        ArmillaryError: more than 2**24 timers.
    """
    head, _, timers, _ = calendar
    if slots > 2**SLOT_BIT:
        raise ArmillaryError(f"a model needs {slots} timers at once; the calendar takes {2**SLOT_BIT}")
    more = np.zeros(max(0, slots - len(timers)), TIMERS)
    if len(more):
        more["handle"] = np.arange(len(timers), slots)
        more["deadline"] = np.arange(len(timers) + 1, slots + 1)
        more["deadline"][-1] = head["free"][0]
        head["free"] = len(timers)
        head["spare"] += len(more)
        timers = np.concatenate([timers, more])
    live = live_entries(calendar)
    heap = np.zeros(max(2 * len(timers), len(calendar.heap)), ENTRIES)
    heap[: len(live)] = live[np.lexsort((live["rank"], live["tick"]))]  # a sorted array is a heap
    head["pending"] = len(live)
    return calendar._replace(timers=timers, heap=heap)


def live_entries(calendar: Calendar) -> RecordArray:
    """Return the heap entries whose timers still stand, in the order of the heap."""
    entries = calendar.heap[: int(calendar.head["pending"][0])]
    timers = calendar.timers[entries["handle"] & SLOT_MASK]
    valid = (
        (timers["handle"] == entries["handle"])
        & (timers["entry_tick"] == entries["tick"])
        & (timers["rank"] == entries["rank"])
    )
    # A timer moved away and back may have two equal entries.
    _, first = np.unique(entries["handle"][valid], return_index=True)
    live: RecordArray = entries[valid][np.sort(first)]
    return live
