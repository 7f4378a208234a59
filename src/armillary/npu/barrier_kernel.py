"""The walks of `barriers` over all tasks, compiled.

In:  edges between tasks as columns, the in-order queue of each task.
Out: `walk`: program order, and the producers that each task has to wait for by a barrier; `group`: one barrier for the
     same producers; `assign`: physical barriers by a linear scan; `reuse`: edges between barriers on the same one.
Import this module inside functions only: numba takes 0.3 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.engine._jit import njit


@njit()
def walk(
    queue: Any,
    queues: int,
    by_barrier: Any,
    key: Any,
    in_offset: Any,
    in_source: Any,
    out_offset: Any,
    out_target: Any,
    order: Any,
    place: Any,
    known: Any,
    needed: Any,
) -> int:
    """Order the tasks, and keep of their predecessors in other queues those that nothing else implies.

    Args:
        queue: in-order queue of each task, shape (tasks,).
        queues: their number.
        by_barrier: whether a task waits for other queues, and is waited for, by barriers, shape (tasks,).
        key: of the tasks that are ready, the smallest key (then id) goes first.
        in_offset, in_source, out_offset, out_target: edges by target, and by source.
        order: tasks in program order; written, shape (tasks,).
        place: of each task in its queue; written, shape (tasks,).
        known: how many tasks of each queue have ended when the task starts; written, shape (tasks, queues).
        needed: the last producer in each queue for which the task has to wait, or -1; written, shape (tasks, queues).

    Returns:
        The number of tasks ordered: fewer than there are if edges form a cycle.
    """
    count = len(queue)
    waiting = np.zeros(count, np.int64)
    filled = np.zeros(queues, np.int64)
    ready = np.zeros(count, np.int64)
    size = 0
    for task in range(count):
        waiting[task] = in_offset[task + 1] - in_offset[task]
        if waiting[task] == 0:
            ready[size] = task
            size += 1
    done = 0
    while size > 0:
        best = 0
        for at in range(1, size):
            one, other = ready[at], ready[best]
            if key[one] < key[other] or (key[one] == key[other] and one < other):
                best = at
        task = ready[best]
        size -= 1
        ready[best] = ready[size]
        own = queue[task]
        order[done] = task
        done += 1
        place[task] = filled[own]
        filled[own] += 1
        for entry in range(in_offset[task], in_offset[task + 1]):
            source = in_source[entry]
            its = queue[source]
            if its == own or not (by_barrier[source] and by_barrier[task]):
                for other in range(queues):
                    known[task, other] = max(known[task, other], known[source, other])
                known[task, its] = max(known[task, its], place[source] + 1)
            elif needed[task, its] < 0 or place[needed[task, its]] < place[source]:
                needed[task, its] = source
        for its in range(queues):
            source = needed[task, its]
            if source < 0:
                continue
            implied = known[task, its] > place[source]
            for other in range(queues):
                rival = needed[task, other]
                if other != its and rival >= 0 and known[rival, its] > place[source]:
                    implied = True
            if implied:  # what it knew, the one that implies it knows too
                needed[task, its] = -1
        for its in range(queues):
            source = needed[task, its]
            if source >= 0:
                for other in range(queues):
                    known[task, other] = max(known[task, other], known[source, other])
                known[task, its] = max(known[task, its], place[source] + 1)
        for entry in range(out_offset[task], out_offset[task + 1]):
            target = out_target[entry]
            waiting[target] -= 1
            if waiting[target] == 0:
                ready[size] = target
                size += 1
    return done


@njit()
def group(order: Any, needed: Any, barrier_of: Any, limit: int) -> int:
    """Give tasks with the same producers one barrier; return how many there are.

    Args:
        order: tasks in program order, shape (tasks,).
        needed: as `walk` leaves it, shape (tasks, queues).
        barrier_of: barrier that each task waits for, -1: none; written, shape (tasks,).
        limit: consumers of one barrier.
    """
    count, queues = needed.shape
    newest = np.full(count, -1, np.int64)  # barrier made last for a task as its first producer
    before = np.full(count, -1, np.int64)  # barrier made before that one, by barrier
    example = np.zeros(count, np.int64)  # a consumer, by barrier
    consumers = np.zeros(count, np.int64)
    found = 0
    for task in order:
        first = -1
        for its in range(queues):
            if needed[task, its] >= 0:
                first = needed[task, its]
                break
        if first < 0:
            continue
        barrier = newest[first]
        while barrier >= 0:
            same = consumers[barrier] < limit
            for its in range(queues):
                if needed[example[barrier], its] != needed[task, its]:
                    same = False
            if same:
                break
            barrier = before[barrier]
        if barrier < 0:
            barrier = found
            found += 1
            before[barrier] = newest[first]
            newest[first] = barrier
            example[barrier] = task
        consumers[barrier] += 1
        barrier_of[task] = barrier
    return found


@njit()
def assign(
    order: Any, barrier_of: Any, first: Any, produced: Any, last: Any, units: int, unit: Any, previous: Any, syncs: Any
) -> None:
    """Give each barrier one of `units` physical ones that is free from its first producer on, if there is one.

    Args:
        order: tasks in program order, shape (tasks,).
        barrier_of: barrier that each task waits for, or -1, shape (tasks,).
        first: position in `order` of the first producer of each barrier, shape (barriers,), ascending.
        produced: position of the last producer, shape (barriers,).
        last: position of the last consumer, shape (barriers,).
        units: physical barriers.
        unit: physical barrier, -1 where none was free; written, shape (barriers,).
        previous: barrier that had it before, or -1; written, shape (barriers,).
        syncs: whether all queues meet before the task at each position, for a barrier without a unit; written.
    """
    holder = np.full(min(units, len(first)), -1, np.int64)
    free_from = np.zeros(len(holder), np.int64)
    used, coming, latest = 0, 0, -1
    for position in range(len(order)):
        waits = barrier_of[order[position]]
        if waits >= 0 and unit[waits] < 0 and produced[waits] >= latest:
            syncs[position] = True
            latest = position
        while coming < len(first) and first[coming] == position:
            chosen = -1
            if used < len(holder):
                chosen = used
                used += 1
            else:
                for one in range(len(holder)):
                    if free_from[one] < position and (chosen < 0 or free_from[one] < free_from[chosen]):
                        chosen = one
            if chosen >= 0:
                unit[coming] = chosen
                previous[coming] = holder[chosen]
                holder[chosen] = coming
                free_from[chosen] = last[coming]
            coming += 1


@njit()
def reuse(
    previous: Any,
    producer_offset: Any,
    producer: Any,
    consumer_offset: Any,
    consumer: Any,
    queue: Any,
    place: Any,
    known: Any,
    source: Any,
    target: Any,
) -> int:
    """Write the edges (start of source -> target) that keep a barrier from being set before it is free.

    Args:
        previous: barrier that had the same unit before, or -1, shape (barriers,).
        producer_offset, producer, consumer_offset, consumer: members of each barrier.
        queue, place, known: of each task, as in `walk`.
        source, target: the edges; written, large enough for all pairs.

    Returns:
        The number of edges; those that the order of the queues implies are left out.
    """
    found = 0
    for barrier in range(len(previous)):
        before = previous[barrier]
        if before < 0:
            continue
        for at in range(consumer_offset[before], consumer_offset[before + 1]):
            one = consumer[at]
            for entry in range(producer_offset[barrier], producer_offset[barrier + 1]):
                other = producer[entry]
                if queue[one] != queue[other] and known[other, queue[one]] <= place[one]:
                    source[found], target[found] = one, other
                    found += 1
    return found
