"""Ideal cycles of operators, and their energy in Intel's public form.

In:  shapes, operators and element types of rows, and a chip with `operator_laws` and `power_factors`.
Out: ideal cycles (integers) and PV cycles: cycles at the dynamic power of the chip's worst operator; shape (rows,).
ideal = ceil(MACs / lanes of the element type); MACs = k**2 W H C I (conv, I < 16 counts as 16), k**2 W H C (depthwise,
pools), W H C (elementwise). energy = ideal * factor(operator, type, log2 I). Source: VPUNN's public headers.
"""

from __future__ import annotations

import numpy as np

from armillary.errors import InputError
from armillary.hardware import FACTOR_CHANNELS, Chip
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.laws.forms import FEW_INPUTS, Shapes


def ideal_cycles(shapes: Shapes, op: str, macs_per_cycle: int) -> IntArray:
    """Return the cycles of `op` when every lane works, shape (rows,)."""
    macs = shapes.width * shapes.height * shapes.outputs * shapes.taps
    if op == "conv":
        macs = macs * np.maximum(shapes.inputs, FEW_INPUTS)
    return np.asarray(-(-macs // macs_per_cycle), np.int64)


def energy_pv_cycles(ideal: IntArray, inputs: IntArray, op: str, dtype: str, chip: Chip) -> FloatArray:
    """Return ideal cycles times the power factor, linear in log2 of the input channels between the chip's points.

    Raises:
        InputError: the chip has no power factor of this operator in this element type.
    """
    factors = chip.power_factors
    row = factors.factors.get(dtype, {}).get(op) if factors is not None else None
    if row is None:
        raise InputError(f"{chip.name} has no power factor of {op} in {dtype}", hint="add it under power_factors")
    if len(row) == 1:
        return np.asarray(ideal * row[0], np.float64)
    return np.asarray(ideal * np.interp(np.log2(inputs), np.log2(FACTOR_CHANNELS), row), np.float64)
