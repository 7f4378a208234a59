"""Every tile of a network as one row of a table, in the order in which they are computed, and what each engine does.

In:  shapes, placements, split and tiling of the layers.
Out: `Tiles`: layer, cycles, products and bytes of each tile, and which loads it begins with.
     `Pieces`: what each tile of the chip computes of each of them. Where rows or output channels are split among tiles
of the chip, a load brings every one its own bytes, or all of them the same; a buffer is as large as the largest piece.
Where the input channels of a layer come in parts, each part is a tile; the last one writes the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.cost_models import CostModel
from armillary.npu.geometry import FloatArray, Geometry, IntArray, input_rows
from armillary.npu.part import broadcast_cycles, one_tile
from armillary.npu.place import Engine, Placement, by_placement
from armillary.npu.price import scratchpad_elements, tile_batch
from armillary.npu.reside import partial_bytes
from armillary.npu.split import Split
from armillary.npu.strategies import Strategy
from armillary.npu.tile import Tiling
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
    cycles: FloatArray  # of its longest piece
    source: IntArray  # part of the cost model that told them, index into `CostModel.sources`
    macs: IntArray
    elements: FloatArray  # of the vector engine
    scratchpad_bytes: FloatArray  # read and written by the engine
    weight_bytes: IntArray  # loaded before this tile, for it and the following tiles that load none
    input_bytes: IntArray
    output_bytes: IntArray  # stored after this tile
    weight_room: IntArray  # that the load takes in each tile of the chip
    input_room: IntArray
    output_room: IntArray
    sum_bytes: IntArray  # partial sums that begin with this tile, in each tile of the chip
    sum_tiles: IntArray  # tiles for which these are held, 0 where none begin

    def __len__(self) -> int:
        return len(self.layer)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What one tile of the chip computes of one tile, tile by tile; every array has shape (pieces,).

    A layer has as many pieces in each of its tiles; where a tile of the chip has less to do, its last ones are empty.
    """

    tile: IntArray
    on: IntArray  # tile of the chip
    cycles: FloatArray
    source: IntArray  # part of the cost model that told them, index into `CostModel.sources`
    macs: IntArray
    elements: FloatArray
    scratchpad_bytes: FloatArray

    def __len__(self) -> int:
        return len(self.tile)


def cut(
    placements: tuple[Placement, ...],
    shapes: Geometry,
    split: Split,
    tiling: Tiling,
    broadcasts: IntArray,
    chip: Chip,
    model: CostModel,
) -> tuple[Tiles, Pieces]:
    """Return all tiles of the layers that run on the chip, and their pieces.

    Args:
        placements: where the layers run.
        shapes: whole layers.
        split: their parts on the tiles of the chip.
        tiling: how the largest part of each is cut.
        broadcasts: 1 for layers that write their output to every tile of the chip, shape (layers,).
        chip: rates, granules, and how many tiles.
        model: what prices the pieces.
    """
    counts = np.where([placement.engine != Engine.HOST for placement in placements], tiling.tiles, 0)
    layer = np.repeat(np.arange(len(shapes)), counts)
    place = np.arange(len(layer)) - np.repeat(np.cumsum(counts) - counts, counts)
    first, last = place == 0, place == counts[layer] - 1
    each, start = split.pieces[layer], np.cumsum(split.pieces[layer]) - split.pieces[layer]
    tile = np.repeat(np.arange(len(layer)), each)
    work = _share_out(shapes, split, tiling, tile, layer[tile], place[tile], np.arange(len(tile)) - start[tile])
    pieces = _computed(work, placements, shapes, broadcasts, chip, model)
    weights, inputs, outputs = _moved(work, shapes, tiling)
    sums = np.where(work.parts > 1, partial_bytes(shapes, work.layer, work.rows, work.channels), 0)
    sums = np.where(work.part == 0, sums, 0)
    alone = work.on == 0  # where all tiles of the chip load the same, it is moved once

    def added(values: IntArray) -> IntArray:
        return np.add.reduceat(values, start) if len(start) else values

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(tile, weights=values, minlength=len(layer)).astype(np.float64)

    def largest(values: IntArray) -> IntArray:
        return np.maximum.reduceat(values, start) if len(start) else values

    return Tiles(
        layer=layer,
        first=first,
        last=last,
        engine=np.array([placement.engine for placement in placements], np.int64)[layer],
        cycles=np.maximum.reduceat(pieces.cycles, start) if len(start) else pieces.cycles,
        source=largest(pieces.source),
        macs=added(pieces.macs),
        elements=summed(pieces.elements),
        scratchpad_bytes=summed(pieces.scratchpad_bytes),
        weight_bytes=added(np.where(alone | (split.weight_pieces[work.layer] > 1), weights, 0)),
        input_bytes=added(np.where(alone | (split.input_pieces[work.layer] > 1), inputs, 0)),
        output_bytes=added(outputs),
        weight_room=largest(weights),
        input_room=largest(inputs),
        output_room=largest(outputs),
        sum_bytes=largest(sums),
        sum_tiles=np.where((tiling.parts[layer] > 1) & (place % tiling.parts[layer] == 0), tiling.parts[layer], 0),
    ), pieces


