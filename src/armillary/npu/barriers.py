"""Counting barriers with which the queues of a chip wait for each other, and which physical one each of them gets.

In:  the tasks and edges of a program, each task in an in-order queue, and how many physical barriers the chip has.
Out: `Barriers`; `hold_barriers` turns them into leases of a pool and edges.
Model: edges inside a queue need no barrier; of the others those remain that nothing else implies (with in-order queues
the last producer of each queue tells all, as in vector clocks). Tasks with the same producers share one barrier, held
from the start of its first producer to the start of its last consumer. A scan in program order gives it a physical one
whose consumers stand earlier in that order, and lets its producers wait until these have started. Where none is free,
all queues meet before the consumer that would have waited: two physical barriers, kept for that, take turns. All edges
point forward in one order of the tasks, so nothing can lock up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine import EdgeKind, GraphBuilder, TaskGraph
from armillary.npu.geometry import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]
POOL = "Barriers"
UNLIMITED = 2**20  # more than any program needs at once
MAX_MEMBERS = 256  # consumers of one barrier, as in Intel's compiler (spec npu, section 2)
MEETING = 2  # physical barriers with which all queues meet in turn


@dataclass(frozen=True, slots=True)
class Members:
    """Tasks of each barrier: those of barrier i are `task[offset[i] : offset[i + 1]]`."""

    offset: IntArray
    task: IntArray

    def of(self, barrier: int) -> list[int]:
        """Return the tasks of one barrier."""
        members: list[int] = self.task[self.offset[barrier] : self.offset[barrier + 1]].tolist()
        return members

    @property
    def barrier(self) -> IntArray:
        """Barrier of each entry of `task`."""
        return np.repeat(np.arange(len(self.offset) - 1), np.diff(self.offset))


@dataclass(frozen=True, slots=True)
class Barriers:
    """Barriers in program order of their first producers, then those at which all queues meet."""

    producers: Members
    consumers: Members
    unit: IntArray  # physical barrier, -1: none, since its tasks meet with all others, shape (barriers,)
    previous: IntArray  # barrier that had the same physical one before, -1: none
    meets: BoolArray  # all queues meet here
    units: int  # physical barriers of the chip
    waits: tuple[IntArray, IntArray]  # (consumer, producer): this one waits for that one's start, to reuse its barrier
    order: IntArray  # all tasks in program order

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def peak(self) -> int:
        """Physical barriers in use at once, in program order."""
        if not len(self):
            return 0
        place = np.empty(len(self.order), np.int64)
        place[self.order] = np.arange(len(self.order))
        step = np.zeros(len(self.order) + 1, np.int64)
        held = self.unit >= 0
        np.add.at(step, np.minimum.reduceat(place[self.producers.task], self.producers.offset[:-1])[held], 1)
        np.add.at(step, np.maximum.reduceat(place[self.consumers.task], self.consumers.offset[:-1])[held] + 1, -1)
        return int(np.cumsum(step).max())


def find_barriers(graph: TaskGraph, key: FloatArray, by_barrier: BoolArray, units: int) -> Barriers:
    """Return the barriers of `graph` on a chip with `units` physical ones, 2 at least.

    Args:
        graph: tasks with one server each, whose tasks form a chain; all edges wait for an end.
        key: where a task stands in program order, as far as its edges leave that open, shape (tasks,).
        by_barrier: tasks that wait for other queues, and are waited for, by barriers, shape (tasks,).
        units: physical barriers.
    """
    from armillary.npu.barrier_kernel import assign, group, reuse, walk

    count = len(graph)
    queue = np.unique(graph.demands.index[graph.demands.offset[:-1]], return_inverse=True)[1].astype(np.int64)
    queues = int(queue.max(initial=-1)) + 1
    source = np.repeat(np.arange(count), np.diff(graph.edges.offset))
    target = graph.edges.index.astype(np.int64)
    by_target = np.argsort(target, kind="stable")
    order, place, barrier_of = np.zeros(count, np.int64), np.zeros(count, np.int64), np.full(count, -1, np.int64)
    known, needed = np.zeros((count, queues), np.int64), np.full((count, queues), -1, np.int64)
    walked = walk(
        queue, queues, by_barrier, key, _offsets(target, count), source[by_target],
        graph.edges.offset.astype(np.int64), target, order, place, known, needed,
    )  # fmt: skip
    assert walked == count, "the edges of a program point forward"
    found = group(order, needed, barrier_of, MAX_MEMBERS)
    position = np.empty(count, np.int64)
    position[order] = np.arange(count)
    producers, consumers = _members(barrier_of, needed, position, found)
    first = position[producers.task[producers.offset[:-1]]]
    produced = np.maximum.reduceat(position[producers.task], producers.offset[:-1]) if found else first
    last = np.maximum.reduceat(position[consumers.task], consumers.offset[:-1]) if found else first
    for ordinary in (units, units - MEETING):
        unit, previous, meets = np.full(found, -1, np.int64), np.full(found, -1, np.int64), np.zeros(count, np.bool_)
        assign(order, barrier_of, first, produced, last, ordinary, unit, previous, meets)
        if not meets.any():
            break
    pairs = np.diff(consumers.offset)[previous] * np.diff(producers.offset) * (previous >= 0)
    waits = np.zeros((2, int(pairs.sum())), np.int64)
    kept = reuse(
        previous, producers.offset, producers.task, consumers.offset, consumers.task, queue, place, known,
        waits[0], waits[1],
    )  # fmt: skip
    plain = Barriers(
        producers,
        consumers,
        unit,
        previous,
        np.zeros(found, np.bool_),
        units,
        (waits[0, :kept], waits[1, :kept]),
        order,
    )
    return (
        _with_meetings(plain, np.where(by_barrier, queue, -1), np.flatnonzero(meets), units - MEETING)
        if meets.any()
        else plain
    )


def hold_barriers(build: GraphBuilder, barriers: Barriers) -> None:
    """Add the pool of physical barriers, a lease for each that is used, and the edges that reuse needs."""
    # There is always one for the task that starts: who waits for room elsewhere, in a weight buffer, holds up nobody.
    pool = build.pool(POOL, units=barriers.units, backfill=True)
    held = barriers.unit >= 0
    lease = np.full(len(barriers), -1, np.int64)
    lease[held] = build.leases(pool, np.ones(int(held.sum()), np.int64), until_start=True)
    for members in (barriers.producers, barriers.consumers):
        mine = lease[members.barrier]
        build.member(members.task[mine >= 0], mine[mine >= 0])
    build.edge(*barriers.waits, kind=EdgeKind.START)
    for barrier in np.flatnonzero(barriers.meets).tolist():
        before, after = barriers.producers.of(barrier), barriers.consumers.of(barrier)
        build.edge(np.repeat(before, len(after)), np.tile(after, len(before)))


def _offsets(rows: IntArray, count: int) -> IntArray:
    """Return where the entries of each row begin, when sorted by row, shape (count + 1,)."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(np.bincount(rows, minlength=count))))


