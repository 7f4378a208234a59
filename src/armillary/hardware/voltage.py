"""Voltage that a clock needs, and what it does to energy.

In:  a chip's operating points and a clock in Hz. Out: volts; a factor on the energy of events.
"""

from __future__ import annotations

import numpy as np

from armillary.errors import InputError
from armillary.hardware.schema import Chip


def voltage_at(chip: Chip, clock_hz: float) -> float:
    """Return the volts that `clock_hz` needs, linear between the chip's operating points, constant outside of them.

    Raises:
        InputError: the chip has no operating points.
    """
    points = sorted((point.clock.value, point.voltage.value) for point in chip.operating_points)
    if not points:
        raise InputError(
            f"{chip.name} has no operating points", hint="add operating_points: [{clock: ..., voltage: ...}]"
        )
    clocks_hz, volts = zip(*points, strict=True)
    return float(np.interp(clock_hz, clocks_hz, volts))


def event_energy_factor(chip: Chip, clock_hz: float) -> float:
    """Return (V / V0)**2: what an event costs at `clock_hz` relative to the chip's own clock (energy = C V**2)."""
    return (voltage_at(chip, clock_hz) / voltage_at(chip, chip.clock.value)) ** 2
