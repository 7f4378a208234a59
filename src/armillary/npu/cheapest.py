"""The cheapest way to cut each layer into tiles: row groups, output channels, loop order, parts of the input channels.

In:  shapes of the layers that move something, the bytes they move and the budgets of a tile, a `Chip`.
Out: `Found`, the split of each.
Model: all splits on a grid are priced by max(sum of compute, sum of transfers) + first load + last store, and the
cheapest that fits is taken (of splits within 2 % of it, the one that moves the fewest bytes, then the one with the
fewest tiles). Where no split fits, or none that fills the array, the input channels are split too, into as many parts
as is cheapest: partial sums of a tile stay in the scratchpad until its last part.
The grids of all layers are priced together, and again with more parts for the layers that need them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.cost_models import CostModel
from armillary.npu.geometry import FloatArray, Geometry, IntArray, input_rows
from armillary.npu.place import Placement, by_placement
from armillary.npu.price import compute_cycles
from armillary.npu.rates import transfer_engines, transfer_rate, weight_engines, weight_rate
from armillary.npu.reside import partial_bytes

MAX_TILES = 4096  # of one layer
INDIFFERENCE = 0.02  # share of the time of a layer
WORTH_PARTS = 0.8  # share of the time below which more parts are worth their partial sums, whose traffic has no price

BoolArray = npt.NDArray[np.bool_]


class Moves(NamedTuple):
    """Bytes that layers move into and out of one tile of the chip, and how many tiles move bytes of their own.

    All have shape (layers,).
    """

    load: IntArray
    store: IntArray
    stream: IntArray
    load_pieces: IntArray
    store_pieces: IntArray
    stream_pieces: IntArray


class Budgets(NamedTuple):
    """Bytes that a tile of each layer may load and store, shape (layers,)."""

    load: IntArray
    store: IntArray


@dataclass(frozen=True, slots=True)
class Found:
    """The split of each layer; arrays have shape (layers,)."""

    fits: BoolArray  # False where no split does; the rest is 0 there
    groups: IntArray
    channels: IntArray
    parts: IntArray
    rows_outer: BoolArray


@dataclass(frozen=True, slots=True)
class _Splits:
    """Candidates; arrays have shape (candidates,)."""

    number: IntArray  # of the layer among those in question
    layer: IntArray  # index into the shapes
    groups: IntArray
    channels: IntArray
    rows_outer: BoolArray

    def chosen(self, which: BoolArray) -> _Splits:
        """Return those that `which` marks."""
        return _Splits(*(getattr(self, column.name)[which] for column in fields(self)))


def cheapest(
    shapes: Geometry,
    layers: IntArray,
    placements: tuple[Placement, ...],
    moves: Moves,
    budgets: Budgets,
    once: BoolArray,
    chip: Chip,
    model: CostModel,
) -> Found:
    """Return the cheapest split of each of `layers` that keeps its tiles within `budgets`.

    Args:
        shapes: of all layers.
        layers: those in question, indices into `shapes`, shape (layers,).
        placements: of all layers.
        moves: what the layers in question move.
        budgets: of their tiles.
        once: True where no weight may be loaded twice, shape (layers,).
        chip: the chip, or one tile of it.
        model: what prices the tiles.
    """
    same, of = _alike(shapes, layers, placements, moves, budgets, once)
    layers, once = layers[same], once[same]
    moves, budgets = Moves(*(column[same] for column in moves)), Budgets(*(column[same] for column in budgets))
    count, depth = len(layers), shapes.depth[layers]
    splits = _grid(shapes, layers, once, chip)
    floor_s = _each_byte_once_s(moves, chip)
    best_s = np.full(count, np.inf)
    groups, channels, cut = (np.zeros(count, np.int64) for _ in range(3))
    found = Found(np.zeros(count, np.bool_), groups, channels, cut, np.zeros(count, np.bool_))
    searched, step = np.ones(count, np.bool_), 1
    while searched.any():
        parts = np.minimum(depth, step)
        number, best, price_s = _best(shapes, splits, placements, moves, budgets, parts, chip, model)
        # More parts than need be may leave room for tiles of more rows and channels.
        better = price_s < WORTH_PARTS * best_s[number]
        number, best, price_s = number[better], best.chosen(better), price_s[better]
        best_s[number] = price_s
        found.fits[number], found.parts[number] = True, parts[number]
        found.groups[number], found.channels[number] = best.groups, best.channels
        found.rows_outer[number] = best.rows_outer
        enough = (WORTH_PARTS * price_s <= floor_s[number]) | _fills_array(shapes, best, chip)
        searched &= parts < depth
        searched[number[enough]] = False
        splits = splits.chosen(searched[splits.number])
        step *= 2
    return Found(*(getattr(found, column.name)[of] for column in fields(Found)))


def _alike(
    shapes: Geometry,
    layers: IntArray,
    placements: tuple[Placement, ...],
    moves: Moves,
    budgets: Budgets,
    once: BoolArray,
) -> tuple[IntArray, IntArray]:
    """Return (one of each kind of layers, kind of each): blocks of a network and stripes of a layer are often alike."""
    columns = [getattr(shapes, column.name)[layers] for column in fields(Geometry)]
    rows = np.stack([*columns, *moves, *budgets, once], axis=1)
    kinds: dict[tuple[bytes, Placement], int] = {}
    same: list[int] = []
    of: list[int] = []
    for number, layer in enumerate(layers.tolist()):
        kind = kinds.setdefault((rows[number].tobytes(), placements[layer]), len(kinds))
        if kind == len(same):
            same.append(number)
        of.append(kind)
    return np.array(same, np.int64), np.array(of, np.int64)


def _grid(shapes: Geometry, layers: IntArray, once: BoolArray, chip: Chip) -> _Splits:
    """Return the candidates of all layers, layer by layer."""
    granule = chip.array.granules.outputs
    sizes = zip(shapes.rows[layers].tolist(), shapes.outputs[layers].tolist(), once.tolist(), strict=True)
    grids = [_layer_grid(rows, outputs, granule, once=alone) for rows, outputs, alone in sizes]
    number = np.repeat(np.arange(len(grids)), [len(grid) for grid in grids])
    grid = np.concatenate([np.zeros((0, 3), np.int64), *grids])
    return _Splits(number, layers[number], grid[:, 0], grid[:, 1], grid[:, 2] == 1)


@lru_cache(maxsize=4096)
def _layer_grid(rows: int, outputs: int, granule: int, *, once: bool) -> IntArray:
    """Return candidates (row groups, channels of a tile, rows outer), shape (candidates, 3).

    With `once` no weight is loaded twice: rows are the outer loop only where a tile has all channels.
    """
    groups = sorted(
        {min(rows, step) for power in range(rows.bit_length()) for step in (2**power, 3 * 2**power)} | {rows}
    )
    whole = {min(outputs, granule * 2**power) for power in range(max(1, -(-outputs // granule)).bit_length())}
    part = {2**power for power in range(min(outputs, granule).bit_length())}
    sizes = sorted(whole | part | {outputs})
    outer = [(c, o) for c in sizes for o in (0, 1) if not (once and o and c < outputs)]
    return np.array([(g, c, o) for g in groups for c, o in outer], np.int64)


def _best(
    shapes: Geometry,
    splits: _Splits,
    placements: tuple[Placement, ...],
    moves: Moves,
    budgets: Budgets,
    parts: IntArray,
    chip: Chip,
    model: CostModel,
) -> tuple[IntArray, _Splits, FloatArray]:
    """Return (number, cheapest split, price in seconds) of each layer for which one fits in so many `parts`."""
    splits = splits.chosen(_fitting(shapes, splits, moves, budgets, parts, chip))
    tiles = splits.groups * -(-shapes.outputs[splits.layer] // splits.channels) * parts[splits.number]
    few = tiles <= MAX_TILES
    any_few = np.bincount(splits.number, weights=few, minlength=len(parts)) > 0
    splits = splits.chosen(few | ~any_few[splits.number])
    price_s, moved = _prices(shapes, splits, placements, moves, parts, chip, model)
    lowest_s = np.full(len(parts), np.inf)
    np.minimum.at(lowest_s, splits.number, price_s)
    # Below this difference the order of events decides the time: take less traffic, then fewer tiles.
    good = price_s <= lowest_s[splits.number] * (1 + INDIFFERENCE)
    splits, price_s, moved = splits.chosen(good), price_s[good], moved[good]
    tiles = splits.groups * -(-shapes.outputs[splits.layer] // splits.channels)
    order = np.lexsort((price_s, tiles, moved, splits.number))
    number, first = np.unique(splits.number[order], return_index=True)
    best = order[first]
    return number, _Splits(*(getattr(splits, column.name)[best] for column in fields(_Splits))), price_s[best]


def _each_byte_once_s(moves: Moves, chip: Chip) -> FloatArray:
    """Return the seconds that the bytes of each layer take if each moves once."""
    weights_s = moves.stream * moves.stream_pieces / weight_rate(chip)[0]
    others_s = (moves.load * moves.load_pieces + moves.store * moves.store_pieces) / transfer_rate(chip)[0]
    together = others_s + weights_s if chip.weight_memory is None else np.maximum(others_s, weights_s)
    return np.asarray(together, np.float64)


def _fills_array(shapes: Geometry, splits: _Splits, chip: Chip) -> BoolArray:
    """Mark the splits whose tiles waste no more of a granule than the whole layer does."""
    granules, layer = chip.array.granules, splits.layer
    rows = -(-shapes.rows[layer] // splits.groups)
    wide = splits.channels >= np.minimum(granules.outputs, shapes.group_outputs[layer])
    tall = rows * shapes.positions[layer] >= np.minimum(granules.positions, shapes.each[layer])
    return np.asarray(wide & tall, np.bool_)


def _tile_sizes(shapes: Geometry, splits: _Splits, moves: Moves) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the bytes of inputs, weights and outputs of a tile of each split, all input channels at once."""
    layer, number = splits.layer, splits.number
    rows = -(-shapes.rows[layer] // splits.groups)
    share = splits.channels / shapes.outputs[layer]
    read = input_rows(shapes, layer, rows) / shapes.in_rows[layer] * np.where(shapes.by_channel[layer] == 1, share, 1.0)
    stored = moves.store[number] * rows / shapes.rows[layer] * share
    return moves.load[number] * read, moves.stream[number] * share, stored


def _fitting(
    shapes: Geometry, splits: _Splits, moves: Moves, budgets: Budgets, parts: IntArray, chip: Chip
) -> BoolArray:
    """Mark the splits of which a tile fits `budgets` when its input channels come in `parts`."""
    layer, number = splits.layer, splits.number
    inputs, weights, outputs = _tile_sizes(shapes, splits, moves)
    largest = -(-shapes.depth[layer] // parts[number]) / shapes.depth[layer]
    loads, weight_tile = np.ceil(inputs * largest), np.ceil(weights * largest)
    buffer = chip.weight_buffer_bytes
    if buffer is None:
        loads += weight_tile
    sums = partial_bytes(shapes, layer, -(-shapes.rows[layer] // splits.groups), splits.channels)
    loads += np.where(parts[number] > 1, sums, 0)
    fits = (loads <= budgets.load[number]) & (np.ceil(outputs) <= budgets.store[number])
    if buffer is not None:  # the weights of a tile, beside those of the next unless they come while it computes
        fits &= (1 if chip.streams_weights else 2) * weight_tile <= buffer
    return np.asarray(fits, np.bool_)


def _prices(
    shapes: Geometry,
    splits: _Splits,
    placements: tuple[Placement, ...],
    moves: Moves,
    parts: IntArray,
    chip: Chip,
    model: CostModel,
) -> tuple[FloatArray, FloatArray]:
    """Return the price in seconds of each split with input channels in `parts`, and the bytes that it moves."""
    layer, number, groups, channels = splits.layer, splits.number, splits.groups, splits.channels
    own, parts = Moves(*(column[number] for column in moves)), parts[number]
    in_tile, weight_tile, out_tile = (np.ceil(size) for size in _tile_sizes(shapes, splits, moves))
    channel_groups = -(-shapes.outputs[layer] // channels)
    rows = -(-shapes.rows[layer] // groups)
    tiles = groups * channel_groups
    # Every part of every tile loads what it needs anew.
    each = (parts > 1) | (shapes.by_channel[layer] == 1)
    input_loads = np.where(each, tiles, np.where(splits.rows_outer, groups, np.where(groups == 1, 1, tiles)))
    weight_loads = np.where((parts > 1) | (splits.rows_outer & (channel_groups > 1)), groups, 1)
    activations = in_tile * input_loads * own.load_pieces + own.store * own.store_pieces
    weights = weight_loads * own.stream * own.stream_pieces
    loads, fetches = (in_tile > 0) * input_loads, (own.stream > 0) * weight_loads * channel_groups
    rate, latency = transfer_rate(chip)
    weight_speed, weight_latency = weight_rate(chip)
    transfer_s = activations / rate + (parts * loads + (own.store > 0) * tiles) * latency / transfer_engines(chip)
    fetch_s = weights / weight_speed + parts * fetches * weight_latency / weight_engines(chip)
    # Two memories move at once, one moves the two after each other.
    transfer_s = transfer_s + fetch_s if chip.weight_memory is None else np.maximum(transfer_s, fetch_s)
    depth = -(-shapes.depth[layer] // parts)
    cycles = np.zeros(len(layer))
    for placement, at in by_placement(placements, layer):
        sizes = (rows[at] * shapes.positions[layer[at]], rows[at], channels[at], depth[at])
        cycles[at] = compute_cycles(shapes, layer[at], *sizes, placement, chip, model)
    compute_s = parts * tiles * cycles / chip.clock.value
    # First load, last store.
    ends_s = (in_tile * own.load_pieces / parts + out_tile * own.store_pieces) / rate + 2 * latency
    if not chip.streams_weights:
        ends_s = ends_s + weight_tile * own.stream_pieces / parts / weight_speed
    return np.maximum(compute_s, transfer_s) + ends_s, activations + weights
