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

import numpy as np

from armillary.hardware import Chip, Quantity
from armillary.npu.cost_models import CostModel
from armillary.npu.fuse import Network
from armillary.npu.geometry import FloatArray, Geometry, IntArray, input_rows
from armillary.npu.place import Engine, Placement, by_placement
from armillary.npu.price import compute_cycles
from armillary.npu.reside import working_room
from armillary.npu.segments import Flows, flows
from armillary.npu.strategies import Prices, Strategy, choose


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
    sides = _sides(placements, shapes, tile, chip.tiles)
    shared = flows(network, placements, shapes, sides[Strategy.ROWS][0], chip.tiles, dram=chip.dram is not None)
    strategy, price_s = choose(_prices(placements, shapes, sides, shared, tile, chip.tiles, model), shared)
    rows, channels = (
        np.choose(strategy, [sides[way][side] for way in Strategy]).astype(np.int64, copy=False) for side in (0, 1)
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
        input_share=_input_share(shapes, rows, channels),
        weight_share=channels / shapes.outputs,
        output_share=rows * channels / (shapes.rows * shapes.outputs),
        tensor_bytes=sizes,
        segmented=segmented,
    )


def one_tile(chip: Chip) -> Chip:
    """Return one tile of `chip` as a chip: its part of the rates and of the scratchpad, with all of memory and links."""
    if chip.tiles == 1:
        return chip

    def part(rates: Mapping[str, int] | None) -> Mapping[str, float] | None:
        return rates and {dtype: rate / chip.tiles for dtype, rate in rates.items()}

    def size(whole: Quantity) -> Quantity:
        return Quantity(float(whole.value // chip.tiles))

    array = {name: part(getattr(chip.array, name)) for name in _ARRAY_RATES}
    update = {
        "name": f"a tile of {chip.name}",
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


_ARRAY_RATES = ("macs_per_cycle", "depthwise_macs_per_cycle", "broadcast_per_cycle")


def broadcast_cycles(elements: FloatArray, placement: Placement, tile: Chip) -> FloatArray:
    """Return the least cycles in which the array of one tile writes `elements` outputs to every tile."""
    rates = tile.array.broadcast_per_cycle
    if rates is None or placement.engine != Engine.ARRAY:
        return np.zeros_like(elements)
    return elements / rates[placement.dtype]


def in_every_tile(network: Network, split: Split, staying: frozenset[str]) -> IntArray:
    """Return 1 for layers that write an activation which stays (is in `staying`) whole in every tile, else 0."""
    whole = staying - split.segmented
    return np.array([not whole.isdisjoint(layer.outputs) for layer in network.layers], np.int64)


def largest_part(shapes: Geometry, rows: IntArray, channels: IntArray) -> Geometry:
    """Return the shapes of parts of `rows` output rows and `channels` output channels of every layer."""
    inputs, weights = _input_share(shapes, rows, channels), channels / shapes.outputs
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


def _input_share(shapes: Geometry, rows: IntArray, channels: IntArray) -> FloatArray:
    """Return the part of its inputs that `rows` and `channels` of each layer read."""
    read = _rows_read(shapes, rows) / shapes.in_rows
    return np.asarray(read * np.where(shapes.by_channel == 1, channels / shapes.outputs, 1.0), np.float64)


def _rows_read(shapes: Geometry, rows: IntArray) -> IntArray:
    every = np.arange(len(shapes))
    return np.where(rows == shapes.rows, shapes.in_rows, input_rows(shapes, every, rows))


def _sides(
    placements: tuple[Placement, ...], shapes: Geometry, tile: Chip, tiles: int
) -> dict[Strategy, tuple[IntArray, IntArray]]:
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


def _prices(
    placements: tuple[Placement, ...],
    shapes: Geometry,
    sides: dict[Strategy, tuple[IntArray, IntArray]],
    shared: Flows,
    tile: Chip,
    tiles: int,
    model: CostModel,
) -> Prices:
    count = len(shapes)
    compute_s, broadcast_s = np.zeros((count, len(Strategy))), np.zeros((count, len(Strategy)))
    for placement, at in by_placement(placements, np.arange(count)):
        for way, (all_rows, all_channels) in sides.items():
            rows, channels = all_rows[at], all_channels[at]
            sizes = (at, rows * shapes.positions[at], rows, channels, shapes.depth[at])
            cycles = compute_cycles(shapes, *sizes, placement, tile, model)
            share = rows * channels / (shapes.rows[at] * shapes.outputs[at])
            written = broadcast_cycles(shapes.out_elements[at] * share, placement, tile)
            one_part = (rows == shapes.rows[at]) & (channels == shapes.outputs[at]) & (way != Strategy.ONE)
            compute_s[at, way] = np.where(one_part, np.inf, cycles / tile.clock.value)
            broadcast_s[at, way] = np.maximum(written - cycles, 0.0) / tile.clock.value
    return Prices(compute_s, broadcast_s, _spill_s(shapes, sides, shared, tile, tiles))


def _spill_s(
    shapes: Geometry, sides: dict[Strategy, tuple[IntArray, IntArray]], shared: Flows, tile: Chip, tiles: int
) -> FloatArray:
    """Return the seconds of moving out and in again what does not fit one tile, shape (tensors, 2).

    What one layer's activations lack in room is shared among them by size; an activation pays for its worst user.
    Segments are different bytes in every tile, what is whole in every tile is moved once.
    """
    size, memory = int(tile.scratchpad.size.value), tile.dram or tile.host_link
    assert memory is not None  # a chip has one of the two
    tensor = np.repeat(np.arange(len(shared.names)), [len(users) for users in shared.users])
    layer = np.array([user for users in shared.users for user in users], np.int64)
    spill_s = np.zeros((len(shared.names), 2))
    for everywhere, held, way, pieces in (
        (0, shared.segment_bytes, Strategy.ROWS, np.where(shared.by_rows, tiles, 1)),
        (1, shared.whole_bytes, Strategy.CHANNELS, np.ones(len(shared.names))),
    ):
        work = np.minimum(working_room(largest_part(shapes, *sides[way]), tile), size // 2)
        together = np.bincount(layer, weights=held[tensor], minlength=len(shapes))
        lacking = np.maximum(0.0, together + work - size) / np.maximum(together, 1.0)
        worst = np.zeros(len(shared.names))
        np.maximum.at(worst, tensor, np.minimum(lacking, 1.0)[layer])
        spill_s[:, everywhere] = 2.0 * worst * held * pieces / memory.rate.value
    return spill_s


def copies(split: Split, times: int) -> Split:
    """Return the split of `times` inferences one after the other; activations keep the names of the first."""
    columns = {column.name: getattr(split, column.name) for column in fields(Split)}
    tiled = {name: np.concatenate([value] * times) for name, value in columns.items() if isinstance(value, np.ndarray)}
    shapes = Geometry(*(np.tile(getattr(split.shapes, column.name), times) for column in fields(Geometry)))
    return replace(split, **tiled, shapes=shapes)
