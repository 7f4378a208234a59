"""From what a user names to a cost model: a built-in one, an installed one, a table, a function.

In:  None, a name, a CSV file, a function, or a `CostModel`; and the chip.
Out: a `CostModel`. None is "calibrated" where the chip has operator laws, "theoretical" elsewhere.
Installed models are entry points of the group `armillary.cost_models`: a `CostModel`, or a function over columns.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, cast

from armillary.errors import InputError, canonical_name, unknown_name
from armillary.hardware import Chip
from armillary.npu.cost_models.calibrated import Calibrated
from armillary.npu.cost_models.contract import CostFunction, CostModel
from armillary.npu.cost_models.function import FunctionModel
from armillary.npu.cost_models.table import TableModel
from armillary.npu.cost_models.theoretical import Theoretical

CostChoice = str | Path | CostFunction | CostModel | None
"What `cost_model` may be wherever it is asked for."

_GROUP: Final = "armillary.cost_models"
_TABLE: Final = ".csv"


def choose_cost_model(given: CostChoice, chip: Chip) -> CostModel:
    """Return the cost model that `given` names for `chip`.

    Raises:
        InputError: no such model or table, a wrong table, or `calibrated` for a chip without operator laws.
    """
    if given is None:
        return Theoretical() if chip.operator_laws is None else Calibrated()
    if not isinstance(given, (str, Path)):
        return _as_model(given, None)
    if Path(given).suffix.lower() == _TABLE:
        return TableModel.read(Path(given))
    name = canonical_name(str(given))
    if name == Theoretical.name:
        return Theoretical()
    if name == Calibrated.name:
        if chip.operator_laws is None:
            raise InputError(f"{chip.name} has no operator laws", where="cost_model", hint=f"use {Theoretical.name}")
        return Calibrated()
    installed: dict[str, EntryPoint] = {canonical_name(entry.name): entry for entry in entry_points(group=_GROUP)}
    if name in installed:
        return _as_model(installed[name].load(), installed[name].name)
    known = (Theoretical.name, Calibrated.name, *(entry.name for entry in installed.values()))
    error = unknown_name("cost model", str(given), known, where="cost_model")
    raise InputError(error.message, where="cost_model", hint=f"known: {', '.join(known)}, or a table ({_TABLE})")


def _as_model(given: Any, name: str | None) -> CostModel:
    """Return a model as it is, and a function as a model."""
    if hasattr(given, "price"):
        return cast("CostModel", given)
    if not callable(given):
        raise InputError(
            f"{given!r} is no cost model", where="cost_model", hint="give a name, a CSV file, or a function"
        )
    return FunctionModel.of(given, name)
