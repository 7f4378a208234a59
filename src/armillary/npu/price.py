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
    dense = array_cycles(
        positions,
        channels * shapes.widening[layer],
        np.maximum(summed, 1),
        shapes.group_outputs[layer] * shapes.widening[layer],
        shapes.each[layer],
        shapes.repeats[layer],
        chip,
        dtype,
    )
    return np.where(summed > 0, dense, depthwise_cycles(positions, channels, shapes.taps[layer], chip, dtype))


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


def _summed(shapes: Geometry, layer: IntArray, depth: IntArray) -> IntArray:
    """Return the products that a tile of `depth` input channels sums for one output."""
    return shapes.reduction[layer] // shapes.depth[layer] * depth


def _share(shapes: Geometry, layer: IntArray, rows: IntArray, channels: IntArray) -> FloatArray:
    """Return the part of its layer that each tile is."""
    return np.asarray(rows * channels / (shapes.rows[layer] * shapes.outputs[layer]), np.float64)
