"""The columns of the timeline view, taken from a `Timeline`.

In:  a timeline, static power, units of its pools, links whose traffic is to be shown.
Out: `TimelineColumns`: a lane for each server and for each link that tasks crossed without a server, a task on every
     lane it held; counters of power, pools and link rates. Tasks without length on no resource (joins) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from armillary.report.timeline_view import Counter, FloatArray, TimelineColumns
from armillary.timeline import Timeline, lanes
from armillary.timeline.power import FEMTOJOULE

_NOWHERE = "no resource"


def timeline_columns(
    timeline: Timeline,
    *,
    static_w: float = 0.0,
    pool_units: Mapping[str, str] | None = None,
    links: Sequence[str] = (),
    kind_colours: Mapping[str, str] | None = None,
) -> TimelineColumns:
    """Return what the timeline view shows of `timeline`.

    Args:
        timeline: the run.
        static_w: power drawn all the time, watts; the power strip is shown where it or the tasks' energy is not 0.
        pool_units: pool -> symbol of what its units are ("B"), for the pools to show; None shows all, as counts.
        links: links or arbiters whose bytes per second are shown.
        kind_colours: kind -> "#rrggbb", where a kind must keep one colour over several pages.

    Raises:
        InputError: an unknown pool or link.
    """
    placed = lanes(timeline)
    used = np.bincount(placed.resource[placed.resource >= 0], minlength=len(timeline.resources)) > 0
    shown = np.flatnonzero(used | np.array(_of_kind(timeline, "server"), np.bool_))
    names = [timeline.resources.names[index] for index in shown]
    lane = np.searchsorted(shown, placed.resource)
    if np.any(placed.resource < 0):
        lane = np.where(placed.resource < 0, len(names), lane)
        names.append(_NOWHERE)
    task = placed.task
    return TimelineColumns(
        lanes=names,
        names=timeline.labels,
        kinds=timeline.kinds,
        task_lane=lane,
        task_name=timeline.label[task],
        task_kind=timeline.kind[task],
        start_s=_seconds(timeline, timeline.start[task]),
        end_s=_seconds(timeline, timeline.stop[task]),
        bytes=timeline.bytes[task],
        energy_j=np.multiply(timeline.energy_fj[task], FEMTOJOULE, dtype=np.float64),
        cause=_causes(timeline, task),
        counters=_counters(timeline, static_w, pool_units, links),
        kind_colours=kind_colours or {},
    )


def _causes(timeline: Timeline, task: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first place of each cause among the placed tasks; one without a place (a join) gives way to its own cause."""
    place = np.full(len(timeline) + 1, -1)
    place[task[::-1]] = np.arange(len(task))[::-1]
    cause = np.append(timeline.cause, -1).astype(np.int64)
    found = cause[task]
    # Chains of joins are short; each pass steps over one.
    for _ in range(len(timeline)):
        unplaced = (found >= 0) & (place[found] < 0)
        if not unplaced.any():
            break
        found = np.where(unplaced, cause[found], found)
    return np.where(found >= 0, place[found], -1)


def _counters(
    timeline: Timeline, static_w: float, pool_units: Mapping[str, str] | None, links: Sequence[str]
) -> list[Counter]:
    counters = []
    if static_w or timeline.energy_sum_fj():
        power = timeline.power(static_w=static_w)
        counters.append(Counter("Power", "W", power.time_s, power.power_w))
    resources = timeline.resources
    pools = [name for name, is_pool in zip(resources.names, _of_kind(timeline, "pool"), strict=True) if is_pool]
    for name, unit in (dict.fromkeys(pools, "") if pool_units is None else pool_units).items():
        held = timeline.in_use(name)
        limit = float(resources.units[resources.index(name)])
        counters.append(Counter(name, unit, _seconds(timeline, held.tick), held.value.astype(np.float64), limit))
    for name in links:
        moved = timeline.moved_bytes(timeline.on(name))
        rate = moved.per_tick / timeline.tick_s
        limit = float(resources.capacity[resources.index(name)])
        counters.append(Counter(f"{name} traffic", "B/s", _seconds(timeline, moved.steps.tick), rate, limit))
    return counters


def _of_kind(timeline: Timeline, kind: str) -> list[bool]:
    """Tell for each resource whether it is of `kind` ("server", "pool", "link", "arbiter")."""
    return (timeline.frame("resources")["kind"] == kind).to_list()


def _seconds(timeline: Timeline, ticks: npt.NDArray[np.int64]) -> FloatArray:
    return np.multiply(ticks, timeline.tick_s, dtype=np.float64)
