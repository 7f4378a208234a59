"""SI units at the border: text with a unit becomes a float in base units; seconds become ticks.

In:  "80 GB", "3.35 TB/s", "700 W", "1.3 GHz", "6.75 MiB", "2 us"; floats of seconds.
Out: floats in bytes, bytes/s, W, Hz, s, J, V, K, op/s, and int64 ticks (rounded up, in one place).
Inside Armillary every quantity is a plain number whose name carries its unit.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from armillary.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PICOSECOND: Final = 1e-12
NANOSECOND: Final = 1e-9
KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3

# A time beyond this many ticks is refused: sums of two such times still fit in int64.
MAX_TICKS: Final = 2**62

_DECIMAL = {
    "": 1.0,
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "µ": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
}
# Prefixes that are written, largest first, with their powers of ten.
_PREFIXES = (("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3), ("u", -6), ("n", -9), ("p", -12))
_BINARY = {"Ki": 1024.0, "Mi": 1024.0**2, "Gi": 1024.0**3, "Ti": 1024.0**4}

# Dimension -> symbols that may follow a prefix, with their size in the base unit.
_SYMBOLS: dict[str, dict[str, float]] = {
    "bytes": {"B": 1.0, "bit": 0.125},
    "bytes_per_s": {"B/s": 1.0, "bit/s": 0.125, "bps": 0.125},
    "hz": {"Hz": 1.0},
    "s": {"s": 1.0},
    "w": {"W": 1.0},
    "j": {"J": 1.0},
    "v": {"V": 1.0},
    "ops_per_s": {"FLOP/s": 1.0, "OP/s": 1.0, "OPS": 1.0, "FLOPS": 1.0},
    "j_per_byte": {"J/B": 1.0, "J/bit": 8.0},
}
_EXAMPLE = {
    "bytes": "8 MiB",
    "bytes_per_s": "490 MB/s",
    "hz": "1.3 GHz",
    "s": "2 us",
    "w": "700 W",
    "j": "1.5 pJ",
    "v": "0.8 V",
    "ops_per_s": "312 TFLOP/s",
    "j_per_byte": "20 pJ/B",
}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([^\s\d][^\s]*)?\s*")


def parse(text: str, dimension: str) -> float:
    """Return the quantity in `text` in the base unit of `dimension`.

    Args:
        text: number and unit, such as "3.35 TB/s".
        dimension: one of bytes, bytes_per_s, hz, s, w, j, v, ops_per_s, j_per_byte.

    Raises:
        InputError: no number, no unit, another dimension's unit, or not finite.
    """
    example = f'write for example "{_EXAMPLE[dimension]}"'
    match = _QUANTITY.fullmatch(text[:100])
    if match is None:
        raise InputError(f"{text[:60]!r} is not a quantity", hint=example)
    number, unit = float(match[1]), match[2]
    if unit is None:
        raise InputError(f"{text[:60]!r} has no unit", hint=example)
    for symbol, size in _SYMBOLS[dimension].items():
        if unit.endswith(symbol):
            prefix = unit[: -len(symbol)]
            scale = _DECIMAL.get(prefix)
            if scale is None and dimension.startswith("bytes"):
                scale = _BINARY.get(prefix)
            if scale is not None and math.isfinite(number * scale * size):
                return number * scale * size
    raise InputError(f"{text[:60]!r} has a unit that does not fit here", hint=example)


def to_ticks(seconds: float, tick_s: float) -> int:
    """Return `seconds` in ticks, rounded up; a value within 1e-9 of a whole tick is that tick.

    The only place where seconds become ticks. Compared as float before the cast, so nothing wraps.

    Raises:
        InputError: negative, not a number, or beyond 2**62 ticks.
    """
    ticks = seconds / tick_s
    if not 0.0 <= ticks < MAX_TICKS:
        raise InputError(
            f"a time of {seconds!r} s does not fit in ticks of {tick_s} s", hint="use a time from 0 to 2**62 ticks"
        )
    whole = round(ticks)
    # Seconds such as 3e-9 are not exact in binary: without the tolerance they would gain a tick.
    return whole if abs(ticks - whole) <= 1e-9 * max(1.0, whole) and whole < 2**40 else math.ceil(ticks)


def to_ticks_array(seconds: npt.ArrayLike, tick_s: float) -> npt.NDArray[np.int64]:
    """Return `to_ticks` of every element, shape as given.

    Raises:
        InputError: an element is negative, not a number, or beyond 2**62 ticks.
    """
    import numpy as np

    ticks = np.asarray(seconds, np.float64) / tick_s
    outside = ~((ticks >= 0.0) & (ticks < MAX_TICKS))
    if outside.any():
        to_ticks(float(np.asarray(seconds, np.float64)[outside][0]), tick_s)  # raises, with the words for one time
    whole = np.rint(ticks)
    is_whole = (np.abs(ticks - whole) <= 1e-9 * np.maximum(1.0, whole)) & (whole < 2**40)
    return np.where(is_whole, whole, np.ceil(ticks)).astype(np.int64)


def format_quantity(value: float, unit: str) -> str:
    """Return `value` with three significant digits and a decimal prefix: (2.6e-3, "s") -> "2.6 ms"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    for prefix, exponent in _PREFIXES:
        scale = 10.0**exponent
        if abs(value) >= scale * 0.9995 or prefix == "p":
            return f"{float(f'{value / scale:.3g}'):g} {prefix}{unit}"
    raise AssertionError("unreachable")


def format_bytes(size: float) -> str:
    """Return a size of storage with three significant digits and a binary prefix: 7077888 -> "6.75 MiB"."""
    for prefix, scale in (("Ti", 1024.0**4), ("Gi", 1024.0**3), ("Mi", 1024.0**2), ("Ki", 1024.0)):
        if abs(size) >= scale * 0.9995:
            number = size / scale
            return f"{number:.0f} {prefix}B" if abs(number) >= 999.5 else f"{float(f'{number:.3g}'):g} {prefix}B"
    return f"{size:.4g} B"
