"""Cycles and energy of single operators on one tile of a chip, from the laws that its file carries.

In:  a CSV table of operators (columns as in `table.COLUMNS`) and a chip with `operator_laws`.
Out: `OperatorCosts`: cycles, ideal cycles and energy a row, and the errors against `cycles_nn` where the table has it.
`forms` holds the equations, `energy` ideal cycles and power factors, `costs` picks the law of each row.
"""

from __future__ import annotations

from armillary.npu.laws.cost_table import operators
from armillary.npu.laws.costs import operator_cycles
from armillary.npu.laws.energy import energy_pv_cycles, ideal_cycles
from armillary.npu.laws.result import OperatorCost, OperatorCosts
from armillary.npu.laws.table import OperatorTable, read_table

__all__ = [
    "OperatorCost",
    "OperatorCosts",
    "OperatorTable",
    "energy_pv_cycles",
    "ideal_cycles",
    "operator_cycles",
    "operators",
    "read_table",
]
