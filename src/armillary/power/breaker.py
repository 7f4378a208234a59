"""How a breaker heats: from points (load, time to trip) to heat per tick at each per mille of the budget.

In:  `topology.Breaker`. Out: an array for `row.statistics`; heat 1 trips.
Model: at constant load the heat rises linearly, so that it trips after the time of the curve, which is interpolated
       between its points in the logarithm of both; below the first point the breaker cools.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.power.topology import Breaker

HIGHEST: Final = 3000  # per mille of the budget; more counts as that


def heating(breaker: Breaker, tick_s: float) -> npt.NDArray[np.float64]:
    """Return the heat per tick at n per mille of the budget, shape (HIGHEST,); negative below the curve."""
    load = np.arange(HIGHEST) / 1000.0
    points = np.array([(point.load, point.trips_after.value) for point in breaker.curve])
    trips_s = np.exp(np.interp(np.log(np.maximum(load, 1e-3)), np.log(points[:, 0]), np.log(points[:, 1])))
    heat: npt.NDArray[np.float64] = np.where(load < points[0, 0], -tick_s / breaker.cools_in.value, tick_s / trips_s)
    return heat
