"""The user's own history of row power: read, checked, and turned into a load that reproduces it.

In:  a CSV file with the columns `time_s` (or `timestamp`, ISO 8601) and `power_w`, in ascending time.
Out: `RowPower`; `replayed` makes the load that follows it bin by bin, `weekly` the mean working day and weekend day of
it, for weeks that were not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError
from armillary.power.csv_columns import read_columns
from armillary.power.load import BIN_S, DAY_S, LoadCurve
from armillary.power.steady import load_at

if TYPE_CHECKING:
    from armillary.power.row.assemble import Assembly

FloatArray = npt.NDArray[np.float64]
SLOT_S: Final = 900.0  # of a mean day


@dataclass(frozen=True, slots=True)
class RowPower:
    """Power of a row over time, shape (readings,)."""

    time_s: FloatArray  # from the first reading on
    power_w: FloatArray
    start_s: float  # time of the first reading since a Monday at midnight (0 where the file does not tell)

    @property
    def step_s(self) -> float:
        """Median time between readings."""
        return float(np.median(np.diff(self.time_s)))

    def means(self, bin_s: float) -> FloatArray:
        """Return the mean power of bins from the first reading on; a bin without readings takes the one before."""
        place = np.floor(self.time_s / bin_s).astype(np.int64)
        count = np.bincount(place)
        total = np.bincount(place, self.power_w)
        held = np.maximum.accumulate(np.where(count > 0, np.arange(len(count)), 0))
        means: FloatArray = (total / np.maximum(count, 1))[held]
        return means


def read_row_power(path: str | Path) -> RowPower:
    """Read a history of row power.

    Raises:
        InputError: no such file, a column is missing, a value is no number or negative, times do not ascend, or fewer
            than two readings; names the line.
    """
    columns = read_columns(path, ("power_w",), either=("time_s", "timestamp"))
    power = columns.numbers("power_w", least=0.0)
    start_s = 0.0
    if "time_s" in columns.names:
        time = columns.numbers("time_s")
    else:
        stamps = columns.times("timestamp")
        time = np.array([stamp.timestamp() for stamp in stamps])
        start_s = _since_monday(stamps[0])
    columns.ascending(time, strictly=True)
    if len(time) < 2:
        raise InputError("fewer than two readings", where=str(path))
    return RowPower(time - time[0], power, start_s)


def replayed(power: RowPower, assembly: Assembly, *, scale: float = 1.0) -> LoadCurve:
    """Return the load under which the row draws what `power` says, bin by bin.

    Args:
        power: measured.
        assembly: the row; power beyond what it can draw counts as all it can.
        scale: servers of the assembly over servers of the measured row.
    """
    bin_s = max(BIN_S, power.step_s)
    return LoadCurve(bin_s, load_at(assembly, scale * power.means(bin_s)))


def weekly(power: RowPower, assembly: Assembly, *, days: float, scale: float = 1.0) -> LoadCurve:
    """Return `days` days, from a Monday on, of the mean working day and the mean weekend day of `power`."""
    means = power.means(SLOT_S)
    at_s = power.start_s + (np.arange(len(means)) + 0.5) * SLOT_S
    slots = int(DAY_S / SLOT_S)
    slot = (at_s % DAY_S / SLOT_S).astype(np.int64)
    weekend = (at_s // DAY_S).astype(np.int64) % 7 >= 5
    profile = np.zeros((2, slots))
    for kind in (0, 1):
        chosen = weekend == kind if (weekend == kind).any() else np.ones_like(weekend)
        count = np.bincount(slot[chosen], minlength=slots)
        mean = np.bincount(slot[chosen], means[chosen], slots) / np.maximum(count, 1)
        known = np.flatnonzero(count)
        profile[kind] = np.interp(np.arange(slots), known, mean[known], period=slots)
    index = np.arange(int(np.ceil(days * DAY_S / SLOT_S)))
    kinds = (index // slots % 7 >= 5).astype(np.int64)
    return LoadCurve(SLOT_S, load_at(assembly, scale * profile[kinds, index % slots]))


def _since_monday(stamp: datetime) -> float:
    return stamp.weekday() * DAY_S + stamp.hour * 3600.0 + stamp.minute * 60.0 + stamp.second
