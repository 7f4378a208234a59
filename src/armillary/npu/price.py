"""Cycles and events of tiles of any layer: tiles as columns, for a cost model to price.

In:  shapes of layers, per tile its layer, positions, rows and channels, and a `CostModel`.
Out: cycles on its engine and where they come from, and elements in the scratchpad, shape (tiles,).
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.cost_models import CostModel, TileBatch
from armillary.npu.costs import array_scratchpad_elements
from armillary.npu.geometry import KINDS, MILLION, FloatArray, Geometry, IntArray
from armillary.npu.place import Engine, Placement
from armillary.workload import OpKind

_CONV = KINDS.index(OpKind.CONV)


def compute_cycles(
    shapes: Geometry,
    layer: IntArray,
    positions: IntArray,
    rows: IntArray,
    channels: IntArray,
    depth: IntArray,
    placement: Placement,
    chip: Chip,
    model: CostModel,
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
        model: what prices them.
    """
    return model.price(tile_batch(shapes, layer, positions, rows, channels, depth, placement), chip).cycles


def tile_batch(
    shapes: Geometry,
    layer: IntArray,
    positions: IntArray,
    rows: IntArray,
    channels: IntArray,
    depth: IntArray,
    placement: Placement,
) -> TileBatch:
    """Return tiles as cost models take them; arguments as of `compute_cycles`."""
    share = _share(shapes, layer, rows, channels)
    kind, whole, taps = shapes.kind[layer], shapes.reduction[layer], shapes.taps[layer]
    summed = _summed(shapes, layer, depth)
    if placement.engine == Engine.ARRAY:
        taps = np.where(kind == _CONV, whole // shapes.depth[layer], taps)
    return TileBatch(
        engine=placement.engine,
        dtype=placement.dtype,
        kind=kind,
        function=shapes.function[layer],
        width=shapes.positions[layer],
        height=rows,
        outputs=channels,
        inputs=np.maximum(summed // taps, 1),
        taps=taps,
        stride=shapes.stride[layer],
        inside=1.0 - shapes.padded[layer] / MILLION,
        reduction=summed,
        window=shapes.window[layer],
        part=depth / shapes.depth[layer],
        maps=shapes.maps[layer],
        group_outputs=shapes.group_outputs[layer],
        widening=shapes.widening[layer],
        each=shapes.each[layer],
        repeats=shapes.repeats[layer],
        passes=shapes.passes[layer],
        in_elements=shapes.in_elements[layer] * share,
        out_elements=shapes.out_elements[layer] * share,
    )


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
