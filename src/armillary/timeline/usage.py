"""How much of what each resource could have given was used.

In:  a `Timeline`. Out: shares of units x time (servers, pools) or of capacity x time (links, arbiters), 0..1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from armillary.engine.graph import FloatArray, IntArray, ResourceKind
from armillary.engine.trace import Status

if TYPE_CHECKING:
    from armillary.timeline.timeline import Timeline


def held_ticks(timeline: Timeline) -> IntArray:
    """Return units x ticks held of each server and pool (0 for links and arbiters), shape (resources,)."""
    held = np.zeros(len(timeline.resources), np.int64)
    ran = np.where(timeline.start >= 0, timeline.stop - timeline.start, 0)
    np.add.at(held, timeline.demands.index, timeline.demands.value * np.repeat(ran, np.diff(timeline.demands.offset)))
    np.add.at(held, timeline.leases.pool, timeline.leases.units * (timeline.leases.end - timeline.leases.start))
    return held


def utilisations(timeline: Timeline) -> FloatArray:
    """Return the used share of each resource, shape (resources,).

    A link's bytes count when their task is done; the capacity of a link or arbiter is integrated over its rate steps.
    """
    table, ticks = timeline.resources, timeline.ticks
    done = np.where(timeline.status == Status.DONE, timeline.bytes, 0.0)
    crossings = timeline.crossings
    moved = np.repeat(done, np.diff(crossings.offset)) * crossings.value
    carried = np.bincount(crossings.index, weights=moved, minlength=len(table))
    is_flow = (table.kind == ResourceKind.LINK) | (table.kind == ResourceKind.ARBITER)
    used = np.where(is_flow, carried, held_ticks(timeline))
    offered = np.where(is_flow, _capacity_over_run(timeline), table.units * float(ticks))
    return np.divide(used, offered, out=np.zeros(len(table)), where=offered > 0)


def _capacity_over_run(timeline: Timeline) -> FloatArray:
    """Integral of each capacity over the run."""
    steps, ticks = timeline.rate_steps, timeline.ticks
    offered = timeline.resources.capacity * (ticks * timeline.tick_s)
    for index in np.unique(steps.resource).tolist():
        mine = steps.resource == index
        edges = np.minimum(np.concatenate([[0], steps.tick[mine], [ticks]]), ticks)
        value = np.concatenate([timeline.resources.capacity[[index]], steps.value[mine]])
        offered[index] = float((value * (np.diff(edges) * timeline.tick_s)).sum())
    return offered
