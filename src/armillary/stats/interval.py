"""A value with bounds: what is reported when a parameter or a figure is uncertain.

In:  low, value, high in one unit. Out: a frozen `Interval`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from armillary.errors import InputError


@dataclass(frozen=True, slots=True)
class Interval:
    """`value` with `low` <= `value` <= `high`, all in the unit that the field's name states.

    Raises:
        InputError: a bound is not finite, or the three are out of order.
    """

    low: float
    value: float
    high: float

    def __post_init__(self) -> None:
        if not all(isfinite(bound) for bound in (self.low, self.value, self.high)):
            raise InputError(f"interval {self.low} .. {self.value} .. {self.high} is not finite")
        if not self.low <= self.value <= self.high:
            raise InputError(
                f"interval {self.low} .. {self.value} .. {self.high} is out of order", hint="low <= value <= high"
            )
