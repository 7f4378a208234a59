"""What each pass of the compiler hands on, as a table for people.

In:  a network, a chip, and the name of a pass: recognise, fold, lower, fuse, place, stripe, geometry, split, reside,
cache, tile, cut, allocate, barriers or emit.
Out: `PassTable`: a title, columns and rows of plain values, one row an operator, layer, tensor, tile or task.
Nothing is played: `emit` is the last pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.errors import canonical_name, unknown_name
from armillary.hardware import Chip, load_chip
from armillary.npu.compile import compile_network
from armillary.npu.cost_models import CostChoice
from armillary.npu.pass_tables import SHOWN, Cell
from armillary.npu.run import read_graph
from armillary.workload import Graph


@dataclass(frozen=True, slots=True)
class PassTable:
    """The output of one pass."""

    name: str
    title: str  # what a row is, and a total where there is one
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_json(self) -> Mapping[str, object]:
        """Return name, title, columns and rows."""
        return {"pass": self.name, "title": self.title, "columns": self.columns, "rows": self.rows}


def passes(
    model: str | Path | Graph,
    name: str,
    /,
    *,
    chip: str | Path | Chip,
    dtype: str = "int8",
    batch: int = 1,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    resolution: int | None = None,
    sequence: int | None = None,
    width: float = 1.0,
    cost_model: CostChoice = None,
) -> PassTable:
    """Return what the pass `name` hands on when `model` is compiled for `chip`.

    Args:
        model: name of the zoo, model file, or a graph.
        name: one of `PASSES`.
        chip: name of the catalogue, YAML file, or a chip.
        dtype: element type that the floating tensors of the network are turned to.
        batch: items of one inference; networks of the zoo only.
        shape: shapes of inputs by name, for the dimensions that a model file leaves open.
        resolution: height and width of the image, pixels; networks of the zoo only.
        sequence: tokens, steps, or cached tokens of a decode; networks of the zoo only.
        width: channel multiplier; networks of the zoo only.
        cost_model: what prices tiles, as `run` takes it.

    Raises:
        InputError: no such pass (lists the known ones), or as `run`.
        InfeasibleError: as `run`.
    """
    by_fold = {canonical_name(known): known for known in PASSES}
    if canonical_name(name) not in by_fold:
        error = unknown_name("pass", name, ())
        raise type(error)(error.message, hint=f"passes: {', '.join(PASSES)}")
    device = chip if isinstance(chip, Chip) else load_chip(chip)
    graph = read_graph(
        model, dtype=dtype, batch=batch, shape=shape, resolution=resolution, sequence=sequence, width=width
    )
    chosen = by_fold[canonical_name(name)]
    title, columns, rows = SHOWN[chosen](graph, compile_network(graph, device, cost_model))
    return PassTable(chosen, title, tuple(columns), tuple(rows))


PASSES: Final = tuple(SHOWN)
"Passes in the order in which the compiler runs them."
