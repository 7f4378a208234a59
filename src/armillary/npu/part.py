"""One tile of a chip, and the part of a layer that it gets.

In:  a `Chip` of one or more tiles; shapes of whole layers.
Out: a `Chip` that stands for one tile; rows and channels of the largest part under each strategy, and its shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from armillary.hardware import Chip, Quantity
from armillary.npu.geometry import FloatArray, Geometry, IntArray, input_rows
from armillary.npu.place import Engine, Placement
from armillary.npu.strategies import Strategy

_ARRAY_RATES = ("macs_per_cycle", "depthwise_macs_per_cycle", "outputs_per_cycle", "broadcast_per_cycle")

Sides = dict[Strategy, tuple[IntArray, IntArray]]
"Rows and output channels of the largest part of every layer, under each strategy."


def one_tile(chip: Chip) -> Chip:
    """Return one tile of `chip` as a chip: its part of the rates and of the scratchpad, with memory and links whole."""
    if chip.tiles == 1:
        return chip

    def part(rates: Mapping[str, float] | None) -> Mapping[str, float] | None:
        return rates and {dtype: rate / chip.tiles for dtype, rate in rates.items()}

    def size(whole: Quantity) -> Quantity:
        return Quantity(float(whole.value // chip.tiles))

    array = {name: part(getattr(chip.array, name)) for name in _ARRAY_RATES}
    update = {
        "name": f"one of the {chip.tiles} tiles of {chip.name}",
        "tiles": 1,
        "array": chip.array.model_copy(update=array),
        "vector": chip.vector.model_copy(
            update={
                "elements_per_cycle": part(chip.vector.elements_per_cycle),
                "units": max(1, chip.vector.units // chip.tiles),
            }
        ),
        "scratchpad": chip.scratchpad.model_copy(update={"size": size(chip.scratchpad.size)}),
    }
    if chip.parameter_cache is not None:
        update["parameter_cache"] = chip.parameter_cache.model_copy(update={"size": size(chip.parameter_cache.size)})
    return chip.model_copy(update=update)


def broadcast_cycles(elements: FloatArray | IntArray, placement: Placement, tile: Chip) -> FloatArray:
    """Return the least cycles in which the array of one tile writes `elements` outputs to every tile."""
    rates = tile.array.broadcast_per_cycle
    if rates is None or placement.engine != Engine.ARRAY:
        return np.zeros(len(elements))
    return np.asarray(elements / rates[placement.dtype], np.float64)


def sides(placements: tuple[Placement, ...], shapes: Geometry, tile: Chip, tiles: int) -> Sides:
    """Return (rows, output channels) of the largest part under each strategy; channels in whole granules."""
    engine = np.array([placement.engine for placement in placements], np.int64)
    granule = np.where(engine == Engine.ARRAY, tile.array.granules.outputs, 1)
    channels = np.minimum(shapes.outputs, -(-shapes.outputs // (granule * tiles)) * granule)
    whole = np.where(engine == Engine.HOST, 1, tiles)
    rows = -(-shapes.rows // whole)
    return {
        Strategy.ROWS: (rows, shapes.outputs),
        Strategy.CHANNELS: (shapes.rows, np.where(engine == Engine.HOST, shapes.outputs, channels)),
        Strategy.ONE: (shapes.rows, shapes.outputs),
    }


def largest_part(shapes: Geometry, rows: IntArray, channels: IntArray) -> Geometry:
    """Return the shapes of parts of `rows` output rows and `channels` output channels of every layer."""
    inputs, weights = input_share(shapes, rows, channels), channels / shapes.outputs
    outputs = rows / shapes.rows * weights

    def of(total: IntArray, share: FloatArray) -> IntArray:
        return np.ceil(total * share).astype(np.int64)

    return replace(
        shapes,
        rows=rows,
        outputs=channels,
        group_outputs=np.minimum(shapes.group_outputs, channels),
        macs=of(shapes.macs, outputs),
        in_elements=of(shapes.in_elements, inputs),
        out_elements=of(shapes.out_elements, outputs),
        in_bytes=of(shapes.in_bytes, inputs),
        out_bytes=of(shapes.out_bytes, outputs),
        weight_bytes=of(shapes.weight_bytes, weights),
        table_bytes=of(shapes.table_bytes, weights),
        row_bytes=of(shapes.row_bytes, inputs),
        in_rows=_rows_read(shapes, rows),
    )


def input_share(shapes: Geometry, rows: IntArray, channels: IntArray) -> FloatArray:
    """Return the part of its inputs that `rows` and `channels` of each layer read."""
    read = _rows_read(shapes, rows) / shapes.in_rows
    return np.asarray(read * np.where(shapes.by_channel == 1, channels / shapes.outputs, 1.0), np.float64)


def _rows_read(shapes: Geometry, rows: IntArray) -> IntArray:
    every = np.arange(len(shapes))
    return np.where(rows == shapes.rows, shapes.in_rows, input_rows(shapes, every, rows))
