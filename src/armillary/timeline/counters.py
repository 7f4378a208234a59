"""What the run used over time, one step function a resource, and power: the rows of tables and the tracks of traces.

In:  a `Timeline`. Out: `Counter`: units in use of a server or pool, bytes per second of a link or arbiter, watts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from armillary.engine.graph import FloatArray, IntArray, ResourceKind

if TYPE_CHECKING:
    from armillary.timeline.timeline import Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Counter:
    """`value[i]`, in `unit`, holds from `tick[i]` on; shape (steps,)."""

    name: str
    unit: str  # "units", "B/s", "W"
    tick: IntArray
    value: FloatArray


def resource_counter(timeline: Timeline, resource: int) -> Counter:
    """Return the counter of the resource with this index, under its name."""
    name = timeline.resources.names[resource]
    if timeline.resources.kind[resource] in (ResourceKind.LINK, ResourceKind.ARBITER):
        flow = timeline.moved_bytes(timeline.on(name))
        return Counter(name, "B/s", flow.steps.tick, flow.per_tick / timeline.tick_s)
    steps = timeline.in_use(name)
    return Counter(name, "units", steps.tick, steps.value.astype(np.float64))


def power_counter(timeline: Timeline, *, static_w: float = 0.0) -> Counter:
    """Return the counter "power"."""
    drawn = timeline.power(static_w=static_w)
    return Counter("power", "W", drawn.flow.steps.tick, drawn.power_w)
