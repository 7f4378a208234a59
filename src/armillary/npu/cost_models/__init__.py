"""Exchangeable cost models: how many cycles a tile takes on its engine.

In:  tiles as columns (`TileBatch`) and a chip. Out: cycles of each, and which part of the model told them (`Priced`).
One file a model: `theoretical` (granules and rates, any chip), `calibrated` (operator laws and kernel costs of a
measured chip), `table` (a CSV file of the user, by shape), `function` (any function of the user). `choose` finds the
model that a name, a file or a function means; `contract` says what a model must keep.
"""

from __future__ import annotations

from armillary.npu.cost_models.calibrated import Calibrated
from armillary.npu.cost_models.choose import CostChoice, choose_cost_model
from armillary.npu.cost_models.contract import CostFunction, CostModel, Priced, TileBatch
from armillary.npu.cost_models.function import FunctionModel
from armillary.npu.cost_models.table import TableModel
from armillary.npu.cost_models.theoretical import Theoretical

__all__ = [
    "Calibrated",
    "CostChoice",
    "CostFunction",
    "CostModel",
    "FunctionModel",
    "Priced",
    "TableModel",
    "Theoretical",
    "TileBatch",
    "choose_cost_model",
]
