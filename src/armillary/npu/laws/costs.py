"""Cycles of a table of operators: the law of each row, applied to all rows that share it.

In:  an `OperatorTable` and a chip with `operator_laws`.
Out: cycles on one tile, shape (rows,).
"""

from __future__ import annotations

import numpy as np

from armillary.errors import InputError, unknown_name
from armillary.hardware import Chip, Law, OperatorLaws, chip_names, load_chip
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.laws.energy import energy_pv_cycles, ideal_cycles
from armillary.npu.laws.forms import FORMS, Shapes
from armillary.npu.laws.table import OperatorTable
from armillary.workload import ELEMENT_BYTES


def law_cycles(shapes: Shapes, law: Law, laws: OperatorLaws) -> FloatArray:
    """Return the cycles of rows of one operator and element type, shape (rows,)."""
    return FORMS[law.form](shapes, law, laws.macs_per_cycle[law.dtype], ELEMENT_BYTES[law.dtype])


def operator_cycles(table: OperatorTable, chip: Chip) -> FloatArray:
    """Return the cycles of each row on one tile of `chip`, its data in the scratchpad.

    Raises:
        InputError: the chip has no laws, or none for the operator and element type of a row (file:line).
    """
    laws = laws_of(chip)
    cycles = np.zeros(len(table.shapes), np.float64)
    for law, rows in grouped(table, chip):
        cycles[rows] = law_cycles(table.shapes.select(rows), law, laws)
    return cycles


def ideal_and_energy(table: OperatorTable, chip: Chip) -> tuple[IntArray, FloatArray | None]:
    """Return ideal cycles of each row, and PV cycles (None where the chip has no power factors)."""
    laws = laws_of(chip)
    ideal = np.zeros(len(table.shapes), np.int64)
    energy = np.zeros(len(table.shapes), np.float64)
    for law, rows in grouped(table, chip):
        shapes = table.shapes.select(rows)
        ideal[rows] = ideal_cycles(shapes, law.op, laws.macs_per_cycle[law.dtype])
        if chip.power_factors is not None:
            energy[rows] = energy_pv_cycles(ideal[rows], shapes.inputs, law.op, law.dtype, chip)
    return ideal, energy if chip.power_factors is not None else None


def laws_of(chip: Chip) -> OperatorLaws:
    """Return the laws of `chip`.

    Raises:
        InputError: it has none; names the chips of the catalogue that have.
    """
    if chip.operator_laws is None:
        having = [name for name in chip_names() if load_chip(name).operator_laws is not None]
        raise InputError(f"{chip.name} has no operator laws", hint=f"chips that have them: {', '.join(having)}")
    return chip.operator_laws


def grouped(table: OperatorTable, chip: Chip) -> list[tuple[Law, IntArray]]:
    """Return each law with the rows that it serves.

    Raises:
        InputError: a row that no law serves (file:line).
    """
    laws = {(law.op, law.dtype): law for law in laws_of(chip).laws}
    served: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(table.ops, table.dtypes, strict=True)):
        if key not in laws:
            known = [f"{op} {dtype}" for op, dtype in laws]
            raise unknown_name(f"operator law of {chip.name}", " ".join(key), known, where=table.where(row))
        served.setdefault(key, []).append(row)
    return [(laws[key], np.array(rows, np.int64)) for key, rows in served.items()]
