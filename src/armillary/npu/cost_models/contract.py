"""What a cost model is: tiles of one engine and element type in, cycles out.

In:  a `TileBatch` (columns of shape (tiles,)) and the `Chip` that the tiles run on.
Out: `Priced`: cycles of each tile, and which part of the model told them.
A model is pure: the same tiles give the same cycles, alone or among others, in any order. Cycles are those of the
chip's clock, with the data of the tile in the scratchpad; what moves data is not part of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np

from armillary.hardware import Chip
from armillary.npu.geometry import FUNCTIONS, KINDS, FloatArray, IntArray
from armillary.npu.place import Engine

_ONE_FOR_ALL: Final = ("engine", "dtype")


@dataclass(frozen=True, slots=True)
class TileBatch:
    """Tiles of one engine and element type; every array has shape (tiles,), elements where no unit is named."""

    engine: Engine
    dtype: str
    kind: IntArray  # index into KINDS
    function: IntArray  # index into FUNCTIONS: what a vector kernel computes, 0 where it is no activation
    width: IntArray  # output positions of a row
    height: IntArray  # output rows
    outputs: IntArray  # output channels
    inputs: IntArray  # input channels summed for one output; 1 where channels do not mix
    taps: IntArray  # window positions that one output reads of a channel
    stride: IntArray  # input rows between output rows
    inside: FloatArray  # share of the taps that meet the input and not its padding
    reduction: IntArray  # products summed for one output; 0 where nothing is summed over channels
    window: IntArray  # products of one input channel among the `reduction`
    part: FloatArray  # share of the input channels of the layer that the tile sums
    maps: IntArray  # 1 where width and height are those of feature maps, 0 where of matrices
    group_outputs: IntArray  # output channels that share their inputs
    widening: IntArray  # array outputs per output channel and position (transposed convolutions), else 1
    each: IntArray  # output positions that share their weights
    repeats: IntArray  # times that the product is done one after the other
    passes: IntArray  # passes of the vector engine over its elements
    in_elements: FloatArray  # read
    out_elements: FloatArray  # written

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def positions(self) -> IntArray:
        """Output positions of each tile."""
        return self.width * self.height

    def select(self, rows: Any) -> TileBatch:
        """Return the given tiles (indices, mask or slice)."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in _ONE_FOR_ALL}
        return TileBatch(self.engine, self.dtype, **columns)

    def kind_names(self) -> list[str]:
        """Return the kind of each tile in the words of chip files: conv, depthwise, ..."""
        return [KINDS[index].value for index in self.kind.tolist()]

    def function_names(self) -> list[str]:
        """Return the function of each tile: sigmoid, gelu, ..., "" where it is no activation."""
        return [FUNCTIONS[index] for index in self.function.tolist()]


@dataclass(frozen=True, slots=True)
class Priced:
    """Cycles of tiles with where they come from; both of shape (tiles,)."""

    cycles: FloatArray
    source: IntArray  # index into `CostModel.sources`


class CostModel(Protocol):
    """Prices tiles. `armillary.testing.check_cost_model` tells whether one keeps the contract."""

    @property
    def name(self) -> str:
        """What a result calls it."""
        ...

    @property
    def identity(self) -> str:
        """Name, or a digest where the name does not say all: equal for models that price alike."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of its parts, which `Priced.source` counts."""
        ...

    def price(self, tiles: TileBatch, chip: Chip) -> Priced:
        """Return cycles, at least 0 and finite, and the source of each."""
        ...


CostFunction = Callable[[TileBatch, Chip], FloatArray]
"A cost model of the user: cycles of shape (tiles,)."


def whole(cycles: FloatArray) -> Priced:
    """Return cycles that all come from the first source."""
    return Priced(cycles, np.zeros(len(cycles), np.int64))
