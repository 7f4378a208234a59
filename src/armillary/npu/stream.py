"""Throughput with several inferences in flight, measured between their completions once these have become regular.

In:  the `Plan` of one inference and the queue depth.
Out: `Stream`: the inferences as they ran, and the period of their completions.
The queues are in order and every inference is the same, so after the first ones completions repeat with a pattern of a
few inferences; where none repeats exactly, the mean over the last half stands for it. A queue that falls behind slowly
shows late: no period is shorter than what the busiest queue or link has to do for one inference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armillary.engine import TaskGraph
from armillary.engine.simulate import simulate
from armillary.npu.emit import emit
from armillary.npu.geometry import IntArray
from armillary.npu.plan import Plan
from armillary.npu.repeat import repeat
from armillary.timeline import Timeline

_FIRST_LOOK = 3  # inferences played at first, per inference in flight
_LAST_LOOK = 12
_SAME_TICKS = 1  # completions round up to ticks, so that a pattern may repeat to a tick


@dataclass(frozen=True, slots=True)
class Stream:
    """Inferences in flight together, as they ran."""

    timeline: Timeline
    completion_s: tuple[float, ...]  # end of the last task of each inference
    period_s: float  # between completions, in steady state


def stream(plan: Plan, queue_depth: int) -> Stream:
    """Play `plan` with `queue_depth` inferences in flight until their completions are regular."""
    inferences = _FIRST_LOOK * queue_depth
    while True:
        program = emit(repeat(plan, inferences, queue_depth))
        timeline = Timeline.from_trace(simulate(program.tasks))
        completion = np.zeros(inferences, np.int64)
        np.maximum.at(completion, program.inference, timeline.end)
        # The last ones end with fewer in flight.
        gaps = np.diff(completion[: inferences - queue_depth + 1])
        period = _period(gaps, queue_depth)
        if period is not None or inferences >= _LAST_LOOK * queue_depth:
            break
        inferences *= 2
    ticks = float(gaps[len(gaps) // 2 :].mean()) if period is None else period
    completion_s = tuple((completion * timeline.tick_s).tolist())
    ticks = max(ticks, busiest_ticks(program.tasks) / inferences)
    return Stream(timeline, completion_s, ticks * timeline.tick_s)


def busiest_ticks(tasks: TaskGraph) -> float:
    """Return the ticks for which the busiest server or link of `tasks` has to work at least."""
    resources, demands, crossings = len(tasks.resources.names), tasks.demands, tasks.crossings
    work = np.repeat(tasks.duration + tasks.latency, np.diff(demands.offset))
    busy = np.bincount(demands.index, weights=work, minlength=resources) / np.maximum(tasks.resources.units, 1)
    moved = np.repeat(tasks.bytes, np.diff(crossings.offset)) * crossings.value
    crossed = np.bincount(crossings.index, weights=moved, minlength=resources)
    per_tick = np.where(tasks.resources.capacity > 0, tasks.resources.capacity, np.inf) * tasks.tick_s
    return float(np.maximum(busy, crossed / per_tick).max(initial=0.0))


def _period(gaps: IntArray, longest: int) -> float | None:
    """Return the mean of the shortest pattern of at most `longest` gaps with which `gaps` ends, None if there is none.

    It must repeat for as long as an inference is in flight, `longest` gaps, and twice at least.
    """
    for length in range(1, longest + 1):
        tail = gaps[-max(2 * length, longest + 1) :]
        if bool((np.abs(tail[length:] - tail[:-length]) <= _SAME_TICKS).all()):
            return float(tail[-length:].mean())
    return None
