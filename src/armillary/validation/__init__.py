"""Published and measured figures that results are compared with.

In:  `references/SYSTEM.yaml`. Out: frozen `Reference` and `OperatorReference` records with their source; the latter
also as the table that `npu.laws` takes. `scorecard.scorecard` runs the former.
"""

from __future__ import annotations

from armillary.validation.operator_table import operator_table
from armillary.validation.references_file import (
    OperatorReference,
    Reference,
    load_operator_references,
    load_references,
)

__all__ = ["OperatorReference", "Reference", "load_operator_references", "load_references", "operator_table"]
