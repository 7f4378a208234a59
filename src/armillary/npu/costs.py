"""Cycles, on-chip traffic and energy of tiles, as pure functions of arrays.

In:  tile sizes (shape (tiles,), elements) and a `Chip`.
Out: cycles of the array or vector engine, bytes read and written in the scratchpad, joules.
Model: the array takes `granules.reduction` products for `granules.outputs` channels a cycle, one output position after
the other, and needs `granules.positions` cycles at least to load the weights of a pass; what does not fill a granule
pays for a whole one. Depthwise layers have nothing to reduce over input channels and run at their own rate.
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.geometry import FloatArray, IntArray


def array_cycles(
    positions: IntArray,
    outputs: IntArray,
    reduction: IntArray,
    group_outputs: IntArray,
    each: IntArray,
    repeats: IntArray,
    chip: Chip,
    dtype: str,
    *,
    window: IntArray | int = 1,
) -> FloatArray:
    """Cycles of convolutions, gemms and products of matrices on the array.

    Args:
        positions: output positions, shape (tiles,).
        outputs: output channels of the tile.
        reduction: products summed for one output.
        group_outputs: output channels that share their inputs.
        each: output positions that share their weights; a tile may hold several such products and a part of one.
        repeats: times that the product is done one after the other.
        chip: granules, lanes, efficiency.
        dtype: element type.
        window: products of one input channel among the `reduction`.

    cycles = repeats * groups * ceil(reduction / G_r) * ceil(outputs of a group / G_o) * (w max(each, G_p) + [rest > 0]
    max(rest, G_p)) * s / eff, with positions = w each + rest, s = G_r * G_o / (lanes of the dtype).
    """
    granules = chip.array.granules
    groups = _ceil(outputs, group_outputs)
    passes = (
        groups
        * _reduction_passes(reduction, window, chip)
        * _ceil(np.minimum(outputs, group_outputs), granules.outputs)
    )
    slowdown = granules.reduction * granules.outputs / chip.array.macs_per_cycle[dtype]
    whole, rest = np.divmod(positions, each)
    taken = whole * np.maximum(each, granules.positions) + (rest > 0) * np.maximum(rest, granules.positions)
    cycles = repeats * passes * taken
    return np.asarray(cycles * slowdown / chip.array.efficiency.value, np.float64)


def depthwise_cycles(positions: IntArray, outputs: IntArray, taps: IntArray, chip: Chip, dtype: str) -> FloatArray:
    """Cycles of depthwise convolutions: whole granules of channels and of `taps`, products of an output."""
    rates = chip.array.depthwise_macs_per_cycle or chip.array.macs_per_cycle
    granules = chip.array.granules
    channels = _ceil(outputs, granules.outputs) * granules.outputs
    whole_taps = _ceil(taps, granules.taps) * granules.taps
    return np.asarray(positions * channels * whole_taps / rates[dtype] / chip.array.efficiency.value, np.float64)


def vector_cycles(
    in_elements: FloatArray, out_elements: FloatArray, taps: IntArray, passes: IntArray, chip: Chip, dtype: str
) -> FloatArray:
    """Cycles of the vector engine: it reads every input element, and `taps` of them for each output of a window."""
    cycles = passes * np.maximum(in_elements, out_elements * taps) / chip.vector.elements_per_cycle[dtype]
    return np.asarray(cycles, np.float64)


def array_scratchpad_elements(
    positions: IntArray, outputs: IntArray, reduction: IntArray, each: IntArray, chip: Chip
) -> FloatArray:
    """Elements that the array reads and writes.

    Inputs once a pass over output channels, outputs once, weights once for every `each` positions.
    """
    passes = _ceil(outputs, chip.array.granules.outputs)
    return np.asarray(
        positions * reduction * passes + reduction * outputs * _ceil(positions, each) + positions * outputs, np.float64
    )


def _reduction_passes(reduction: IntArray, window: IntArray | int, chip: Chip) -> IntArray:
    """Return the passes over `reduction` products, of which an input channel has `window`.

    Where input channels have a granule G_c, the fewer of ceil(window / (G_r / G_c)) ceil(channels / G_c), several
    elements of the window at once, and window ceil(channels / G_r), one element at a time.
    """
    granules = chip.array.granules
    if granules.channels is None:
        return _ceil(reduction, granules.reduction)
    channels = reduction // window
    several = _ceil(np.asarray(window), max(1, granules.reduction // granules.channels)) * _ceil(
        channels, granules.channels
    )
    return np.asarray(np.minimum(several, window * _ceil(channels, granules.reduction)), np.int64)


def _ceil(number: IntArray, divisor: IntArray | int) -> IntArray:
    return -(-number // divisor)
