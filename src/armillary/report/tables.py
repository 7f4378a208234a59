"""Tables that sort by a click, and the bottleneck table with its bar of shares.

In:  columns (label, unit, how to show) and rows of plain values in base units. Out: `Block`s with every cell escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from armillary.errors import InputError
from armillary.report.markup import Block, clean, escape
from armillary.report.numbers import NONE, column_scale, quantity
from armillary.report.palette import colours_of

Cell = str | float | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: text, a number in base units of `unit`, or a share from 0 to 1 with a bar (full at the largest)."""

    label: str
    unit: str = ""
    show: Literal["text", "number", "share"] = "text"


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One thing that bounds the run: its share of the time and what would relieve it."""

    what: str
    time_s: float
    share: float  # of the whole time, 0..1
    remedy: str = ""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, caption: str = "") -> Block:
    """Return a table whose columns sort by a click on their heads.

    Args:
        columns: from left to right; the first one names the row.
        rows: one value a column, in base units; None where there is no value.
        caption: a line above the table.

    Raises:
        InputError: a row has more or fewer values than there are columns.
    """
    for index, row in enumerate(rows):
        if len(row) != len(columns):
            raise InputError(
                f"row {index} has {len(row)} values for {len(columns)} columns", where=f"table {caption!r}"
            )
    heads, cells = [], []
    for number, column in enumerate(columns):
        label, texts = _column(column, [row[number] for row in rows])
        heads.append(label)
        cells.append(texts)
    lines = "".join(f"<tr>{''.join(line)}</tr>" for line in zip(*cells, strict=True))
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Block(
        f'<div class="table" tabindex="0"><table>{title}<thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def bottleneck_table(entries: Sequence[Bottleneck], *, colours: Mapping[str, str] | None = None) -> Block:
    """Return the bar of shares and the table of what bounds the run, the largest first.

    Args:
        entries: what bounds the run.
        colours: what -> "#rrggbb", where it has a colour elsewhere on the page.
    """
    ordered = sorted(entries, key=lambda entry: -entry.share)
    columns = [Column("Bound by"), Column("Share of time", show="share"), Column("Time", "s", "number")]
    rows: list[list[Cell]] = [[entry.what, entry.share, entry.time_s] for entry in ordered]
    if any(entry.remedy for entry in ordered):
        columns.append(Column("What would help"))
        rows = [[*row, entry.remedy or None] for row, entry in zip(rows, ordered, strict=True)]
    bar = share_bar([(entry.what, entry.share) for entry in ordered], colours=colours)
    return Block(bar.html + table(columns, rows).html)


def share_bar(parts: Sequence[tuple[str, float]], *, colours: Mapping[str, str] | None = None) -> Block:
    """Return one horizontal bar cut into (label, share) parts; what is left of 1 stays empty."""
    colour_of = colours_of([label for label, _ in parts], colours)
    drawn = [(label, share, colour_of[label]) for label, share in parts if share > 0]
    total = max(1.0, sum(share for _, share, _ in drawn))
    pieces = "".join(
        f'<span style="width:{100 * share / total:.3f}%;background:{colour}" '
        f'title="{escape(label)}: {quantity(share, "%")}"></span>'
        for label, share, colour in drawn
    )
    keys = "".join(
        f'<li><i style="background:{colour}"></i>{escape(label)} <b>{quantity(share, "%")}</b></li>'
        for label, share, colour in drawn
    )
    return Block(f'<div class="shares">{pieces}</div><ul class="keys">{keys}</ul>')


def _column(column: Column, values: Sequence[Cell]) -> tuple[str, list[str]]:
    if column.show == "text":
        return _head(column.label, "text"), [f'<td class="text">{_text(value)}</td>' for value in values]
    numbers = [_number(value, column) for value in values]
    if column.show == "share":
        largest = max((value for value in numbers if value is not None and math.isfinite(value)), default=1.0)
        return _head(column.label, "number"), [_share(value, largest) for value in numbers]
    scale = column_scale(numbers, column.unit)
    label = f"{column.label} ({scale.unit})" if scale.unit else column.label
    return _head(label, "number"), [
        f'<td data-value="{_sort_key(value)}">{scale.cell(value)}</td>' for value in numbers
    ]


def _head(label: str, order: str) -> str:
    return f'<th scope="col" class="{order}"><button type="button" data-order="{order}">{escape(label)}</button></th>'


def _number(value: Cell, column: Column) -> float | None:
    if isinstance(value, str):
        raise InputError(
            f"column {column.label!r} shows numbers, not {clean(value)[:40]!r}", hint='declare it with show="text"'
        )
    return value


def _text(value: Cell) -> str:
    return NONE if value is None else escape(value if isinstance(value, str) else f"{value:g}")


def _sort_key(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(float(value))


def _share(value: float | None, largest: float) -> str:
    if value is None or not math.isfinite(value):
        return f'<td data-value="">{NONE}</td>'
    width = 100 * max(0.0, value) / largest if largest > 0 else 0.0
    return (
        f'<td class="share" data-value="{float(value)!r}"><span class="bar"><i style="width:{width:.2f}%"></i></span>'
        f"<span>{100 * value:.1f}\u202f%</span></td>"
    )
