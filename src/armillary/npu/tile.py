"""Cut each layer into tiles that fit the scratchpad twice, so that the next tile loads while this one computes.

In:  shapes, placements, residency and caching of the layers, a `Chip`.
Out: `Tiling`: per layer the number of row groups, the channels of a tile, and which of the two is the outer loop.
A layer that moves nothing is one tile. For the others, all splits on a grid are priced by
max(sum of compute, sum of transfers) + first load + last store, and the cheapest that fits is taken (of splits within
2 % of it, the one that moves the fewest bytes, then the one with the fewest tiles). Where no split fits, the input
channels are split too, into as few parts as will do: partial sums of a tile stay in the scratchpad until its last part.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from armillary.errors import InfeasibleError
from armillary.hardware import Chip
from armillary.npu.cache import Caching
from armillary.npu.fuse import Network
from armillary.npu.geometry import FloatArray, Geometry, IntArray
from armillary.npu.keep import Keeping
from armillary.npu.place import Engine, Placement
from armillary.npu.price import compute_cycles
from armillary.npu.reside import Residency, neighbourhood, partial_bytes, tile_budgets, usable_bytes
from armillary.units import MIB

MAX_TILES = 4096  # of one layer
INDIFFERENCE = 0.02  # share of the time of a layer


@dataclass(frozen=True, slots=True)
class Tiling:
    """How each layer is cut, and what its tiles move; all arrays have shape (layers,)."""

    row_groups: IntArray
    channels: IntArray  # output channels of a tile; the last one may be smaller
    channel_groups: IntArray
    parts: IntArray  # of the input channels, one after the other for each group of rows and channels, else 1
    rows_outer: npt.NDArray[np.bool_]  # rows are the outer loop: inputs are loaded once, weights once a row group
    load_bytes: IntArray  # bytes of the inputs that do not stay in the scratchpad, and of rows looked up outside of it
    store_bytes: IntArray  # bytes of the outputs that do not stay
    stream_bytes: IntArray  # bytes of the weights that are not cached

    @property
    def tiles(self) -> IntArray:
        """Number of tiles of each layer."""
        return self.row_groups * self.channel_groups * self.parts


def tile(
    network: Network,
    placements: tuple[Placement, ...],
    shapes: Geometry,
    residency: Residency,
    caching: Caching,
    keeping: Keeping,
    chip: Chip,
) -> Tiling:
    """Choose the tiles of every layer that runs on the chip.

    Raises:
        InfeasibleError: a layer does not fit beside what stays in the scratchpad.
    """
    on_chip = np.array([placement.engine != Engine.HOST for placement in placements], np.bool_)
    outside = on_chip & ~caching.cached
    loads, stores = residency.load_bytes + np.where(outside, shapes.row_bytes, 0), residency.store_bytes
    streams = np.where(outside & ~keeping.found, encoded_bytes(shapes.weight_bytes, chip), 0)
    keeps = keeping.keeps
    row_groups = np.ones(len(shapes), np.int64)
    channels, parts = shapes.outputs.copy(), np.ones(len(shapes), np.int64)
    rows_outer = np.zeros(len(shapes), np.bool_)
    stays = residency.live_bytes + keeping.bytes
    room = usable_bytes(chip) - caching.bytes - neighbourhood(stays)
    load_budget, store_budget = tile_budgets(room, int(stores.max(initial=0)))
    columns = np.stack([getattr(shapes, column.name) for column in fields(Geometry)], axis=1)
    known: dict[tuple[bytes, Placement, tuple[int, ...], bool], tuple[int, int, int, bool] | None] = {}
    for index in np.flatnonzero(loads + stores + streams).tolist():
        moves = (int(loads[index]), int(stores[index]), int(streams[index]))
        budgets = (int(load_budget[index]), int(store_budget[index]))
        # Blocks of a network and stripes of a layer are often the same.
        key = (columns[index].tobytes(), placements[index], (*moves, *budgets), bool(keeps[index]))
        if key not in known:
            grid = _grid(shapes, index, chip, once=bool(keeps[index]))
            known[key] = _cheapest(shapes, index, placements[index], grid, moves, budgets, chip)
        chosen = known[key]
        if chosen is None:
            stays_mib, cached_mib = int(stays[index]) / MIB, caching.bytes / MIB
            raise InfeasibleError(
                f"layer {network.layers[index].name!r} does not fit beside {stays_mib:.3g} MiB of activations and "
                f"{cached_mib:.3g} MiB of weights that stay in the scratchpad of {chip.name}"
            )
        row_groups[index], channels[index], parts[index], rows_outer[index] = chosen
    return Tiling(row_groups, channels, -(-shapes.outputs // channels), parts, rows_outer, loads, stores, streams)


def input_rows(shapes: Geometry, index: int | IntArray, rows: IntArray) -> IntArray:
    """Return the input rows that `rows` output rows of layer `index` read."""
    read = (rows - 1) * shapes.stride[index] + shapes.reach[index]
    return np.minimum(read, shapes.in_rows[index])


def _grid(shapes: Geometry, index: int, chip: Chip, *, once: bool) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    """Return candidates (row groups, channels of a tile, rows outer), each of shape (candidates,).

    With `once` no weight is loaded twice: rows are the outer loop only where a tile has all channels.
    """
    rows, outputs = int(shapes.rows[index]), int(shapes.outputs[index])
    granule = chip.array.granules.outputs
    groups = sorted(
        {min(rows, step) for power in range(rows.bit_length()) for step in (2**power, 3 * 2**power)} | {rows}
    )
    whole = {min(outputs, granule * 2**power) for power in range(max(1, -(-outputs // granule)).bit_length())}
    part = {2**power for power in range(min(outputs, granule).bit_length())}
    sizes = sorted(whole | part | {outputs})
    outer = [(c, o) for c in sizes for o in (0, 1) if not (once and o and c < outputs)]
    grid = np.array([(g, c, o) for g in groups for c, o in outer], np.int64)
    return grid[:, 0], grid[:, 1], grid[:, 2] == 1


def _cheapest(
    shapes: Geometry,
    index: int,
    placement: Placement,
    grid: tuple[IntArray, IntArray, npt.NDArray[np.bool_]],
    moves: tuple[int, int, int],
    budgets: tuple[int, int],
    chip: Chip,
) -> tuple[int, int, int, bool] | None:
    """Return the cheapest split that keeps a tile within `budgets` (bytes loaded, stored), None if there is none."""
    depth = int(shapes.depth[index])
    for parts in sorted({min(depth, 2**power) for power in range(depth.bit_length() + 1)}):
        fits = _fitting(shapes, index, grid, moves, budgets, parts, chip)
        if fits.any():
            few = fits & (grid[0] * -(-shapes.outputs[index] // grid[1]) * parts <= MAX_TILES)
            return _cheapest_of(shapes, index, placement, grid, moves, few if few.any() else fits, parts, chip)
    return None


def _tile_sizes(
    shapes: Geometry, index: int, grid: tuple[IntArray, IntArray, npt.NDArray[np.bool_]], moves: tuple[int, int, int]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the bytes of inputs, weights and outputs of a tile of each split, all input channels at once."""
    groups, channels, _ = grid
    load, store, stream = moves
    rows = -(-shapes.rows[index] // groups)
    share = channels / shapes.outputs[index]
    read = input_rows(shapes, index, rows) / shapes.in_rows[index] * (share if shapes.by_channel[index] else 1.0)
    return load * read, stream * share, store * rows / shapes.rows[index] * share


def _fitting(
    shapes: Geometry,
    index: int,
    grid: tuple[IntArray, IntArray, npt.NDArray[np.bool_]],
    moves: tuple[int, int, int],
    budgets: tuple[int, int],
    parts: int,
    chip: Chip,
) -> npt.NDArray[np.bool_]:
    """Mark the splits of which a tile fits `budgets` when its input channels come in `parts`."""
    inputs, weights, outputs = _tile_sizes(shapes, index, grid, moves)
    largest = -(-shapes.depth[index] // parts) / shapes.depth[index]
    loads, weight_tile = np.ceil(inputs * largest), np.ceil(weights * largest)
    buffer = chip.weight_buffer_bytes
    if buffer is None:
        loads += weight_tile
    if parts > 1:
        loads += partial_bytes(shapes, index, -(-shapes.rows[index] // grid[0]), grid[1])
    fits = (loads <= budgets[0]) & (np.ceil(outputs) <= budgets[1])
    if buffer is not None:  # the weights of a tile, beside those of the next unless they come while it computes
        fits &= (1 if chip.streams_weights else 2) * weight_tile <= buffer
    return np.asarray(fits, np.bool_)


def _cheapest_of(
    shapes: Geometry,
    index: int,
    placement: Placement,
    grid: tuple[IntArray, IntArray, npt.NDArray[np.bool_]],
    moves: tuple[int, int, int],
    chosen: npt.NDArray[np.bool_],
    parts: int,
    chip: Chip,
) -> tuple[int, int, int, bool]:
    """Return the cheapest of the `chosen` splits with input channels in `parts`."""
    grid = grid[0][chosen], grid[1][chosen], grid[2][chosen]
    groups, channels, rows_outer = grid
    _, store, stream = moves
    in_tile, weight_tile, out_tile = (np.ceil(size) for size in _tile_sizes(shapes, index, grid, moves))
    channel_groups = -(-shapes.outputs[index] // channels)
    rows = -(-shapes.rows[index] // groups)
    tiles = groups * channel_groups
    if parts > 1:  # every part of every tile loads what it needs anew
        input_loads, weight_loads = tiles, groups
    else:
        by_channel = bool(shapes.by_channel[index])
        input_loads = tiles if by_channel else np.where(rows_outer, groups, np.where(groups == 1, 1, tiles))
        weight_loads = np.where(rows_outer & (channel_groups > 1), groups, 1)
    activations, weights = in_tile * input_loads + store, weight_loads * stream
    moved = activations + weights
    loads, fetches = (in_tile > 0) * input_loads, (stream > 0) * weight_loads * channel_groups
    rate, latency = transfer_rate(chip)
    weight_speed, weight_latency = weight_rate(chip)
    transfer_s = activations / rate + (parts * loads + (store > 0) * tiles) * latency / transfer_engines(chip)
    fetch_s = weights / weight_speed + parts * fetches * weight_latency / weight_engines(chip)
    # Two memories move at once, one moves the two after each other.
    transfer_s = transfer_s + fetch_s if chip.weight_memory is None else np.maximum(transfer_s, fetch_s)
    layer, depth = np.full(len(groups), index), np.full(len(groups), -(-shapes.depth[index] // parts))
    cycles = compute_cycles(shapes, layer, rows * shapes.positions[index], rows, channels, depth, placement, chip)
    compute_s = parts * tiles * cycles / chip.clock.value
    # First load, last store.
    ends_s = (in_tile / parts + out_tile) / rate + 2 * latency
    if not chip.streams_weights:
        ends_s = ends_s + weight_tile / parts / weight_speed
    price_s: FloatArray = np.maximum(compute_s, transfer_s) + ends_s
    # Below this difference the order of events decides the time: take less traffic, then fewer tiles.
    good = np.flatnonzero(price_s <= price_s.min() * (1 + INDIFFERENCE))
    best = good[np.lexsort((price_s[good], tiles[good], moved[good]))[0]]
    return int(groups[best]), int(channels[best]), parts, bool(rows_outer[best])


def transfer_rate(chip: Chip) -> tuple[float, float]:
    """Return (bytes/s, latency in s) of the backing memory: DRAM, or the host's memory over its link."""
    if chip.dram is not None:
        return chip.dram.rate.value, chip.dram.latency.value
    assert chip.host_link is not None  # a chip has one of the two
    return chip.host_link.rate.value, chip.host_link.latency.value


def weight_rate(chip: Chip) -> tuple[float, float]:
    """Return (bytes/s, latency in s) of the memory that weights come from: their own, or that of the activations."""
    if chip.weight_memory is None:
        return transfer_rate(chip)
    return chip.weight_memory.rate.value, chip.weight_memory.latency.value


def encoded_bytes(weight_bytes: IntArray, chip: Chip) -> IntArray:
    """Return the bytes of weights as they lie in memory and move, shape as given."""
    if chip.weight_memory is None or chip.weight_memory.compression.value == 1:
        return weight_bytes
    return np.asarray(np.ceil(weight_bytes * chip.weight_memory.compression.value), np.int64)


def transfer_engines(chip: Chip) -> int:
    """Return the number of queues that move tiles: the DMA engines, or the one host link."""
    return chip.dram.dma_engines if chip.dram is not None else 1


def weight_engines(chip: Chip) -> int:
    """Return the number of queues that move weights."""
    return 1 if chip.weight_memory is not None else transfer_engines(chip)
