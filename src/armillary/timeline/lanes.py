"""Lanes on which tasks can be drawn without overlap.

In:  a `Timeline`. Out: `Lanes`: rows (task, resource, lane); a server of k units needs at most k lanes.
A task stands on a lane of each server it holds units of; one that holds none stands at the links it crosses; one that
does neither, but lasts, stands at no resource (-1). Tasks take, in order of start, the lowest lane that is free.
Tasks without duration hold nothing and stand on lane 0.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from armillary.engine.graph import IntArray

if TYPE_CHECKING:
    from armillary.timeline.timeline import Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """Where tasks stand, ordered by resource, lane and start; shape (rows,)."""

    task: IntArray
    resource: IntArray
    lane: IntArray


def lanes(timeline: Timeline) -> Lanes:
    """Return the lanes of all tasks that started."""
    tasks = np.arange(len(timeline))
    served, crossing = np.diff(timeline.demands.offset) > 0, np.diff(timeline.crossings.offset) > 0
    on_server = np.repeat(tasks, np.diff(timeline.demands.offset))
    on_link = np.repeat(tasks, np.diff(timeline.crossings.offset))
    only_link = ~served[on_link]
    nowhere = tasks[~served & ~crossing & (timeline.stop > timeline.start)]
    task = np.concatenate([on_server, on_link[only_link], nowhere])
    resource = np.concatenate(
        [timeline.demands.index, timeline.crossings.index[only_link], np.full(len(nowhere), -1)]
    ).astype(np.int64)
    started = timeline.start[task] >= 0
    task, resource = task[started], resource[started]
    order = np.lexsort((task, timeline.start[task], resource))
    task, resource = task[order], resource[order]
    start, stop = timeline.start[task], timeline.stop[task]
    lane = np.zeros(len(task), np.int64)
    for rows in np.split(np.arange(len(task)), np.flatnonzero(np.diff(resource)) + 1):
        lasting = rows[stop[rows] > start[rows]]
        if np.any(start[lasting[1:]] < stop[lasting[:-1]]):
            lane[lasting] = _lowest_free(start[lasting], stop[lasting])
    order = np.lexsort((task, start, lane, resource))
    return Lanes(task[order], resource[order], lane[order])


def _lowest_free(start: IntArray, stop: IntArray) -> IntArray:
    """Give each span, in order of start, the lowest lane that no earlier span still holds."""
    lane = [0] * len(start)
    free: list[int] = []
    ending = np.argsort(stop, kind="stable").tolist()
    starts, stops = start.tolist(), stop.tolist()
    over = opened = 0
    for row, now in enumerate(starts):
        # Spans that end by now started before: all of them have lanes.
        while stops[ending[over]] <= now:
            insort(free, lane[ending[over]])
            over += 1
        if free:
            lane[row] = free.pop(0)
        else:
            lane[row] = opened
            opened += 1
    return np.array(lane, np.int64)
