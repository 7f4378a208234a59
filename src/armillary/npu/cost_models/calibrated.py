"""The cost model of chips that were measured: operator laws on the array, kernel costs on the vector engine.

In:  tiles and a chip with `operator_laws`.
Out: cycles, and where each comes from: a law, a kernel cost, or the theoretical model where the chip has neither.
Laws speak of one hardware tile: a tile is divided over those of the chip by rows or by channels, whichever ends first.
Laws were fitted to an array of known lanes; on one with more of them, what the array computes takes less, memory does
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from armillary.hardware import Chip, ElementwiseLaw, Law, WindowedLaw
from armillary.npu.cost_models.contract import Priced, TileBatch
from armillary.npu.cost_models.kernels import kernel_cycles
from armillary.npu.cost_models.lanes import largest_parts
from armillary.npu.cost_models.operators import OPERATORS, as_shapes, joined, operator_index, operators_each
from armillary.npu.cost_models.theoretical import theoretical_cycles
from armillary.npu.geometry import FloatArray
from armillary.npu.laws.forms import FORMS
from armillary.npu.place import Engine
from armillary.workload import ELEMENT_BYTES

THEORETICAL, LAW, KERNEL = range(3)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Laws and kernel costs of the chip, theoretical where it has none."""

    name: ClassVar[str] = "calibrated"
    identity: ClassVar[str] = "calibrated"
    sources: ClassVar[tuple[str, ...]] = ("theoretical", "operator law", "kernel cost")

    def price(self, tiles: TileBatch, chip: Chip) -> Priced:
        """Return the cycles of `tiles`."""
        return _on_vector(tiles, chip) if tiles.engine == Engine.VECTOR else _on_array(tiles, chip)


def _on_array(tiles: TileBatch, chip: Chip) -> Priced:
    cycles, source = np.zeros(len(tiles)), np.full(len(tiles), THEORETICAL)
    laws = chip.operator_laws.laws if chip.operator_laws is not None else ()
    by_operator = {law.op: law for law in laws if law.dtype == tiles.dtype}
    operator = operator_index(tiles)
    for number in np.unique(operator).tolist():
        rows = np.flatnonzero(operator == number)
        chosen = tiles if len(rows) == len(tiles) else tiles.select(rows)
        law = by_operator.get(OPERATORS[number])
        if law is None:
            cycles[rows] = theoretical_cycles(chosen, chip)
        else:
            cycles[rows], source[rows] = _by_law(chosen, law, chip), LAW
    return Priced(cycles, source)


def _by_law(tiles: TileBatch, law: Law, chip: Chip) -> FloatArray:
    """Return the cycles of tiles of one law: the better of the ways over the hardware tiles."""
    assert chip.operator_laws is not None
    lanes = chip.array.macs_per_cycle[tiles.dtype] / chip.tiles
    fitted = _for_lanes(law, lanes / chip.operator_laws.macs_per_cycle[tiles.dtype])
    ways = largest_parts(tiles, chip.tiles)
    shapes = joined(tuple(as_shapes(way) for way in ways))
    each = FORMS[law.form](shapes, fitted, lanes, ELEMENT_BYTES[tiles.dtype])
    count = np.concatenate([operators_each(way) for way in ways])
    return np.asarray((each * count).reshape(len(ways), len(tiles)).min(axis=0), np.float64)


def _for_lanes(law: Law, ratio: float) -> Law:
    """Return `law` for an array of `ratio` times the lanes; those of a dense law are an argument of its equation."""
    if ratio != 1.0 and isinstance(law, WindowedLaw):
        return law.model_copy(update={"tap": law.tap / ratio, "output": law.output / ratio})
    if ratio != 1.0 and isinstance(law, ElementwiseLaw):
        return law.model_copy(update={"rate": law.rate * ratio})
    return law


def _on_vector(tiles: TileBatch, chip: Chip) -> Priced:
    # A kernel is divided over the units of the whole vector engine.
    cycles, known = kernel_cycles(tiles, chip)
    others = theoretical_cycles(tiles, chip) + chip.vector.launch.value * chip.clock.value
    return Priced(np.where(known, cycles, others), np.where(known, KERNEL, THEORETICAL))
