"""Measured operators as the table that operator laws take.

In:  `OperatorReference` records. Out: `OperatorTable`, one row a record, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from armillary.validation.references_file import OperatorReference

if TYPE_CHECKING:
    from armillary.npu.laws import OperatorTable


def operator_table(references: Sequence[OperatorReference]) -> OperatorTable:
    """Return `references` as a table whose reference column holds the measured cycles."""
    from armillary.npu.laws.table import ELEMENT_TYPES, OPERATORS, OperatorTable, shapes_of

    columns = {
        "in_w": tuple(r.input[0] for r in references),
        "in_h": tuple(r.input[1] for r in references),
        "in_c": tuple(r.input[2] for r in references),
        "out_w": tuple(r.output[0] for r in references),
        "out_h": tuple(r.output[1] for r in references),
        "out_c": tuple(r.output[2] for r in references),
        "k": tuple(r.kernel for r in references),
        "s": tuple(r.stride for r in references),
        "pad": tuple(r.pad for r in references),
    }
    return OperatorTable(
        source="references",
        lines=tuple(range(1, len(references) + 1)),
        devices=("",) * len(references),
        op_words=tuple(r.op for r in references),
        dtype_words=tuple(r.dtype for r in references),
        ops=tuple(OPERATORS[r.op] for r in references),
        dtypes=tuple(ELEMENT_TYPES[r.dtype] for r in references),
        sizes=columns,
        shapes=shapes_of(columns),
        reference=np.array([r.value for r in references], np.float64),
    )
