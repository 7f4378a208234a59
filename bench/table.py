"""Figures as a table for people.

In:  `Figure`s. Out: a rich table: value, peer, ratio, target and whether it is met, and what bounds the figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bench.benchmark import Figure, Target

GATE, REPORTED = "gate", "goal"


def shown(value: float | None) -> str:
    """Three digits, millions and thousands by letter; a dash for None."""
    if value is None:
        return "-"
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def shown_target(target: Target | None) -> str:
    if target is None:
        return "-"
    word = GATE if target.of == "ratio" else REPORTED
    return f"{word} {'<=' if target.at_most else '>='} {shown(target.bound)}{'x' if target.of == 'ratio' else ''}"


def table(figures: Sequence[Figure]) -> Table:
    """Return the table; a gate is a target on a ratio, a goal one on the value itself."""
    result = Table(title="CPU time of one core, medians")
    for heading in ("id", "value", "unit", "peer's", "ratio", "target", "met", "bounded by", "peer"):
        result.add_column(heading, justify="right" if heading in ("value", "peer's", "ratio") else "left")
    for figure in figures:
        benchmark, measured = figure.benchmark, figure.measured
        result.add_row(
            benchmark.id,
            shown(measured.value),
            benchmark.unit,
            shown(measured.peer_value),
            shown(figure.ratio),
            shown_target(benchmark.target),
            {True: "yes", False: "no", None: "-"}[figure.ok],
            benchmark.bounded_by,
            benchmark.peer or "",
        )
    return result
