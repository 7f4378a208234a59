"""Cycles and events of tiles of any layer: which cost function a tile takes.

In:  shapes of layers, and per tile its layer, positions, rows and channels.
Out: cycles on its engine, and bytes in the scratchpad, shape (tiles,).
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.costs import array_cycles, array_scratchpad_elements, depthwise_cycles, vector_cycles
from armillary.npu.geometry import FloatArray, Geometry, IntArray
from armillary.npu.place import Engine, Placement


def compute_cycles(
    shapes: Geometry,
    layer: IntArray,
    positions: IntArray,
    rows: IntArray,
    channels: IntArray,
    depth: IntArray,
    placement: Placement,
    chip: Chip,
) -> FloatArray:
    """Return the cycles of tiles of layers that share one placement, shape (tiles,).

    Args:
        shapes: all layers.
        layer: index of the layer of each tile, shape (tiles,).
        positions: output positions of the tile.
        rows: output rows of the tile.
        channels: output channels of the tile.
        depth: input channels of the tile, where sums may be split (`Geometry.depth`).
        placement: engine and element type of all these tiles.
        chip: rates and granules.
    """
    dtype = placement.dtype
    if placement.engine == Engine.VECTOR:
        share = _share(shapes, layer, rows, channels)
        return vector_cycles(
            shapes.in_elements[layer].astype(np.float64) * share,
            shapes.out_elements[layer].astype(np.float64) * share,
            shapes.taps[layer],
            shapes.passes[layer],
            chip,
            dtype,
        )
    summed = _summed(shapes, layer, depth)
    outputs = positions
    positions = _whole_positions(shapes, layer, positions, rows, chip)
    dense = array_cycles(
        positions,
        channels * shapes.widening[layer],
        np.maximum(summed, 1),
        shapes.group_outputs[layer] * shapes.widening[layer],
        np.maximum(shapes.each[layer], np.where(shapes.maps[layer] == 1, positions, 1)),
        shapes.repeats[layer],
        chip,
        dtype,
        window=shapes.window[layer],
    )
    cycles = np.where(summed > 0, dense, depthwise_cycles(positions, channels, shapes.taps[layer], chip, dtype))
    if chip.array.outputs_per_cycle is None:
        return cycles
    # A tile of some of the input channels makes as large a part of its outputs.
    made = outputs * channels * shapes.widening[layer] * shapes.repeats[layer] * depth / shapes.depth[layer]
    return np.asarray(np.maximum(cycles, made / chip.array.outputs_per_cycle[dtype]), np.float64)


def scratchpad_elements(
    shapes: Geometry,
    layer: IntArray,
    positions: IntArray,
    rows: IntArray,
    channels: IntArray,
    depth: IntArray,
    engine: Engine,
    chip: Chip,
) -> FloatArray:
    """Return the elements that tiles read and write in the scratchpad, shape (tiles,)."""
    share = _share(shapes, layer, rows, channels)
    through = (shapes.in_elements[layer] + shapes.out_elements[layer]).astype(np.float64) * share
    if engine == Engine.VECTOR:
        return through * shapes.passes[layer].astype(np.float64)
    dense = array_scratchpad_elements(
        positions, channels * shapes.widening[layer], _summed(shapes, layer, depth), shapes.each[layer], chip
    )
    # Depthwise layers read each input once (line buffers hold the window) and write each output once.
    return np.where(shapes.reduction[layer] > 0, dense * shapes.repeats[layer].astype(np.float64), through)


def _whole_positions(shapes: Geometry, layer: IntArray, positions: IntArray, rows: IntArray, chip: Chip) -> IntArray:
    """Return the output positions of tiles, those of feature maps in whole granules of rows and columns."""
    granules = chip.array.granules
    if granules.rows == granules.columns == 1:
        return positions
    columns = -(-shapes.positions[layer] // granules.columns) * granules.columns
    return np.where(shapes.maps[layer] == 1, -(-rows // granules.rows) * granules.rows * columns, positions)


def _summed(shapes: Geometry, layer: IntArray, depth: IntArray) -> IntArray:
    """Return the products that a tile of `depth` input channels sums for one output."""
    return shapes.reduction[layer] // shapes.depth[layer] * depth


def _share(shapes: Geometry, layer: IntArray, rows: IntArray, channels: IntArray) -> FloatArray:
    """Return the part of its layer that each tile is."""
    return np.asarray(rows * channels / (shapes.rows[layer] * shapes.outputs[layer]), np.float64)