def _members(barrier_of: IntArray, needed: IntArray, position: IntArray, found: int) -> tuple[Members, Members]:
    """Return producers and consumers, by position; renumber `barrier_of` by the position of the first producer."""
    consumer = np.flatnonzero(barrier_of >= 0)
    example = np.zeros(found, np.int64)
    example[barrier_of[consumer]] = consumer
    barrier, queue = np.nonzero(needed[example] >= 0)
    producer = needed[example[barrier], queue]
    first = np.full(found, len(position), np.int64)
    np.minimum.at(first, barrier, position[producer])
    number = np.empty(found, np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(found)
    barrier_of[consumer] = number[barrier_of[consumer]]
    return _sorted(number[barrier], producer, position, found), _sorted(barrier_of[consumer], consumer, position, found)


def _sorted(barrier: IntArray, task: IntArray, position: IntArray, found: int) -> Members:
    order = np.lexsort((position[task], barrier))
    return Members(_offsets(barrier, found), task[order])


def _with_meetings(plain: Barriers, queue: IntArray, meetings: IntArray, ordinary: int) -> Barriers:
    """Add the barriers at which all queues (-1: none) meet, before the tasks at the positions `meetings`."""
    order, count = plain.order, len(meetings)
    epoch = np.searchsorted(meetings, np.arange(len(order)), side="right")  # meetings before each position
    queues = int(queue.max()) + 1
    # The first and the last task of each queue between two meetings.
    taking = np.flatnonzero(queue[order] >= 0)
    key = epoch[taking] * queues + queue[order][taking]
    begun, first = np.unique(key, return_index=True)
    last = len(key) - 1 - np.unique(key[::-1], return_index=True)[1]
    first, last = taking[first], taking[last]
    before, after = begun // queues < count, begun // queues > 0
    producers = _joined(plain.producers, Members(_offsets(begun[before] // queues, count), order[last[before]]))
    consumers = _joined(plain.consumers, Members(_offsets(begun[after] // queues - 1, count), order[first[after]]))
    number = np.arange(count)
    return Barriers(
        producers=producers,
        consumers=consumers,
        unit=np.append(plain.unit, ordinary + number % MEETING),
        previous=np.append(plain.previous, np.where(number < MEETING, -1, len(plain) + number - MEETING)),
        meets=np.append(plain.meets, np.ones(count, np.bool_)),
        units=plain.units,
        waits=plain.waits,
        order=order,
    )


def _joined(one: Members, other: Members) -> Members:
    return Members(np.append(one.offset, one.offset[-1] + other.offset[1:]), np.append(one.task, other.task))
