"""The critical path: the chain of causes that made the run as long as it is.

In:  a `Timeline`. Out: `CriticalPath`, columns over its steps, which fill the run from 0 to the last end without gap or
overlap. From the task that ended last, follow the cause of each start: a cause that ended then gives its whole span;
one that only started then (an edge from its start, its turn in a queue) gives none and hands on to its own cause. Where
the chain ends later than tick 0, the time before is waiting for an arrival, or for what a caller did at a stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import IntArray
from armillary.errors import InputError
from armillary.timeline.causes import Cause

if TYPE_CHECKING:
    from armillary.timeline.timeline import Timeline


@dataclass(frozen=True, slots=True, eq=False)
class CriticalPath:
    """Steps in time order, shape (steps,), ticks; `start` of the next step is `end` of this one."""

    task: IntArray
    cause: npt.NDArray[np.uint8]  # Cause: what let the task start
    start: IntArray
    end: IntArray  # where the next step takes over, at latest the end of the task
    latency: IntArray  # part of the step before the work began
    work: IntArray  # part up to the task's least duration
    beyond: IntArray  # part after that: bytes still moved, or work ran slowed
    waited: IntArray  # ticks in which the task was ready but had no room: time of others on the path
    before: int  # ticks before the first step: waiting for its arrival, or for a caller

    @property
    def ticks(self) -> int:
        """Length of the path: that of the run, if all of it was done."""
        return self.before + int((self.end - self.start).sum())

    def __len__(self) -> int:
        return len(self.task)

    def ticks_by_cause(self) -> dict[Cause, int]:
        """Return the ticks of the steps whose task started for each cause (only causes that occur)."""
        total = np.zeros(len(Cause), np.int64)
        np.add.at(total, self.cause, self.end - self.start)
        return {cause: int(total[cause]) for cause in Cause if bool((self.cause == cause).any())}

    def ticks_by_kind(self, timeline: Timeline) -> dict[str, int]:
        """Return the ticks of the steps of each kind of task, largest first."""
        total = np.zeros(len(timeline.kinds), np.int64)
        np.add.at(total, timeline.kind[self.task], self.end - self.start)
        order = np.argsort(-total, kind="stable")
        return {timeline.kinds[kind]: int(total[kind]) for kind in order.tolist() if total[kind] > 0}


def critical_path(timeline: Timeline) -> CriticalPath:
    """Return the critical path of `timeline` (no steps if nothing started).

    Raises:
        InputError: the causes form a circle, which no run of the engine gives.
    """
    task, until = _walk(timeline)
    start = timeline.start[task]
    ticks = until - start
    latency = np.minimum(timeline.latency[task], ticks)
    work = np.minimum(timeline.duration[task], ticks - latency)
    return CriticalPath(
        task=task,
        cause=timeline.cause_kind[task],
        start=start,
        end=until,
        latency=latency,
        work=work,
        beyond=ticks - latency - work,
        waited=start - timeline.ready[task],
        before=int(start[0]) if len(start) else 0,
    )


def _walk(timeline: Timeline) -> tuple[IntArray, IntArray]:
    """Follow causes back from the last end; return tasks and the tick up to which each one counts, in time order."""
    stop = timeline.stop
    if not np.any(timeline.start >= 0):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # Views: an item of an array costs three times that of its memoryview.
    start, ends, cause = timeline.start.data, stop.data, timeline.cause.data
    by_task = np.isin(timeline.cause_kind, [Cause.DEPENDENCY, Cause.RESOURCE, Cause.LEASE]).data
    task = int(np.argmax(stop))
    tasks, until = [task], [ends[task]]
    while by_task[task]:
        now, task = start[task], cause[task]
        # The cause counts up to the start that it made possible: that is its end, or its own start.
        if now not in (ends[task], start[task]) or len(tasks) > len(stop):
            raise InputError("the causes of this timeline do not fit its times", hint="use one that the engine gave")
        tasks.append(task)
        until.append(now)
    return np.array(tasks[::-1], np.int64), np.array(until[::-1], np.int64)
