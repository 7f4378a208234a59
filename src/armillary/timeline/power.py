"""Power over time, whose integral is the energy of the tasks, to the femtojoule.

In:  a `Timeline` and a static power. Out: `Power`: a step function in watts, exact energy up to any tick, means over
bins. Rounding (timeline/steps.py): power is kept in integers of 2**-fraction_bits femtojoules per tick; a task's
remainder goes to its first ticks. A task without duration spends its energy in the tick at which it stands. Static
power is one more task, from 0 to the end of the run, of its energy rounded to femtojoules.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from armillary.engine.graph import FloatArray, IntArray
from armillary.errors import InputError
from armillary.timeline.steps import Spread, spread

if TYPE_CHECKING:
    from armillary.timeline.timeline import Mask, Timeline

FEMTOJOULE = 1e-15
MOST_JOULES = 2.0**61 * FEMTOJOULE  # of a run: beyond it sums are no longer exact (timeline/steps.py)


@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """Power over a run of `ticks` ticks."""

    tick_s: float
    ticks: int
    energy_fj: int  # all of it
    flow: Spread  # femtojoules

    @property
    def time_s(self) -> FloatArray:
        """Seconds from which each value of `power_w` holds, shape (steps,)."""
        return np.multiply(self.flow.steps.tick, self.tick_s, dtype=np.float64)

    @property
    def power_w(self) -> FloatArray:
        """Watts from each of `time_s` on, shape (steps,); 0 after the last."""
        return self.flow.per_tick * (FEMTOJOULE / self.tick_s)

    @property
    def peak_w(self) -> float:
        """Largest power, watts."""
        return float(self.power_w.max())

    @property
    def mean_w(self) -> float:
        """Energy over the length of the run, watts (0 for an empty run)."""
        return self.energy_fj * FEMTOJOULE / (self.ticks * self.tick_s) if self.ticks else 0.0

    def energy_in_bins_fj(self, edges: IntArray) -> IntArray:
        """Return the energy between neighbouring ticks of `edges`, shape (edges - 1,), whole femtojoules.

        Neighbouring bins add up exactly: the sum over bins is the energy between the first and the last edge.
        """
        return np.diff(self.flow.until(edges))

    def mean_in_bins_w(self, bins: int) -> tuple[FloatArray, FloatArray]:
        """Return `bins + 1` edges in seconds and the mean power between them in watts, over the whole run.

        Raises:
            InputError: no bins, or more bins than ticks.
        """
        if not 0 < bins <= max(self.ticks, 1):
            raise InputError(f"{bins} bins for a run of {self.ticks} ticks")
        edges = np.linspace(0, self.ticks, bins + 1).astype(np.int64)
        edges[-1] = self.ticks
        width_s = np.maximum(np.diff(edges), 1) * self.tick_s
        edges_s = np.multiply(edges, self.tick_s, dtype=np.float64)
        return edges_s, self.energy_in_bins_fj(edges) * FEMTOJOULE / width_s


def power(timeline: Timeline, *, static_w: float, tasks: Mask | None) -> Power:
    """Return the power of `tasks` (None: all) and of a static draw over the run."""
    if not (isfinite(static_w) and static_w >= 0):
        raise InputError(f"a static power of {static_w} W", hint="use a finite value >= 0")
    chosen = timeline.start >= 0 if tasks is None else (timeline.start >= 0) & tasks
    static_j = static_w * timeline.makespan_s
    if static_j >= MOST_JOULES:
        raise InputError(
            f"{static_w:.3g} W over {timeline.makespan_s:.3g} s is too much for exact sums",
            hint=f"{MOST_JOULES:.3g} J is the limit",
        )
    static_fj = round(static_j / FEMTOJOULE)
    energy = np.append(timeline.energy_fj[chosen], np.int64(static_fj))
    start, stop = np.append(timeline.start[chosen], 0), np.append(timeline.stop[chosen], timeline.ticks)
    return Power(timeline.tick_s, timeline.ticks, int(energy.sum()), spread(start, stop, energy))
