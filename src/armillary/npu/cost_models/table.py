"""The cost model of a table: cycles of operators that somebody measured or simulated, looked up by shape.

In:  a CSV file with the columns of operator tables and `cycles` (or `cycles_nn`): one operator on one hardware tile.
Out: cycles of each tile: of the row with its shape, else of the nearest row of its operator and element type, times the
ratio of their work; of the chip's own model where no row is near, and on the vector engine.
Near: at most `REACH` octaves away, as a Euclidean distance over the logarithms (base 2) of width, height, output and
input channels, taps and stride. Rows of one shape are averaged. More work may take fewer cycles, if the table says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu.cost_models.calibrated import Calibrated
from armillary.npu.cost_models.contract import Priced, TileBatch
from armillary.npu.cost_models.lanes import largest_parts
from armillary.npu.cost_models.operators import OPERATORS, as_shapes, operator_index, operators_each
from armillary.npu.geometry import FloatArray
from armillary.npu.laws.forms import Shapes
from armillary.npu.laws.table import OperatorTable, read_table
from armillary.npu.place import Engine
from armillary.store import file_digest

REACH: Final = 2.0  # octaves
CYCLES: Final = ("cycles", "cycles_nn")  # columns that tell cycles, the first one that the table has
_SAME = 1e-9  # octaves
_ONE_SHAPE, _NEAR_SHAPE, _OWN_SOURCES = range(3)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one operator and element type, one a shape."""

    op: str
    dtype: str
    tree: Any  # scipy.spatial.cKDTree over the logarithms of the shapes
    cycles: FloatArray
    work: FloatArray


@dataclass(frozen=True, slots=True)
class TableModel:
    """Cycles of a table, and of the chip's calibrated or theoretical model where it has no row near."""

    name: str
    identity: str
    groups: tuple[Rows, ...]
    sources: ClassVar[tuple[str, ...]] = ("table, same shape", "table, near shape", *Calibrated.sources)

    @classmethod
    def read(cls, path: Path) -> TableModel:
        """Return the model of the CSV file `path`.

        Raises:
            InputError: no such file, or a wrong one (file:line), or one without cycles.
        """
        table = read_table(path, reference=CYCLES)
        if table.reference is None:
            raise InputError("has no cycles", where=str(path), hint=f"add a column {CYCLES[0]}")
        keys = dict.fromkeys(zip(table.ops, table.dtypes, strict=True))
        return cls(f"table {path.name}", f"table {file_digest(path)}", tuple(_rows(table, *key) for key in keys))

    def price(self, tiles: TileBatch, chip: Chip) -> Priced:
        """Return the cycles of `tiles`."""
        own = Calibrated().price(tiles, chip)
        cycles, source = own.cycles.copy(), own.source + _OWN_SOURCES
        if tiles.engine == Engine.VECTOR:
            return Priced(cycles, source)
        operator = operator_index(tiles)
        for rows in self.groups:
            at = np.flatnonzero(operator == OPERATORS.index(rows.op))
            if rows.dtype != tiles.dtype or not len(at):
                continue
            found, distance = _look_up(tiles.select(at), rows, chip.tiles)
            near = distance <= REACH
            cycles[at[near]] = found[near]
            source[at[near]] = np.where(distance[near] <= _SAME, _ONE_SHAPE, _NEAR_SHAPE)
        return Priced(cycles, source)


def _look_up(tiles: TileBatch, rows: Rows, hardware_tiles: int) -> tuple[FloatArray, FloatArray]:
    """Return (cycles, distance in octaves) of the better of the ways over the hardware tiles, shape (tiles,)."""
    found, distances = [], []
    for way in largest_parts(tiles, hardware_tiles):
        shapes = as_shapes(way)
        distance, at = rows.tree.query(_logarithms(shapes))
        found.append(rows.cycles[at] * (_work(shapes, rows.op) / rows.work[at]) * operators_each(way))
        distances.append(distance)
    cycles, distance = np.array(found), np.array(distances)
    # A way with a row near goes before one without.
    best = np.argmin(np.where(distance <= REACH, cycles, np.inf), axis=0)
    every = np.arange(len(tiles))
    return cycles[best, every], distance[best, every]


def _rows(table: OperatorTable, op: str, dtype: str) -> Rows:
    from scipy.spatial import cKDTree  # takes 0.1 s to import

    assert table.reference is not None
    keys = zip(table.ops, table.dtypes, strict=True)
    at = np.array([row for row, key in enumerate(keys) if key == (op, dtype)], np.int64)
    shapes = table.shapes.select(at)
    points, first, place = np.unique(_logarithms(shapes), axis=0, return_index=True, return_inverse=True)
    cycles = np.bincount(place.ravel(), weights=table.reference[at]) / np.bincount(place.ravel())
    return Rows(op, dtype, cKDTree(points), cycles, _work(shapes, op)[first])


def _logarithms(shapes: Shapes) -> FloatArray:
    columns = (shapes.width, shapes.height, shapes.outputs, shapes.inputs, shapes.taps, shapes.stride)
    return np.log2(np.stack(columns, axis=1).astype(np.float64))


def _work(shapes: Shapes, op: str) -> FloatArray:
    """Return the products of a convolution, the taps of a window, or the elements of a sum."""
    each = shapes.inputs * shapes.taps if op == "conv" else shapes.taps
    return np.asarray(shapes.width * shapes.height * shapes.outputs * each, np.float64)
