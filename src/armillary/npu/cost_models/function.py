"""The cost model of the user: a function over columns, checked on every call.

In:  a function `(tiles, chip) -> cycles`. Out: a cost model that refuses cycles of a wrong shape, negative or not
finite, by the name of the function.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu.cost_models.contract import CostFunction, Priced, TileBatch, whole


@dataclass(frozen=True, slots=True)
class FunctionModel:
    """A function of the user as a cost model."""

    name: str
    function: CostFunction = field(repr=False)
    sources: ClassVar[tuple[str, ...]] = ("function",)

    @property
    def identity(self) -> str:
        """Its name: what a function computes cannot be told."""
        return self.name

    @classmethod
    def of(cls, function: CostFunction, name: str | None = None) -> FunctionModel:
        """Return the model of `function`, called by its own name where none is given."""
        return cls(f"function {name or getattr(function, '__name__', type(function).__name__)}", function)

    def price(self, tiles: TileBatch, chip: Chip) -> Priced:
        """Return what the function says.

        Raises:
            InputError: it gives no array of one finite number of at least 0 for each tile.
        """
        cycles = np.asarray(self.function(tiles, chip), np.float64)
        if cycles.shape != (len(tiles),):
            raise InputError(
                f"gave cycles of shape {cycles.shape} for {len(tiles)} tiles",
                where=self.name,
                hint=f"return an array of shape ({len(tiles)},)",
            )
        wrong = np.flatnonzero(~(np.isfinite(cycles) & (cycles >= 0)))
        if len(wrong):
            at = int(wrong[0])
            raise InputError(
                f"gave {cycles[at]} cycles for a tile of {tiles.kind_names()[at]}",
                where=self.name,
                hint="cycles are finite and at least 0",
            )
        return whole(cycles)
