"""How fast a sequence of tiles goes by: a price of the compiler, before any task exists.

In:  seconds of computation and bytes moved of tiles in program order, a `Chip`.
Out: seconds of each step. While a tile computes, the loads of the next one and the stores of the one before move; the
longer of the two is the step.
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.geometry import FloatArray
from armillary.npu.rates import transfer_engines, transfer_rate
from armillary.npu.tiles import Tiles


def step_s(
    compute_s: FloatArray, loads: FloatArray, load_bytes: FloatArray, store_bytes: FloatArray, chip: Chip
) -> FloatArray:
    """Return the seconds of each step; tiles lie along the last axis, shape (..., tiles).

    Args:
        compute_s: of each tile, the cost of its layer included where it is the first.
        loads: transfers that load for the tile.
        load_bytes: bytes of these.
        store_bytes: bytes stored after the tile, in one transfer.
        chip: rate and latency of the backing memory, transfer engines.
    """
    rate, latency_s = transfer_rate(chip)
    engines = transfer_engines(chip)
    next_loads, next_bytes, stored = (np.zeros(compute_s.shape) for _ in range(3))
    next_loads[..., :-1], next_bytes[..., :-1] = loads[..., 1:], load_bytes[..., 1:]
    stored[..., 1:] = store_bytes[..., :-1]
    # The last engine stores, the others load; a single one does both.
    loading, storing = next_loads * latency_s / max(1, engines - 1), (stored > 0) * latency_s
    waiting = loading + storing if engines == 1 else np.maximum(loading, storing)
    return np.asarray(np.maximum(compute_s, (next_bytes + stored) / rate + waiting), np.float64)


def pace(tiles: Tiles, chip: Chip) -> FloatArray:
    """Return the seconds of the step of each tile, shape (tiles,)."""
    compute_s = tiles.cycles / chip.clock.value + np.where(tiles.first, chip.control.layer_cost.value, 0.0)
    loads = (tiles.weight_bytes > 0).astype(np.float64) + (tiles.input_bytes > 0)
    load_bytes = (tiles.weight_bytes + tiles.input_bytes).astype(np.float64)
    return step_s(compute_s, loads, load_bytes, tiles.output_bytes.astype(np.float64), chip)
