"""What each strategy of dividing a layer among tiles costs.

In:  shapes of whole layers and of their largest parts, the activations that may stay, one tile of the chip.
Out: `Prices`, seconds.
Model: a layer takes as long as its largest part does on one tile, or as its output takes to be written to every tile.
Activations that live together and do not fit a tile beside what layers need to work lose the share by which they are
too many: it goes out and comes in again, and readers of which neither inputs nor weights fit load one of them again for
each part of the other. What is the same under all strategies (weights, each once) is left out.
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.cost_models import CostModel
from armillary.npu.geometry import FloatArray, Geometry, IntArray
from armillary.npu.part import Sides, broadcast_cycles, largest_part
from armillary.npu.place import Placement, by_placement
from armillary.npu.price import compute_cycles
from armillary.npu.reside import working_room
from armillary.npu.segments import Flows
from armillary.npu.strategies import Prices, Strategy


def prices(
    placements: tuple[Placement, ...],
    shapes: Geometry,
    ways: Sides,
    shared: Flows,
    tile: Chip,
    tiles: int,
    model: CostModel,
) -> Prices:
    """Return the terms of the sum that `strategies` makes least.

    Args:
        placements: where the layers run.
        shapes: whole layers.
        ways: their largest parts.
        shared: activations that may stay.
        tile: one tile of the chip.
        tiles: how many there are.
        model: what prices the parts.
    """
    count = len(shapes)
    # Layers on the host cost the tiles nothing, and are not divided.
    compute_s, broadcast_s = np.zeros((count, len(Strategy))), np.zeros((count, len(Strategy)))
    compute_s[:, [Strategy.ROWS, Strategy.CHANNELS]] = np.inf
    for placement, at in by_placement(placements, np.arange(count)):
        for way, (all_rows, all_channels) in ways.items():
            rows, channels = all_rows[at], all_channels[at]
            sizes = (at, rows * shapes.positions[at], rows, channels, shapes.depth[at])
            cycles = compute_cycles(shapes, *sizes, placement, tile, model)
            share = rows * channels / (shapes.rows[at] * shapes.outputs[at])
            written = broadcast_cycles(shapes.out_elements[at] * share, placement, tile)
            one_part = (rows == shapes.rows[at]) & (channels == shapes.outputs[at]) & (way != Strategy.ONE)
            compute_s[at, way] = np.where(one_part, np.inf, cycles / tile.clock.value)
            broadcast_s[at, way] = np.maximum(written - cycles, 0.0) / tile.clock.value
    lacking, memory = _lacking(shapes, ways, shared, tile), tile.dram or tile.host_link
    assert memory is not None  # a chip has one of the two
    again = np.stack([_loaded_again(shapes, *ways[way], tile) for way in Strategy], axis=1)
    return Prices(compute_s, broadcast_s, *_spills(shapes, shared, lacking, tiles, memory.rate.value, again))


def _lacking(shapes: Geometry, ways: Sides, shared: Flows, tile: Chip) -> FloatArray:
    """Return the share of each activation for which a tile has no room, shape (tensors, 2).

    In the first column all that can lies in segments, in the second all is whole in every tile. One that does not fit
    beside the room in which its layers work lacks all of it; the others lack what they are too many by, in the worst
    of the layers that touch them.
    """
    size, count = int(tile.scratchpad.size.value), len(shapes)
    tensor, layer = _uses(shared)
    begin = np.array([min(users) for users in shared.users], np.int64)
    end = np.array([max(users) for users in shared.users], np.int64) + 1
    lacking = np.zeros((len(shared.names), 2))
    for column, (held, way) in enumerate(
        ((shared.segment_bytes, Strategy.ROWS), (shared.whole_bytes, Strategy.CHANNELS))
    ):
        work = np.minimum(working_room(largest_part(shapes, *ways[way]), tile), size // 2)
        most = np.zeros(len(shared.names), np.int64)
        np.maximum.at(most, tensor, work[layer])
        alone = held + most <= size
        live = np.cumsum(np.bincount(begin, held * alone, count + 1) - np.bincount(end, held * alone, count + 1))[
            :count
        ]
        share = np.clip((live + work - size) / np.maximum(live, 1.0), 0.0, 1.0)
        np.maximum.at(lacking[:, column], tensor, share[layer])
        lacking[~alone, column] = 1.0
    return lacking


def _uses(shared: Flows) -> tuple[IntArray, IntArray]:
    """Return tensor and layer of every use of an activation, shape (uses,)."""
    tensor = np.repeat(np.arange(len(shared.names)), [len(users) for users in shared.users])
    return tensor, np.array([user for users in shared.users for user in users], np.int64)


def _spills(
    shapes: Geometry, shared: Flows, lacking: FloatArray, tiles: int, rate: float, again: FloatArray
) -> tuple[FloatArray, tuple[tuple[int, int, FloatArray], ...]]:
    """Return `spill_s` and `again_s` of `Prices` at `rate` bytes a second.

    Segments are different bytes in every tile, what is whole in every tile is moved once, out and in.
    """
    tensor, layer = _uses(shared)
    different = np.where(shared.by_rows, tiles, 1) * shared.segment_bytes
    spilled = 2.0 * lacking * np.stack([different, shared.whole_bytes], axis=1)
    heavy = (
        np.asarray(again.any(axis=1))[layer]
        & np.asarray(lacking.any(axis=1))[tensor]
        & (layer != np.array(shared.writer, np.int64)[tensor])
    )
    part = shared.whole_bytes[tensor] / np.maximum(1, shapes.in_bytes[layer]) / rate
    return spilled / rate, tuple(
        (int(tensor[at]), int(layer[at]), np.outer(lacking[tensor[at]], again[layer[at]] * part[at]))
        for at in np.flatnonzero(heavy)
    )


def _loaded_again(shapes: Geometry, rows: IntArray, channels: IntArray, tile: Chip) -> FloatArray:
    """Return the bytes that each layer loads more than once if its inputs do not stay, shape (layers,).

    A quarter of the scratchpad holds inputs or weights of a tile (beside each other, twice). Where neither all inputs
    nor all weights of a part fit, one is loaded again for every part of the other, whichever is less.
    """
    quarter = tile.scratchpad.size.value / 4
    part = largest_part(shapes, rows, channels)
    weights, inputs = part.weight_bytes / quarter - 1, part.in_bytes / quarter - 1
    again = np.minimum(shapes.weight_bytes * inputs, shapes.in_bytes * weights)
    return np.where((weights > 0) & (inputs > 0), again, 0.0)
