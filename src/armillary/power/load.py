"""How busy a row is over time: a curve of the week, slow noise and bursts.

In:  `topology.Load`, days, a seed; or the user's own curve.
Out: `LoadCurve`: load in bins of equal length, the same for every policy and number of servers.
Model: load(t) = peak x day(t) x week(t) x (1 + noise(t)) x (1 + bursts(t)); day is a raised cosine from `night` to 1,
       noise is an Ornstein-Uhlenbeck process; bursts begin at random, their heights and lengths are exponential.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.engine.hash import component_id, uniforms
from armillary.errors import InputError
from armillary.power.topology import Load

FloatArray = npt.NDArray[np.float64]

BIN_S: Final = 60.0
DAY_S: Final = 86_400.0
LARGEST: Final = 4.0  # of what the servers can serve: a burst beyond that is a mistake of the input
_NOISE, _BURST_AT, _BURST_HEIGHT, _BURST_LENGTH = range(4)  # streams of draws


@dataclass(frozen=True, slots=True)
class LoadCurve:
    """Load of all services in bins of `bin_s` seconds from a Monday at midnight on, shape (bins,), 1: all served."""

    bin_s: float
    load: FloatArray

    def __post_init__(self) -> None:
        if not (np.isfinite(self.load).all() and (self.load >= 0).all() and self.bin_s > 0):
            raise InputError("a load that is negative or not a number", where="load", hint="use shares from 0 on")

    def warmed(self, warm_s: float) -> LoadCurve:
        """Return the curve with at least `warm_s` seconds of its first load before it, a whole number of bins."""
        bins = int(np.ceil(warm_s / self.bin_s))
        return LoadCurve(self.bin_s, np.concatenate([np.full(bins, self.load[0]), self.load]))

    @property
    def seconds(self) -> float:
        """Length of the curve."""
        return self.bin_s * len(self.load)


def load_curve(load: Load, *, days: float, seed: int) -> LoadCurve:
    """Return the load of `days` days, with noise and bursts of `seed`."""
    bins = int(np.ceil(days * DAY_S / BIN_S))
    shape = week_shape(load, bins)
    noisy = shape * np.maximum(0.0, 1.0 + _noise(load, bins, seed)) * (1.0 + _bursts(load, bins, seed))
    return LoadCurve(BIN_S, np.minimum(load.peak.value * noisy, LARGEST))


def week_shape(load: Load, bins: int) -> FloatArray:
    """Return the curve of day and week, at most 1, without noise; the week begins on a Monday."""
    middle_s = (np.arange(bins) + 0.5) * BIN_S
    hour = middle_s % DAY_S / 3600.0
    low = load.night.value
    day = low + (1.0 - low) * 0.5 * (1.0 + np.cos(2.0 * np.pi * (hour - load.peak_hour) / 24.0))
    weekend = (middle_s // DAY_S).astype(np.int64) % 7 >= 5
    shape: FloatArray = day * np.where(weekend, load.weekend.value, 1.0)
    return shape


def _noise(load: Load, bins: int, seed: int) -> FloatArray:
    """Return an Ornstein-Uhlenbeck process at the bins, of the standard deviation asked for."""
    if load.noise.value == 0.0 or load.noise_time.value == 0.0:
        return np.zeros(bins)
    from scipy.special import ndtri

    keep = float(np.exp(-BIN_S / load.noise_time.value))
    steps = ndtri(uniforms(bins, seed, component_id("power.load"), 0, _NOISE))
    steps[1:] *= np.sqrt(1.0 - keep**2)
    values = accumulate(steps.tolist(), lambda before, step: keep * before + step)
    return load.noise.value * np.fromiter(values, np.float64, bins)


def _bursts(load: Load, bins: int, seed: int) -> FloatArray:
    """Return the sum of the heights of the bursts that are on in each bin."""
    raised = np.zeros(bins + 1)
    if load.bursts_per_day == 0.0 or load.burst.value == 0.0:
        return raised[:bins]
    expected = load.bursts_per_day * bins * BIN_S / DAY_S
    count = int(expected + 6.0 * np.sqrt(expected) + 10.0)
    component = component_id("power.load")
    draws = [-np.log(uniforms(count, seed, component, 0, at)) for at in (_BURST_AT, _BURST_HEIGHT, _BURST_LENGTH)]
    first = np.cumsum(draws[0]) * DAY_S / load.bursts_per_day / BIN_S
    height = draws[1] * load.burst.value
    last = first + np.maximum(1.0, draws[2] * load.burst_time.value / BIN_S)
    begun = first < bins
    np.add.at(raised, first[begun].astype(np.int64), height[begun])
    np.add.at(raised, np.minimum(last[begun], bins).astype(np.int64), -height[begun])
    return np.maximum(0.0, np.cumsum(raised)[:bins])
