"""Sets of time, as sorted disjoint half-open intervals of ticks.

In:  starts and ends of any number of tasks, in any order, overlapping at will.
Out: `Intervals`: their union; unions, intersections and complements of such sets, and their lengths, all exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armillary.engine.graph import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """A set of time: [start[i], end[i]) with end[i] < start[i + 1]; shape (intervals,), ticks."""

    start: IntArray
    end: IntArray

    @property
    def ticks(self) -> int:
        """Length of the set."""
        return int((self.end - self.start).sum())

    def __len__(self) -> int:
        return len(self.start)

    def __or__(self, other: Intervals) -> Intervals:
        return union(np.concatenate([self.start, other.start]), np.concatenate([self.end, other.end]))

    def __and__(self, other: Intervals) -> Intervals:
        # At most two of the disjoint sets' intervals cover a tick, so the i-th end closes what the (i+1)-th start made.
        start = np.sort(np.concatenate([self.start, other.start]))[1:]
        end = np.sort(np.concatenate([self.end, other.end]))[:-1]
        both = start < end
        return Intervals(start[both], end[both])

    def outside(self, until: int) -> Intervals:
        """Return the part of [0, until) that the set leaves free; the set lies within it."""
        start = np.concatenate([np.zeros(1, np.int64), self.end])
        end = np.concatenate([self.start, np.array([until], np.int64)])
        free = start < end
        return Intervals(start[free], end[free])


def union(start: IntArray, end: IntArray) -> Intervals:
    """Return the set of ticks covered by at least one [start, end); empty ones cover nothing."""
    real = start < end
    start, end = np.sort(start[real]), np.sort(end[real])
    # With starts and ends sorted apart, nothing is open after the i-th end exactly if the next start comes later.
    gap = start[1:] > end[:-1]
    first = np.concatenate([np.ones(min(1, len(start)), np.bool_), gap])
    last = np.concatenate([gap, np.ones(min(1, len(end)), np.bool_)])
    return Intervals(start[first], end[last])
