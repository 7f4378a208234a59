"""Laws of what is held: bytes at addresses of the scratchpad, and physical barriers.

In:  a program as it ran, of one inference or of several in flight.
Out: nothing; a check asserts one law and says which leases or barriers break it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.engine import TaskGraph
from armillary.npu import Plan, Program
from armillary.npu.barriers import POOL
from armillary.npu.queues import SCRATCHPAD
from armillary.timeline import Timeline

IntArray = npt.NDArray[np.int64]


def lease_spans(tasks: TaskGraph, timeline: Timeline) -> tuple[IntArray, IntArray]:
    """Return when each lease is taken and returned, ticks, shape (leases,): first start and last end of its members."""
    count = len(tasks.leases)
    task = np.repeat(np.arange(len(tasks)), np.diff(tasks.members.offset))
    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first, tasks.members.index, timeline.start[task])
    released = np.where(tasks.leases.until_start[tasks.members.index], timeline.start[task], timeline.end[task])
    np.maximum.at(last, tasks.members.index, released)
    return first, last


def check_addresses(plan: Plan, program: Program, timeline: Timeline) -> None:
    """No two leases that overlap on the timeline overlap in address, with each other or with cached weights."""
    tasks = program.tasks
    mine = np.flatnonzero(tasks.leases.pool == tasks.resources.index(SCRATCHPAD))
    begin, end = (column[mine] for column in lease_spans(tasks, timeline))
    low, size = program.address[program.address >= 0], tasks.leases.units[mine]
    assert len(low) == len(mine)
    assert np.all(low >= plan.caching.bytes)
    assert np.all(low % plan.chip.scratchpad.alignment == 0)
    assert (low + size).max(initial=0) <= plan.allocation.peak_bytes <= plan.scratchpad_bytes
    real = np.flatnonzero((size > 0) & (end > begin))
    order = real[np.argsort(begin[real], kind="stable")]
    held = np.zeros(0, np.int64)
    for lease in order.tolist():
        held = held[end[held] > begin[lease]]
        over = held[(low[held] < low[lease] + size[lease]) & (low[lease] < low[held] + size[held])]
        assert not len(over), f"lease {lease} lies over {over}"
        held = np.append(held, lease)


def check_barriers(program: Program, timeline: Timeline, units: int | None) -> None:
    """No physical barrier serves two at once: one is free when all its consumers have started."""
    assert (program.barriers is None) == (units is None)
    if program.barriers is None or units is None:
        return
    barriers = program.barriers
    assert timeline.in_use(POOL).peak <= units
    assert barriers.peak <= units
    assert barriers.unit.max(initial=-1) < units
    held = np.flatnonzero(barriers.unit >= 0)
    begin = np.array([timeline.start[barriers.producers.of(one)].min() for one in held.tolist()], np.int64)
    end = np.array([timeline.start[barriers.consumers.of(one)].max() for one in held.tolist()], np.int64)
    order = np.lexsort((end, begin, barriers.unit[held]))
    same = barriers.unit[held][order][1:] == barriers.unit[held][order][:-1]
    assert np.all(begin[order][1:][same] >= end[order][:-1][same])
