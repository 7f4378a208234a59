"""The statistics of concurrency: how long each class of work ran, alone and together with the others.

In:  a `Timeline` and named sets of its tasks ("dma", "dpu", "sw").
Out: seconds under the names of the Intel NPU schedule trace (specification: total, unions, overlaps, idle, sums):
`total_s, union_s, idle_s`; for each class `{a}_s` (a union), `{a}_sum_s`, `{a}_alone_s`; for each pair in the order
given `{a}_{b}_overlap_s` and, both ways, `{a}_without_{b}_s`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from armillary.timeline.intervals import Intervals
from armillary.timeline.timeline import Mask, Timeline


def class_times_s(timeline: Timeline, classes: Mapping[str, Mask]) -> dict[str, float]:
    """Return the seconds of each class and pair of classes; see the module."""
    busy = {name: timeline.busy_intervals(tasks) for name, tasks in classes.items()}
    everything = timeline.busy_intervals()
    ticks = {"total_s": timeline.ticks, "union_s": everything.ticks, "idle_s": timeline.ticks - everything.ticks}
    nothing = Intervals(np.zeros(0, np.int64), np.zeros(0, np.int64))
    for name, own in busy.items():
        others = nothing
        for other, set_ in busy.items():
            others = others if other == name else others | set_
        chosen = classes[name] & (timeline.start >= 0)
        ticks[f"{name}_s"] = own.ticks
        ticks[f"{name}_sum_s"] = int((timeline.stop[chosen] - timeline.start[chosen]).sum())
        ticks[f"{name}_alone_s"] = own.ticks - (own & others).ticks
    for first, second in combinations(busy, 2):
        both = (busy[first] & busy[second]).ticks
        ticks[f"{first}_{second}_overlap_s"] = both
        ticks[f"{first}_without_{second}_s"] = busy[first].ticks - both
        ticks[f"{second}_without_{first}_s"] = busy[second].ticks - both
    return {name: count * timeline.tick_s for name, count in ticks.items()}
