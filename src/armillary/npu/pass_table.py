"""What one pass of the compiler hands on, as a table of plain values.

In:  rows of `passes`. Out: `PassTable`, for people and as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Cell = str | int | float | bool


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
