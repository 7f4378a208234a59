"""Kernels of a programmable vector engine: a launch, then bytes at a rate.

In:  tiles of the vector engine, and the kernels of the chip file (`vector.kernels`, by activation or operator).
Out: cycles of each tile, and which of them have a kernel.
t = launch + bytes written by the busiest unit / rate of a unit: VPUNN's slope and intercept of a SHAVE.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.cost_models.contract import TileBatch
from armillary.npu.geometry import FUNCTIONS, KINDS, FloatArray
from armillary.workload import ELEMENT_BYTES


def kernel_cycles(tiles: TileBatch, chip: Chip) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return (cycles, whether the chip has the kernel), both of shape (tiles,); 0 cycles where it has not."""
    vector = chip.vector
    launch_s, rate = np.zeros(len(tiles)), np.full(len(tiles), np.inf)
    known = np.zeros(len(tiles), np.bool_)
    for name, kernel in vector.kernels.items():
        # An activation is named by its function, other operators by their kind.
        named = tiles.function == FUNCTIONS.index(name) if name in FUNCTIONS else tiles.kind == _kind_index(name)
        launch_s = np.where(named, kernel.launch.value, launch_s)
        rate = np.where(named, kernel.rate.value, rate)
        known |= named
    moved = np.ceil(tiles.out_elements / vector.units) * ELEMENT_BYTES[tiles.dtype]
    return np.asarray((launch_s + moved / rate) * chip.clock.value, np.float64), known


def _kind_index(name: str) -> int:
    return [kind.value for kind in KINDS].index(name)
