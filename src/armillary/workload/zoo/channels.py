"""Rounding of scaled channel counts, shared by the mobile families.

In:  channels and a width multiplier. Out: a multiple of 8, never more than 10 % below what was asked for.
Source: `make_divisible` of the MobileNet code (tensorflow/models, Apache-2.0).
"""

from __future__ import annotations


def round_channels(channels: int, width: float, *, divisor: int = 8) -> int:
    """Return channels * width rounded to the nearest multiple of `divisor`, at least `divisor`."""
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded
