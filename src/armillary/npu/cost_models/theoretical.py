"""The cost model that every chip has: work in whole granules over the rates of the chip file.

In:  tiles and a chip. Out: cycles by `armillary.npu.costs`: array, depthwise or vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from armillary.hardware import Chip
from armillary.npu.cost_models.contract import Priced, TileBatch, whole
from armillary.npu.costs import array_cycles, depthwise_cycles, vector_cycles
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.place import Engine


@dataclass(frozen=True, slots=True)
class Theoretical:
    """Granules and rates; more of anything never takes fewer cycles."""

    name: ClassVar[str] = "theoretical"
    identity: ClassVar[str] = "theoretical"
    sources: ClassVar[tuple[str, ...]] = ("theoretical",)

    def price(self, tiles: TileBatch, chip: Chip) -> Priced:
        """Return the cycles of `tiles`."""
        return whole(theoretical_cycles(tiles, chip))


def theoretical_cycles(tiles: TileBatch, chip: Chip) -> FloatArray:
    """Return cycles by the rates and granules of `chip`, shape (tiles,)."""
    if tiles.engine == Engine.VECTOR:
        return vector_cycles(tiles.in_elements, tiles.out_elements, tiles.taps, tiles.passes, chip, tiles.dtype)
    positions = _whole_positions(tiles, chip)
    dense = array_cycles(
        positions,
        tiles.outputs * tiles.widening,
        np.maximum(tiles.reduction, 1),
        tiles.group_outputs * tiles.widening,
        np.maximum(tiles.each, np.where(tiles.maps == 1, positions, 1)),
        tiles.repeats,
        chip,
        tiles.dtype,
        window=tiles.window,
    )
    alone = depthwise_cycles(positions, tiles.outputs, tiles.taps, chip, tiles.dtype)
    cycles = np.where(tiles.reduction > 0, dense, alone)
    if chip.array.outputs_per_cycle is None:
        return cycles
    # A tile of some of the input channels makes as large a part of its outputs.
    made = tiles.positions * tiles.outputs * tiles.widening * tiles.repeats * tiles.part
    return np.asarray(np.maximum(cycles, made / chip.array.outputs_per_cycle[tiles.dtype]), np.float64)


def _whole_positions(tiles: TileBatch, chip: Chip) -> IntArray:
    """Return the output positions of tiles, those of feature maps in whole granules of rows and columns."""
    granules = chip.array.granules
    if granules.rows == granules.columns == 1:
        return tiles.positions
    columns = -(-tiles.width // granules.columns) * granules.columns
    whole_rows = -(-tiles.height // granules.rows) * granules.rows
    return np.where(tiles.maps == 1, whole_rows * columns, tiles.positions)
