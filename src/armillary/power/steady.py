"""Mean power of a row at a constant load, and the load that a power stands for.

In:  an `Assembly`. Out: `mean_power_w(load)`, and its inverse.
Model: a class serves rate = load x rate at load 1. A server with n requests in decode serves 1 / (prefill + output x
       step(n) / n); below the rate of n = 1 it is idle for part of the time, above it n follows from the rate.
       Power is that of prefill and decode by their shares of time. Spread over the servers evenly, no queueing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.power.row.assemble import Assembly
from armillary.power.row.records import TICK_S

FloatArray = npt.NDArray[np.float64]
GRID = np.linspace(0.0, 1.0, 201)


def mean_power_w(assembly: Assembly, load: npt.ArrayLike) -> FloatArray:
    """Return the mean power of the row at each load (at most 1: all that it can serve), watts."""
    load = np.clip(np.asarray(load, np.float64), 0.0, 1.0)
    total = np.zeros_like(load)
    for group, (table, source) in enumerate(zip(assembly.tables, assembly.sources, strict=True)):
        record = assembly.classes[group]
        servers = int(record["lanes"])
        prompt = (source.prompt.low + source.prompt.high) / 2
        output = (source.output.low + source.output.high) / 2
        batch = np.arange(1, len(table.step))
        middle = round(prompt) - table.lowest_prompt
        prefill_s = float(table.prefill[middle]) * TICK_S
        step_s = (table.step[1:] + batch * table.cache_step * (prompt + output / 2)) * TICK_S
        most = 1.0 / (prefill_s + output * step_s / batch)  # requests a second of one server with n in decode
        rate = load * source.rate_per_s / servers
        busy = np.minimum(rate / most[0], 1.0)
        prefilling = np.minimum(rate * prefill_s, busy)
        decode_mw = np.interp(rate, most, table.dynamic_mw[1:])
        dynamic_mw = prefilling * float(table.prefill_mw[middle]) + (busy - prefilling) * decode_mw
        total += servers * (float(record["idle_mw"]) + busy * float(record["busy_mw"]) + dynamic_mw) * 1e-3
    return total


def load_at(assembly: Assembly, power_w: npt.ArrayLike) -> FloatArray:
    """Return the load at which the row draws `power_w` on average; 0 and 1 outside of what it can draw."""
    return np.interp(np.asarray(power_w, np.float64), mean_power_w(assembly, GRID), GRID)
