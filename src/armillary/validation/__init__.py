"""Published and measured figures that results are compared with.

In:  `references/SYSTEM.yaml`. Out: frozen `Reference`, `OperatorReference` and `TransferReference` records with their
source; operators also as the table that `npu.laws` takes. `scorecard.scorecard` runs the former.
"""

from __future__ import annotations

from armillary.validation.operator_table import operator_table
from armillary.validation.references_file import (
    OperatorReference,
    Reference,
    TransferReference,
    load_operator_references,
    load_references,
    load_transfer_references,
)

__all__ = [
    "OperatorReference",
    "Reference",
    "TransferReference",
    "load_operator_references",
    "load_references",
    "load_transfer_references",
    "operator_table",
]
