"""What a lower clock gives and costs on a row: power shed, time lost.

In:  a GPU, how the requests of each priority split over prefill and decode, how the row's power splits.
Out: `Response`: factors on dynamic power and slow-downs over clocks, and the clocks that a loss allows.
Model: power = floor + dynamic (1 - g + g (f / f0)^alpha), g the share of dynamic power that GPUs draw;
       a request's time = sum over phases of share x (b f0 / f + 1 - b), phases.py equations 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError
from armillary.hardware.gpu import Gpu
from armillary.power.phases import dynamic_factor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long commands take, seconds, and how many readings late the meter is."""

    low_s: float
    high_s: float
    brake_s: float
    delay_readings: int
    brake_mhz: int


@dataclass(frozen=True, slots=True)
class Response:
    """What clocks do to a row.

    Raises:
        InputError: a share outside 0 to 1, or a floor that is negative.
    """

    gpu: Gpu
    floor_w: float  # of one server that has nothing to do
    gpu_share: float  # of dynamic power, drawn by GPUs
    low_share: float  # of dynamic power, drawn for requests of low priority
    low_bound: float  # share of the time of requests of low priority, as a whole, that scales with the clock
    high_bound: float

    def __post_init__(self) -> None:
        for name in ("gpu_share", "low_share", "low_bound", "high_bound"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"a share of {getattr(self, name)}", where=name, hint="0 to 1")
        if not self.floor_w >= 0:
            raise InputError(f"{self.floor_w} W", where="floor_w", hint="at least 0")

    @property
    def top_mhz(self) -> int:
        """Boost clock."""
        return self.gpu.boost_mhz

    def grid_mhz(self) -> IntArray:
        """Return the clocks that can be locked, ascending."""
        clocks = self.gpu.clocks
        lowest, step = round(clocks.lowest.value / 1e6), round(clocks.step.value / 1e6)
        return np.arange(lowest, self.top_mhz + 1, step)

    def power_factor(self, clock_mhz: npt.ArrayLike) -> FloatArray:
        """Return the factor on dynamic power of a server at `clock_mhz`."""
        return 1.0 - self.gpu_share + self.gpu_share * dynamic_factor(self.gpu, clock_mhz)

    def loss(self, clock_mhz: npt.ArrayLike, *, low: bool) -> FloatArray:
        """Return by how much longer requests take at `clock_mhz`, 0.02 = 2 %."""
        bound = self.low_bound if low else self.high_bound
        lost: FloatArray = bound * (self.top_mhz / np.asarray(clock_mhz, np.float64) - 1.0)
        return lost

    def lowest_clock(self, loss: float, *, low: bool) -> int:
        """Return the lowest clock of the grid at which requests lose at most `loss`."""
        grid = self.grid_mhz()
        return int(grid[np.argmax(self.loss(grid, low=low) <= loss + 1e-12)])
