"""Every tile of a network as one row of a table, in the order in which they are computed.

In:  shapes, placements and tiling of the layers.
Out: `Tiles`: layer, cycles, products and bytes of each tile, and which loads it begins with.
Where the input channels of a layer come in parts, each part is a tile; the last one writes the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.geometry import FloatArray, Geometry, IntArray
from armillary.npu.place import Engine, Placement
from armillary.npu.price import compute_cycles, scratchpad_elements
from armillary.npu.reside import partial_bytes
from armillary.npu.tile import Tiling, input_rows
from armillary.workload import ELEMENT_BYTES

_ROUNDING = 1e-14  # relative error of a product of a few shares, with room to spare

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles in program order; every array has shape (tiles,)."""

    layer: IntArray
    first: BoolArray  # first tile of its layer
    last: BoolArray  # last tile of its layer
    engine: IntArray  # Engine.ARRAY or Engine.VECTOR
    cycles: FloatArray
    macs: IntArray
    elements: FloatArray  # of the vector engine
    scratchpad_bytes: FloatArray  # read and written by the engine
    weight_bytes: IntArray  # loaded before this tile, for it and the following tiles that load none
    input_bytes: IntArray
    output_bytes: IntArray  # stored after this tile
    sum_bytes: IntArray  # partial sums that begin with this tile
    sum_tiles: IntArray  # tiles for which these are held, 0 where none begin

    def __len__(self) -> int:
        return len(self.layer)


def cut(placements: tuple[Placement, ...], shapes: Geometry, tiling: Tiling, chip: Chip) -> Tiles:
    """Return all tiles of the layers that run on the chip."""
    counts = np.where([placement.engine != Engine.HOST for placement in placements], tiling.tiles, 0)
    layer = np.repeat(np.arange(len(shapes)), counts)
    place = np.arange(len(layer)) - np.repeat(np.cumsum(counts) - counts, counts)
    row_groups, channel_groups, rows_outer = (
        tiling.row_groups[layer],
        tiling.channel_groups[layer],
        tiling.rows_outer[layer],
    )
    parts = tiling.parts[layer]
    group, part = place // parts, place % parts
    row_group = np.where(rows_outer, group // channel_groups, group % row_groups)
    channel_group = np.where(rows_outer, group % channel_groups, group // row_groups)
    first, last = place == 0, place == counts[layer] - 1

    all_rows = shapes.rows[layer]
    row_from, row_to = row_group * all_rows // row_groups, (row_group + 1) * all_rows // row_groups
    rows = row_to - row_from
    channel_from = channel_group * tiling.channels[layer]
    channels = np.minimum(tiling.channels[layer], shapes.outputs[layer] - channel_from)
    positions = rows * shapes.positions[layer]

    by_channel, split = shapes.by_channel[layer] == 1, parts > 1
    loads_input = split | by_channel | np.where(rows_outer, channel_group == 0, (row_groups > 1) | first)
    loads_weights = split | np.where(rows_outer, first | (channel_groups > 1), row_group == 0)
    all_depth = shapes.depth[layer]
    depth_from, depth_to = part * all_depth // parts, (part + 1) * all_depth // parts
    depth = depth_to - depth_from
    whole = shapes.outputs[layer]
    read_share = input_rows(shapes, layer, rows) / shapes.in_rows[layer] * np.where(by_channel, channels / whole, 1.0)
    work = rows * channels * depth
    done = np.cumsum(work)
    done = done - np.repeat((done - work)[first], counts[counts > 0])  # of the layer, after this tile
    all_work = all_rows * whole * all_depth
    before, after = (done - work) / all_work, done / all_work
    # The output of a group of rows and channels is whole after its last part.
    written = np.where(part == parts - 1, (done - rows * channels * all_depth) / all_work, after)
    weights = _between(tiling.stream_bytes[layer], channel_from / whole, (channel_from + channels) / whole)
    inputs = np.ceil(tiling.load_bytes[layer] * read_share)
    sums = np.where(split, partial_bytes(shapes, layer, rows, channels), 0)

    cycles, scratchpad = np.zeros(len(layer)), np.zeros(len(layer))
    engine = np.array([placement.engine for placement in placements], np.int64)[layer]
    for placement, at in _groups(placements, layer):
        sizes = (layer[at], positions[at], rows[at], channels[at], depth[at])
        cycles[at] = compute_cycles(shapes, *sizes, placement, chip)
        scratchpad[at] = scratchpad_elements(shapes, *sizes, placement.engine, chip) * ELEMENT_BYTES[placement.dtype]
    # Sums are read by all parts but the first, and written by all but the last.
    scratchpad += sums * ((part > 0) + (part < parts - 1).astype(np.int64))
    read = np.maximum(shapes.in_elements[layer], shapes.out_elements[layer] * shapes.taps[layer]) * shapes.passes[layer]
    return Tiles(
        layer=layer,
        first=first,
        last=last,
        engine=engine,
        cycles=cycles,
        macs=_between(shapes.macs[layer], before, after),
        elements=np.where(engine == Engine.VECTOR, read * (after - before), 0.0),
        scratchpad_bytes=scratchpad,
        weight_bytes=np.where(loads_weights, _between(weights, depth_from / all_depth, depth_to / all_depth), 0),
        input_bytes=np.where(loads_input, _between(inputs, depth_from / all_depth, depth_to / all_depth), 0),
        output_bytes=_between(tiling.store_bytes[layer], written, after),
        sum_bytes=np.where(part == 0, sums, 0),
        sum_tiles=np.where(split & (part == 0), parts, 0),
    )


def _groups(placements: tuple[Placement, ...], layer: IntArray) -> Iterator[tuple[Placement, IntArray]]:
    """Yield each engine and element type in use with the indices of its tiles."""
    kinds = sorted({(placement.engine, placement.dtype) for placement in placements if placement.engine != Engine.HOST})
    group = np.array(
        [-1 if p.engine == Engine.HOST else kinds.index((p.engine, p.dtype)) for p in placements], np.int64
    )
    for number, (engine, dtype) in enumerate(kinds):
        yield Placement(engine, dtype), np.flatnonzero(group[layer] == number)


def _between(total: IntArray | FloatArray, start: FloatArray, end: FloatArray) -> IntArray:
    """Return the whole units of `total` from share `start` to `end`; neighbouring shares add up exactly.

    No share takes more than its size rounded up: a product that rounding left just below a whole number counts as it.
    """
    return (_whole(total * end) - _whole(total * start)).astype(np.int64)


def _whole(units: FloatArray) -> FloatArray:
    return np.floor(units * (1 + _ROUNDING) + _ROUNDING)
