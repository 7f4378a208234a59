"""What a power cap does to work: the clock at which the controller settles, and the lag until it acts.

In:  power and time of work at a clock, a cap.
Out: clock, time, and energy under the cap, as arrays.
Model: (1) the controller compares the power averaged over its lag with the cap, and settles at the clock where
           idle + (P - idle) (f / f_now)^alpha = cap, not below the lowest clock;
       (2) it acts `lag` after work began: the first part runs at the clock of before, so a shorter spike passes;
       (3) the rest takes b f_now / f + 1 - b times as long (power/phases.py, equation 4).
The default limit changes nothing here: what was fitted was measured under it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.hardware.gpu import Gpu
from armillary.power.phases import FloatArray


@dataclass(frozen=True, slots=True)
class Capped:
    """Work under a cap, each field of the shape of the arguments."""

    clock_mhz: FloatArray  # that the controller settles at
    seconds: FloatArray
    power_w: FloatArray  # once settled
    mean_w: FloatArray  # over all of it


def settled_clock_mhz(gpu: Gpu, power_w: npt.ArrayLike, cap_w: npt.ArrayLike, clock_mhz: npt.ArrayLike) -> FloatArray:
    """Return the clock at which work that draws `power_w` at `clock_mhz` draws `cap_w` (equation 1).

    Args:
        gpu: idle power, exponent and lowest clock.
        power_w: mean power of one GPU at `clock_mhz`.
        cap_w: the cap; at or above the default limit it does not bind.
        clock_mhz: the clock without the cap.
    """
    power, cap, clock = (np.asarray(value, np.float64) for value in (power_w, cap_w, clock_mhz))
    idle, lowest = gpu.power.idle.value, gpu.clocks.lowest.value / 1e6
    share = (cap - idle) / np.maximum(power - idle, 1e-9)
    binds = (power > cap) & (cap < gpu.power.limit.value)
    factor = np.where(binds, np.clip(share, 1e-9, 1.0) ** (1.0 / gpu.power.exponent.value), 1.0)
    settled: FloatArray = np.maximum(clock * factor, np.minimum(lowest, clock))
    return settled


def under_cap(
    gpu: Gpu,
    *,
    seconds: npt.ArrayLike,
    power_w: npt.ArrayLike,
    bound: npt.ArrayLike,
    cap_w: npt.ArrayLike,
    clock_mhz: npt.ArrayLike,
    lag_s: float,
) -> Capped:
    """Return time and power of work under a cap.

    Args:
        gpu: idle power, exponent and lowest clock.
        seconds: time of the work at `clock_mhz`.
        power_w: its mean power at `clock_mhz`.
        bound: share b of that time which scales with the clock.
        cap_w: the cap.
        clock_mhz: the clock without the cap.
        lag_s: from the begin of the work until the clock is lower; 0 when it goes on as work before it did.
    """
    duration, power, b = (np.asarray(value, np.float64) for value in (seconds, power_w, bound))
    clock = settled_clock_mhz(gpu, power, cap_w, clock_mhz)
    share = clock / np.asarray(clock_mhz, np.float64)
    first = np.minimum(duration, lag_s)
    rest = (duration - first) * (b / share + 1.0 - b)
    idle = gpu.power.idle.value
    settled = idle + (power - idle) * share**gpu.power.exponent.value
    total = first + rest
    energy = first * power + rest * settled
    mean: FloatArray = np.divide(energy, total, out=np.array(settled), where=total > 0)
    return Capped(clock, total, settled, mean)
