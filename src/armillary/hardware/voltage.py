"""A chip at another operating point: the voltage that a clock needs, and what the two do to energy and power.

In:  a `Chip` with operating points, a clock in Hz, volts. Out: volts, hertz, or the chip at that point.
Laws: energy of an event = C V**2, idle power = C V**2 f, leakage ~ V. DRAM and host link have supplies of their own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.errors import InputError
from armillary.hardware.quantity import Quantity
from armillary.hardware.schema import Chip

_SAME = 1e-9  # share by which a clock may miss the fastest one of a voltage, for rounding


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


def fastest_at(chip: Chip, volts: float) -> float:
    """Return the highest clock in Hz that `volts` allow, linear between the chip's operating points.

    Raises:
        InputError: the chip has no operating points, or the voltage lies outside of them.
    """
    lowest, highest = _ends(chip)
    if not lowest[1] <= volts <= highest[1]:
        span = f"{lowest[1]:g} to {highest[1]:g} V"
        raise InputError(f"{chip.name} does not run at {volts:g} V", hint=f"its operating points: {span}")
    points = sorted((point.voltage.value, point.clock.value) for point in chip.operating_points)
    return float(np.interp(volts, [at for at, _ in points], [clock_hz for _, clock_hz in points]))


def at_clock(chip: Chip, clock_hz: float) -> Chip:
    """Return `chip` at `clock_hz` and the voltage that this needs.

    Raises:
        InputError: as `voltage_at`, for the chip's own clock or the new one.
    """
    return at_point(chip, clock_hz=clock_hz)


def at_point(chip: Chip, *, clock_hz: float | None = None, volts: float | None = None) -> Chip:
    """Return `chip` at a clock, a voltage, or both.

    Args:
        chip: with operating points.
        clock_hz: absent: the fastest that `volts` allow.
        volts: absent: as few as `clock_hz` needs; more than these may be given, up to the highest operating point.

    Raises:
        InputError: the chip has no operating points, the point lies outside of them, or too few volts for the clock.
    """
    if clock_hz is None and volts is None:
        return chip
    if clock_hz is None:
        assert volts is not None
        clock_hz = fastest_at(chip, volts)
    needed = voltage_at(chip, clock_hz)
    if volts is not None and fastest_at(chip, volts) < clock_hz * (1 - _SAME):
        raise InputError(
            f"{chip.name} needs {needed:.3g} V for {clock_hz / 1e6:g} MHz, not {volts:g} V",
            hint=f"give {needed:.3g} V or more, or {fastest_at(chip, volts) / 1e6:.4g} MHz or less",
        )
    return _scaled_to(chip, clock_hz, needed if volts is None else volts)


def _ends(chip: Chip) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the slowest and the fastest operating point, each (Hz, V)."""
    voltage_at(chip, chip.clock.value)  # refuses a chip without points
    points = sorted((point.clock.value, point.voltage.value) for point in chip.operating_points)
    return points[0], points[-1]


def _scaled_to(chip: Chip, clock_hz: float, at_volts: float) -> Chip:
    volts = at_volts / voltage_at(chip, chip.clock.value)
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
