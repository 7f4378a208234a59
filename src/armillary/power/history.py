"""A history of row power, and how fast it rises: what thresholds are trained on.

In:  power at a constant interval, the servers that drew it, the budget.
Out: `PowerHistory`; the largest rise within a time, by day; intervals of it by resampling days.
A rise within w is u(t) - min of u over [t - w, t]. Lost readings (NaN) are bridged by no value: they neither begin nor
end a rise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError
from armillary.stats import Interval

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_S = 86_400.0
EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True, eq=False)
class PowerHistory:
    """Power of a row at a constant interval.

    Raises:
        InputError: fewer than two readings, a negative one, no budget, servers or interval.
    """

    interval_s: float
    power_w: FloatArray  # shape (readings,); NaN where a reading was lost
    servers: int
    budget_w: float

    def __post_init__(self) -> None:
        if len(self.power_w) < 2 or np.isnan(self.power_w).all():
            raise InputError(f"{len(self.power_w)} readings", where="history", hint="at least two, in ascending order")
        if float(np.nanmin(self.power_w)) < 0 or not np.isfinite(self.power_w[~np.isnan(self.power_w)]).all():
            raise InputError("a reading is negative or not finite", where="history")
        if not (self.interval_s > 0 and self.budget_w > 0 and self.servers > 0):
            raise InputError("interval, budget and servers must be positive", where="history")

    @property
    def utilisation(self) -> FloatArray:
        """Share of the budget, shape (readings,)."""
        shares: FloatArray = self.power_w / self.budget_w
        return shares

    @property
    def day(self) -> IntArray:
        """Number of the day of each reading, shape (readings,)."""
        return (np.arange(len(self.power_w)) * self.interval_s // DAY_S).astype(np.int64)

    @property
    def days(self) -> int:
        """Days begun."""
        return int(self.day[-1]) + 1


def rises(history: PowerHistory, within_s: float) -> FloatArray:
    """Return how far utilisation lies above its least value of the last `within_s`, shape (readings,); NaN: no reading.

    Raises:
        InputError: `within_s` is shorter than the interval of the history, which cannot show such a rise.
    """
    length = int(within_s / history.interval_s + 1e-9)
    if length < 1:
        raise InputError(
            f"readings every {history.interval_s:g} s cannot show a rise within {within_s:g} s",
            where="history",
            hint="give a history with a shorter interval",
        )
    from scipy.ndimage import minimum_filter1d

    u = history.utilisation
    known = np.where(np.isnan(u), np.inf, u)
    # The window ends at the reading: shift the centred filter by half its length.
    least = minimum_filter1d(known, length + 1, mode="constant", cval=np.inf, origin=length // 2)
    rise: FloatArray = u - least
    return rise


def daily_largest(history: PowerHistory, within_s: float) -> FloatArray:
    """Return the largest rise of each day, shares of the budget, shape (days,)."""
    rise = rises(history, within_s)
    largest = np.zeros(history.days)
    known = ~np.isnan(rise)
    np.maximum.at(largest, history.day[known], rise[known])
    return largest


def resampled_days(days: int, resamples: int, seed: int) -> IntArray:
    """Return `resamples` draws of `days` days with replacement, shape (resamples, days): the blocks of a bootstrap."""
    return np.random.default_rng([seed, days]).integers(0, days, (resamples, days))


def largest_interval(daily: FloatArray, *, resamples: int, seed: int, confidence: float = 0.95) -> Interval:
    """Return the largest of `daily` with its interval from resampled days.

    No resample exceeds what was seen, so the upper bound is the return level of a Gumbel law fitted to the daily
    maxima by moments: what is exceeded with probability (1 - confidence) / 2 in as many days again.
    """
    value = float(daily.max())
    low = float(np.quantile(daily[resampled_days(len(daily), resamples, seed)].max(axis=1), (1 - confidence) / 2))
    return Interval(low, value, max(value, return_level(daily, len(daily), (1 - confidence) / 2)))


def return_level(daily: FloatArray, days: float, probability: float) -> float:
    """Return what the largest of `days` further days exceeds with `probability`.

    Source: Gumbel law of maxima, location and scale by moments; the maximum of n days is the same law moved by
    scale x ln n.
    """
    if len(daily) < 2:
        return float(daily.max())
    scale = float(daily.std(ddof=1)) * np.sqrt(6.0) / np.pi
    location = float(daily.mean()) - EULER * scale
    return float(location + scale * (np.log(days) - np.log(-np.log1p(-probability))))
