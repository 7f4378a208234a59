"""Tiles in the words of operator laws and operator tables.

In:  a `TileBatch` of the array. Out: the operator of each tile, its `Shapes`, and how many such operators it is.
Kinds that neither laws nor tables name go by the nearest that they do: products of matrices and transposed convolutions
are 1x1 convolutions, products of elements are sums, a mean over a whole map is a pool with that window.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from armillary.npu.cost_models.contract import TileBatch
from armillary.npu.geometry import KINDS, FloatArray, IntArray
from armillary.npu.laws.forms import Shapes
from armillary.workload import OpKind

_OPERATOR_OF: Final = {
    OpKind.CONV: "conv", OpKind.GEMM: "conv", OpKind.MATMUL: "conv", OpKind.CONV_TRANSPOSE: "conv",
    OpKind.RECURRENT: "conv", OpKind.DEPTHWISE: "depthwise", OpKind.MAX_POOL: "max_pool", OpKind.AVG_POOL: "avg_pool",
    OpKind.GLOBAL_POOL: "avg_pool", OpKind.ADD: "add", OpKind.MUL: "add",
}  # fmt: skip
OPERATORS: Final = (*dict.fromkeys(_OPERATOR_OF.values()), "")
"Operators of laws and tables; the last one is none of them."
_BY_KIND: Final = np.array([OPERATORS.index(_OPERATOR_OF.get(kind, "")) for kind in KINDS], np.int64)
_SUM: Final = OPERATORS.index("add")
# Positions of the array side by side: rows of a matrix are laid out in lines of as many.
_LINE = 16


def operator_index(tiles: TileBatch) -> IntArray:
    """Return the operator of each tile as an index into OPERATORS, shape (tiles,)."""
    return _BY_KIND[tiles.kind]


def as_shapes(tiles: TileBatch) -> Shapes:
    """Return the shape of the operator that each tile is, or is several times.

    A matrix is a map with its columns as channels and its rows in lines of 16, in sums too, which give one channel.
    """
    one = np.minimum(tiles.each, tiles.positions)
    product = (tiles.width == 1) & (tiles.taps == 1) & (tiles.reduction > 0)
    flat = (tiles.outputs == 1) & (operator_index(tiles) == _SUM)
    lines = np.where(flat, tiles.height, one)
    width = np.where(product | flat, np.minimum(lines, _LINE), tiles.width)
    outputs = np.where(flat, tiles.width, np.minimum(tiles.outputs, tiles.group_outputs) * tiles.widening)
    return Shapes(
        width=width,
        height=np.where(product | flat, -(-lines // width), tiles.height),
        outputs=outputs,
        inputs=np.where(tiles.reduction > 0, tiles.inputs, outputs),
        taps=tiles.taps,
        stride=tiles.stride,
        inside=tiles.inside,
    )


def operators_each(tiles: TileBatch) -> FloatArray:
    """Return how many operators each tile is, one after the other (groups, matrices, steps), shape (tiles,)."""
    summed = tiles.reduction > 0
    groups = np.where(summed, -(-tiles.outputs // tiles.group_outputs), 1)
    matrices = np.where(summed, np.maximum(tiles.positions / tiles.each, 1.0), 1.0)
    return np.asarray(groups * matrices * tiles.repeats, np.float64)


def joined(shapes: tuple[Shapes, ...]) -> Shapes:
    """Return the rows of all `shapes`, one after the other."""
    if len(shapes) == 1:
        return shapes[0]
    return Shapes(*(np.concatenate([getattr(part, name) for part in shapes]) for name in Shapes.__slots__))
