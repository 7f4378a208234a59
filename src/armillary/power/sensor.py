"""What a meter shows: a window over which it averages, a gain error, a delay, and times without any reading.

In:  `topology.Telemetry`, a seed, the length of a run.
Out: the `Meter` of a row, when telemetry is lost, and what a series of true power looks like through the meter.
Source: sampling windows and gain errors of GPU meters, arXiv 2312.02741 (a 25 ms window every 100 ms, +-5 %).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.engine.hash import component_id, uniforms
from armillary.power.row.state import Meter
from armillary.power.topology import Telemetry
from armillary.units import to_ticks

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

PPM: Final = 1_000_000
DAY_S: Final = 86_400.0
_GAIN, _LOSS = range(2)  # streams of draws


def meter_of(telemetry: Telemetry, *, seed: int, tick_s: float) -> Meter:
    """Return the meter of a run: its gain lies anywhere within the gain error, drawn once."""
    drawn = float(uniforms(1, seed, component_id("power.meter"), 0, _GAIN)[0])
    period = to_ticks(telemetry.period.value, tick_s)
    return Meter(
        period=period,
        delay=round(telemetry.delay.value / telemetry.period.value) * period,
        window=to_ticks(telemetry.window.value, tick_s),
        gain_ppm=round(PPM * (1.0 + telemetry.gain_error.value * (2.0 * drawn - 1.0))),
    )


def losses(telemetry: Telemetry, *, days: float, seed: int, tick_s: float) -> tuple[IntArray, IntArray]:
    """Return the ticks at which telemetry changes, and 1 where it is lost from then on, 0 where it is back."""
    expected = telemetry.losses_per_day * days
    if expected == 0.0 or telemetry.loss.value == 0.0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    count = int(expected + 6.0 * np.sqrt(expected) + 10.0)
    gaps = -np.log(uniforms(count, seed, component_id("power.meter"), 0, _LOSS)) * DAY_S / telemetry.losses_per_day
    begins = np.cumsum(gaps) + np.arange(count) * telemetry.loss.value  # one after the other
    begins = begins[begins < days * DAY_S]
    at_s = np.stack([begins, begins + telemetry.loss.value], axis=1).reshape(-1)
    return np.ceil(at_s / tick_s).astype(np.int64), np.tile([1, 0], len(begins))


def shown(power_w: FloatArray, step_s: float, telemetry: Telemetry, gain: float = 1.0) -> FloatArray:
    """Return what the meter shows of true power: one reading a period, as it arrives.

    Args:
        power_w: true power at steps of `step_s`, shape (steps,), watts.
        step_s: seconds of a step; the period, delay and window of the meter are rounded to steps.
        telemetry: of the row.
        gain: of this meter.

    Returns:
        Shape (readings,): reading k arrives at (k + 1) x period + delay.
    """
    period = max(1, round(telemetry.period.value / step_s))
    window = max(1, round(telemetry.window.value / step_s))
    total = np.concatenate([[0.0], np.cumsum(power_w)])
    at = np.arange(period, len(power_w) + 1, period)
    mean: FloatArray = gain * (total[at] - total[np.maximum(at - window, 0)]) / np.minimum(window, at)
    return mean
