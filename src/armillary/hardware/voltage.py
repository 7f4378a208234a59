"""A chip at another clock: the voltage that it needs, and what that does to energy and power.

In:  a `Chip` with operating points and a clock in Hz. Out: volts, or the chip at that clock.
Laws: energy of an event = C V**2, idle power = C V**2 f, leakage ~ V. DRAM and host link have supplies of their own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.errors import InputError
from armillary.hardware.quantity import Quantity
from armillary.hardware.schema import Chip


def voltage_at(chip: Chip, clock_hz: float) -> float:
    """Return the volts that `clock_hz` needs, linear between the chip's operating points.

    Raises:
        InputError: the chip has no operating points, or the clock lies outside of them.
    """
    points = sorted((point.clock.value, point.voltage.value) for point in chip.operating_points)
    if not points:
        raise InputError(
            f"{chip.name} has no operating points", hint="add operating_points: [{clock: ..., voltage: ...}]"
        )
    clocks_hz, volts = zip(*points, strict=True)
    if not clocks_hz[0] <= clock_hz <= clocks_hz[-1]:
        span = f"{clocks_hz[0] / 1e6:g} to {clocks_hz[-1] / 1e6:g} MHz"
        raise InputError(f"{chip.name} does not run at {clock_hz / 1e6:g} MHz", hint=f"its operating points: {span}")
    return float(np.interp(clock_hz, clocks_hz, volts))


def at_clock(chip: Chip, clock_hz: float) -> Chip:
    """Return `chip` at `clock_hz` and the voltage that this needs.

    Raises:
        InputError: as `voltage_at`, for the chip's own clock or the new one.
    """
    volts = voltage_at(chip, clock_hz) / voltage_at(chip, chip.clock.value)
    per_event, speed = volts**2, clock_hz / chip.clock.value
    energy = chip.energy
    return chip.model_copy(
        update={
            "clock": Quantity(clock_hz),
            "energy": energy.model_copy(
                update={
                    "mac": {dtype: _scaled(joules, per_event) for dtype, joules in energy.mac.items()},
                    "vector_element": _scaled(energy.vector_element, per_event),
                    "scratchpad": _scaled(energy.scratchpad, per_event),
                    "idle": _scaled(energy.idle, per_event * speed),
                    "leakage": _scaled(energy.leakage, volts),
                }
            ),
        }
    )


def _scaled(quantity: Quantity, factor: float) -> Quantity:
    return replace(quantity, value=quantity.value * factor, low=None, high=None)
