"""Divide every layer among the tiles of a chip: over rows, over output channels, or not at all.

In:  a `Network`, its placements and shapes, a `Chip` of one or more tiles.
Out: `Split`: the strategy of each layer with the prices of all three, and the shapes of its largest part.
A buffer lies at the same address in every tile, so all that follows plans the scratchpad of one tile: weights whole in
each tile where rows are split (read once, written to all), in parts where output channels are; activations in segments
where all layers that touch them are split over rows (`segments`), else whole in every tile.
Price of a strategy: the time of the largest part on one tile, what writing its output to every tile adds, and moving
out and in again what does not fit a tile beside what the layer needs to work (`strategies` takes the cheapest).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from armillary.hardware import Chip
from armillary.npu.cost_models import CostModel
from armillary.npu.fuse import Network
from armillary.npu.geometry import FloatArray, Geometry, IntArray, input_rows
from armillary.npu.part import input_share, largest_part, one_tile, sides
from armillary.npu.place import Placement
from armillary.npu.prices import prices
from armillary.npu.segments import flows
from armillary.npu.strategies import Strategy, choose


@dataclass(frozen=True, slots=True)
class Split:
    """How tiles share the layers; arrays have shape (layers,) unless they say otherwise."""

    strategy: IntArray
    pieces: IntArray  # tiles that have a part of the layer
    price_s: FloatArray  # of each strategy with the other layers as they are, shape (layers, strategies)
    shapes: Geometry  # of the largest part
    input_pieces: IntArray  # different pieces that tiles load of the inputs; where 1, all load the same bytes
    weight_pieces: IntArray
    input_share: FloatArray  # of the inputs that the largest part reads
    weight_share: FloatArray
    output_share: FloatArray
    tensor_bytes: Mapping[str, int]  # that an activation takes in a tile
    segmented: frozenset[str]  # activations in segments

    @property
    def moved_pieces(self) -> tuple[IntArray, IntArray, IntArray]:
        """Different pieces of inputs, outputs and weights that tiles move, each of shape (layers,)."""
        return self.input_pieces, self.pieces, self.weight_pieces


def split_over_tiles(
    network: Network, placements: tuple[Placement, ...], shapes: Geometry, chip: Chip, model: CostModel
) -> Split:
    """Return the cheapest strategies for `network` on the tiles of `chip`, priced by `model`."""
    sizes = {name: tensor.bytes for name, tensor in network.graph.tensors.items()}
    count = len(shapes)
    if chip.tiles == 1 or not count:
        once, strategy = np.ones(count, np.int64), np.full(count, int(Strategy.ONE))
        whole = np.ones(count)
        nothing = np.zeros((count, len(Strategy)))
        return Split(strategy, once, nothing, shapes, once, once, whole, whole, whole, sizes, frozenset())
    tile = one_tile(chip)
    ways = sides(placements, shapes, tile, chip.tiles)
    shared = flows(network, placements, shapes, ways[Strategy.ROWS][0], chip.tiles, dram=chip.dram is not None)
    strategy, price_s = choose(prices(placements, shapes, ways, shared, tile, chip.tiles, model), shared)
    rows, channels = (
        np.choose(strategy, [ways[way][side] for way in Strategy]).astype(np.int64, copy=False) for side in (0, 1)
    )
    by_rows, by_channels = strategy == Strategy.ROWS, strategy == Strategy.CHANNELS
    segmented = frozenset(
        name
        for name, possible, users in zip(shared.names, shared.by_rows.tolist(), shared.users, strict=True)
        if possible and all(strategy[user] == Strategy.ROWS for user in users)
    )
    sizes |= {
        name: size for name, size in zip(shared.names, shared.segment_bytes.tolist(), strict=True) if name in segmented
    }
    pieces = -(-shapes.rows // rows) * -(-shapes.outputs // channels)
    part = largest_part(shapes, rows, channels)
    own_inputs = by_rows | (by_channels & (shapes.by_channel == 1))
    return Split(
        strategy=strategy,
        pieces=pieces,
        price_s=price_s,
        shapes=part,
        input_pieces=np.where(own_inputs, pieces, 1),
        weight_pieces=np.where(by_channels, pieces, 1),
        input_share=input_share(shapes, rows, channels),
        weight_share=channels / shapes.outputs,
        output_share=rows * channels / (shapes.rows * shapes.outputs),
        tensor_bytes=sizes,
        segmented=segmented,
    )


def in_every_tile(network: Network, split: Split, staying: frozenset[str]) -> IntArray:
    """Return 1 for layers that write an activation which stays (is in `staying`) whole in every tile, else 0."""
    whole = staying - split.segmented
    return np.array([not whole.isdisjoint(layer.outputs) for layer in network.layers], np.int64)


def halo_bytes(shapes: Geometry, split: Split) -> IntArray:
    """Return the bytes of inputs that more than one tile reads where rows are split, shape (layers,)."""
    every, rows = np.arange(len(shapes)), split.shapes.rows
    last = shapes.rows - (split.pieces - 1) * rows
    read = (split.pieces - 1) * input_rows(shapes, every, rows) + input_rows(shapes, every, last)
    beyond = np.where(split.strategy == Strategy.ROWS, np.maximum(0, read - shapes.in_rows), 0)
    return beyond * shapes.in_bytes // shapes.in_rows


def copies(split: Split, times: int) -> Split:
    """Return the split of `times` inferences one after the other; activations keep the names of the first."""
    columns = {column.name: getattr(split, column.name) for column in fields(Split)}
    tiled: dict[str, Any] = {
        name: np.concatenate([column] * times) for name, column in columns.items() if isinstance(column, np.ndarray)
    }
    shapes = Geometry(*(np.tile(getattr(split.shapes, column.name), times) for column in fields(Geometry)))
    return replace(split, **tiled, shapes=shapes)
