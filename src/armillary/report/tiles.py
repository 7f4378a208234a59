"""Summary tiles and the trust box: what a reader must see before anything else.

In:  labelled values in base units; how far the answer can be trusted. Out: `Block`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armillary.report.markup import Block, escape
from armillary.report.numbers import quantity, split_quantity
from armillary.timeline.trust import Trust


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the summary: a value in base units with its unit, or text."""

    label: str
    value: float | str | None
    unit: str = ""
    note: str = ""


def tiles(entries: Sequence[Tile]) -> Block:
    """Return a row of summary tiles that wraps on narrow screens."""
    return Block(f'<div class="tiles">{"".join(_tile(entry) for entry in entries)}</div>')


def _tile(entry: Tile) -> str:
    number, unit = (
        (entry.value, entry.unit) if isinstance(entry.value, str) else split_quantity(entry.value, entry.unit)
    )
    note = f'<div class="tile-note">{escape(entry.note)}</div>' if entry.note else ""
    symbol = f' <span class="tile-unit">{escape(unit)}</span>' if unit else ""
    return (
        f'<div class="tile"><div class="tile-label">{escape(entry.label)}</div>'
        f'<div class="tile-value">{escape(number)}{symbol}</div>{note}</div>'
    )


def trust_box(trust: Trust) -> Block:
    """Return the box that says how far the figures of this page can be trusted."""
    verdict = "Inside the calibrated range" if trust.inside else "Outside the calibrated range"
    error = "not known" if trust.expected_error is None else f"± {quantity(trust.expected_error, '%')}"
    facts = [
        ("Expected error", error),
        ("Calibrated range", trust.calibrated_range),
        ("Basis", trust.basis),
        ("What would improve it", trust.improve),
    ]
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    return Block(
        f'<aside class="trust {"inside" if trust.inside else "outside"}"><h3>{verdict}</h3><dl>{listed}</dl></aside>'
    )