@dataclass(frozen=True, slots=True)
class _Work:
    """The size of every piece; every array has shape (pieces,)."""

    tile: IntArray
    layer: IntArray
    on: IntArray
    part: IntArray  # of `parts` of the input channels
    parts: IntArray
    rows: IntArray
    channels: IntArray
    channel_from: IntArray
    depth_from: IntArray
    depth: IntArray  # input channels, where sums may be split
    loads_input: BoolArray
    loads_weights: BoolArray

    def products(self) -> IntArray:
        """Return rows x channels x depth, 0 where the piece is empty."""
        return self.rows * self.channels * self.depth

    def written(self) -> IntArray:
        """Return the rows x channels that are whole after this piece."""
        return np.where(self.part == self.parts - 1, self.rows * self.channels, 0)


def _share_out(
    shapes: Geometry, split: Split, tiling: Tiling, tile: IntArray, layer: IntArray, place: IntArray, on: IntArray
) -> _Work:
    """Return what the tile of the chip `on` does of tile `place` of its layer; arguments have shape (pieces,)."""
    row_groups, channel_groups, parts = (
        column[layer] for column in (tiling.row_groups, tiling.channel_groups, tiling.parts)
    )
    rows_outer = tiling.rows_outer[layer]
    group, part = place // parts, place % parts
    row_group = np.where(rows_outer, group // channel_groups, group % row_groups)
    channel_group = np.where(rows_outer, group % channel_groups, group // row_groups)
    in_parts, by_channel = parts > 1, shapes.by_channel[layer] == 1
    on_row = np.where(split.strategy[layer] == Strategy.ROWS, on, 0) * split.shapes.rows[layer]
    on_channel = np.where(split.strategy[layer] == Strategy.CHANNELS, on, 0) * split.shapes.outputs[layer]
    all_rows = np.minimum(split.shapes.rows[layer], shapes.rows[layer] - on_row)
    all_channels = np.minimum(split.shapes.outputs[layer], shapes.outputs[layer] - on_channel)
    before = np.minimum(channel_group * tiling.channels[layer], all_channels)
    depth = shapes.depth[layer]
    return _Work(
        tile=tile,
        layer=layer,
        on=on,
        part=part,
        parts=parts,
        rows=(row_group + 1) * all_rows // row_groups - row_group * all_rows // row_groups,
        channels=np.minimum(tiling.channels[layer], all_channels - before),
        channel_from=on_channel + before,
        depth_from=part * depth // parts,
        depth=(part + 1) * depth // parts - part * depth // parts,
        loads_input=in_parts
        | by_channel
        | np.where(rows_outer, channel_group == 0, (row_groups > 1) | (channel_group == 0)),
        loads_weights=in_parts | np.where(rows_outer, (row_group == 0) | (channel_groups > 1), row_group == 0),
    )


def _computed(
    work: _Work,
    placements: tuple[Placement, ...],
    shapes: Geometry,
    broadcasts: IntArray,
    chip: Chip,
    model: CostModel,
) -> Pieces:
    """Return what engines do for every piece."""
    layer, products, tile_of_chip = work.layer, work.products(), one_tile(chip)
    before, after = _progress(layer, products, shapes.rows * shapes.outputs * shapes.depth)
    out_share = work.written() / (shapes.rows * shapes.outputs)[layer]
    written = broadcasts[layer] * shapes.out_elements[layer] * out_share
    sums = np.where(work.parts > 1, partial_bytes(shapes, layer, work.rows, work.channels), 0)
    # Sums are read by all parts but the first, and written by all but the last.
    scratchpad = sums * ((work.part > 0) + (work.part < work.parts - 1).astype(np.float64))
    cycles, source = np.zeros(len(layer)), np.zeros(len(layer), np.int64)
    busy = np.flatnonzero(products)
    for placement, chosen in by_placement(placements, layer[busy]):
        at = busy[chosen]
        positions = work.rows[at] * shapes.positions[layer[at]]
        sizes = (layer[at], positions, work.rows[at], work.channels[at], work.depth[at])
        priced = model.price(tile_batch(shapes, *sizes, placement), tile_of_chip)
        source[at] = priced.source
        cycles[at] = np.maximum(priced.cycles, broadcast_cycles(written[at], placement, tile_of_chip))
        touched = scratchpad_elements(shapes, *sizes, placement.engine, tile_of_chip) + written[at] * (chip.tiles - 1)
        scratchpad[at] += touched * ELEMENT_BYTES[placement.dtype]
    on_vector = np.array([placement.engine == Engine.VECTOR for placement in placements], np.bool_)[layer]
    read = np.maximum(shapes.in_elements, shapes.out_elements * shapes.taps) * shapes.passes
    return Pieces(
        tile=work.tile,
        on=work.on,
        cycles=cycles,
        source=source,
        macs=_between(shapes.macs[layer], before, after),
        elements=np.where(on_vector, read[layer] * (after - before), 0.0),
        scratchpad_bytes=scratchpad,
    )


def _moved(work: _Work, shapes: Geometry, tiling: Tiling) -> tuple[IntArray, IntArray, IntArray]:
    """Return the bytes of weights, inputs and outputs that every piece moves."""
    layer, channels, outputs = work.layer, work.channels, shapes.outputs[work.layer]
    depth_from, depth_to = (end / shapes.depth[layer] for end in (work.depth_from, work.depth_from + work.depth))
    busy = work.products() > 0
    weights = _between(
        tiling.stream_bytes[layer], work.channel_from / outputs, (work.channel_from + channels) / outputs
    )
    weights = np.where(work.loads_weights & busy, _between(weights, depth_from, depth_to), 0)
    read = input_rows(shapes, layer, work.rows) / shapes.in_rows[layer]
    inputs = np.ceil(
        tiling.load_bytes[layer] * (read * np.where(shapes.by_channel[layer] == 1, channels / outputs, 1.0))
    )
    inputs = np.where(work.loads_input & busy, _between(inputs, depth_from, depth_to), 0)
    before, after = _progress(layer, work.written(), shapes.rows * shapes.outputs)
    return weights, inputs, _between(tiling.store_bytes[layer], before, after)


def _progress(layer: IntArray, done: IntArray, all_of_layer: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of its layer that is done before and after each piece, which does `done` of `all_of_layer`."""
    so_far = np.cumsum(done)
    if len(layer):
        begins = np.flatnonzero(np.append(True, layer[1:] != layer[:-1]))
        so_far = so_far - np.repeat((so_far - done)[begins], np.diff(np.append(begins, len(layer))))
    return (so_far - done) / all_of_layer[layer], so_far / all_of_layer[layer]


def _between(total: IntArray | FloatArray, start: FloatArray, end: FloatArray) -> IntArray:
    """Return the whole units of `total` from share `start` to `end`; neighbouring shares add up exactly.

    No share takes more than its size rounded up: a product that rounding left just below a whole number counts as it.
    """
    return (_whole(total * end) - _whole(total * start)).astype(np.int64)


def _whole(units: FloatArray) -> FloatArray:
    return np.floor(units * (1 + _ROUNDING) + _ROUNDING)
