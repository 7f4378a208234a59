"""What `npu operators` returns: cycles and energy of each operator, and how far they lie from a reference.

In:  built by `operators`. Out: `OperatorCosts`; strict JSON, a summary, a run folder with `result.json`.
Nothing is played here, so that there is no timeline: one operator on one tile is one number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from armillary.store import dumps_strict, writing_run
from armillary.timeline import RunInfo, Trust

SCHEMA = 1
_FRAME = ("seed", "inputs", "run")


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """One row of the table with its cost on one tile; the first eleven fields repeat the table."""

    op: str
    dtype: str
    in_w: int
    in_h: int
    in_c: int
    out_w: int
    out_h: int
    out_c: int
    k: int
    s: int
    pad: int
    cycles: int
    time_s: float  # at the chip's clock
    ideal_cycles: int
    energy_pv_cycles: float | None  # None: the chip has no power factors
    cycles_nn: float | None  # the table's reference, of this chip's device only
    error: float | None  # cycles / cycles_nn - 1


@dataclass(frozen=True, slots=True)
class GroupError:
    """Errors of the rows of one operator and element type."""

    op: str
    dtype: str
    rows: int
    median_abs_error: float
    p90_abs_error: float
    max_abs_error: float


@dataclass(frozen=True, kw_only=True)
class OperatorCosts:
    """Costs of a table of operators on one tile of a chip."""

    kind: ClassVar[str] = "npu operators"

    table: str
    chip: str
    rows: tuple[OperatorCost, ...]
    median_abs_error: float | None  # over all rows with a reference; None: there is none
    p90_abs_error: float | None
    groups: tuple[GroupError, ...]
    trust: Trust
    seed: int
    inputs: Mapping[str, str]
    run: RunInfo | None = None

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`."""
        figures = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _FRAME}
        document: dict[str, object] = {
            "schema": SCHEMA,
            "kind": self.kind,
            "seed": self.seed,
            "inputs": self.inputs,
            "result": figures,
        }
        return document if self.run is None else {**document, "run": self.run}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal; the last ones say how far to trust them."""
        shown = [
            ("table", f"{self.table}, {len(self.rows)} operators"),
            ("chip", f"{self.chip}, one tile"),
            ("cycles", f"{sum(row.cycles for row in self.rows):,} in all"),
        ]
        if self.median_abs_error is not None and self.p90_abs_error is not None:
            shown.append(("error against cycles_nn", _errors(self.median_abs_error, self.p90_abs_error)))
        shown += [
            (
                f"  {group.op} {group.dtype}",
                f"{_errors(group.median_abs_error, group.p90_abs_error)}, {group.rows} rows",
            )
            for group in self.groups
        ]
        return [*shown, *self.trust.rows()]

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write the run folder and return it."""
        about = {"schema": SCHEMA, "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=self.kind, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
        return folder


def _errors(median: float, p90: float) -> str:
    return f"median {median:.1%}, 90 % of the rows within {p90:.1%}"
