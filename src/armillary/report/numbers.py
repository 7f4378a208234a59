"""Numbers as a reader wants them: three or four digits, a prefix, a unit; one scale a column.

In:  floats in base units, the unit's symbol.
Out: text such as "2.61 ms", "6.75 MiB", "41.2 %", "1 234 567", or "–" where there is no value.
Sizes in bytes take binary prefixes (memories are sold so), rates in bytes a second and all else decimal ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from armillary.units import format_bytes, format_quantity

NONE = "–"
# Powers of ten of the SI prefixes, largest first.
_PREFIXES = (
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
    ("m", -3),
    ("µ", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
)
_BINARY_PREFIXES = (("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10))  # and powers of two
# Units that take no prefix: shares, counts, and compound ones that read badly with one.
_PLAIN = frozenset({"", "%", "x", "°C", "K"})


def quantity(value: float | None, unit: str) -> str:
    """Return `value` with three significant digits and an SI prefix.

    Args:
        value: in base units; a share for "%" (0.41 -> "41 %"), a count for "".
        unit: symbol without prefix.
    """
    number, symbol = split_quantity(value, unit)
    return f"{number} {symbol}".rstrip()


def split_quantity(value: float | None, unit: str) -> tuple[str, str]:
    """Return number and prefixed unit apart, for typography that sets them differently."""
    if value is None or not math.isfinite(value):
        return NONE, ""
    if unit == "%":
        return f"{value * 100:.3g}" if abs(value) < 9.995 else f"{value * 100:.0f}", "%"
    if unit in _PLAIN:
        return plain(value), unit
    text = format_bytes(value) if unit == "B" else format_quantity(value, unit)
    number, symbol = text.split(" ", 1)
    return number, "µ" + symbol[1:] if symbol != unit and symbol.startswith("u") else symbol


def plain(value: float) -> str:
    """Return a number without unit: whole ones grouped by narrow spaces, others with four significant digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{float(f'{value:.4g}'):g}"


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """One prefix and one number of decimals for a whole column, so that its cells compare at a glance."""

    unit: str  # prefixed, for the column's head
    scale: float  # cells are divided by it
    decimals: int

    def cell(self, value: float | None) -> str:
        """Return the text of one cell; what rounds to zero without being zero says so."""
        if value is None or not math.isfinite(value):
            return NONE
        scaled = value / self.scale
        smallest = 10.0**-self.decimals
        if scaled != 0.0 and abs(scaled) < smallest / 2:
            return f"<\u202f{smallest:.{self.decimals}f}"
        return f"{scaled:,.{self.decimals}f}".replace(",", "\u202f")


def column_scale(values: Sequence[float | None], unit: str) -> ColumnScale:
    """Choose the prefix by the largest value and the decimals by the middle one."""
    sizes = sorted(abs(value) for value in values if value is not None and math.isfinite(value) and value != 0)
    if not sizes:
        return ColumnScale(unit, 1.0, 0)
    if unit == "%":
        return ColumnScale("%", 1e-2, 1)
    if all(float(size).is_integer() for size in sizes) and (unit in _PLAIN or sizes[-1] < 10_000):
        return ColumnScale(unit, 1.0, 0)
    prefix, scale = _prefix(sizes[-1], unit)
    middle = sizes[len(sizes) // 2] / scale
    decimals = min(3, max(0, 2 - math.floor(math.log10(middle))))
    return ColumnScale(prefix + unit, scale, decimals)


def _prefix(largest: float, unit: str) -> tuple[str, float]:
    """Return the prefix that fits `largest`, and its size."""
    if unit in _PLAIN:
        return "", 1.0
    if unit == "B":
        return next(((p, 2.0**e) for p, e in _BINARY_PREFIXES if largest >= 2.0**e * 0.9995), ("", 1.0))
    return next(((p, 10.0**e) for p, e in _PREFIXES if largest >= 10.0**e * 0.9995), ("f", 1e-15))
