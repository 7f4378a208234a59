"""Step functions of time: what is in use, and amounts spread over spans, both in exact integers.

In:  changes at ticks; or whole amounts (femtojoules, bytes), each with the span in which it was spent.
Out: `Steps` (a value from each tick on), `Spread` (a rate from each tick on whose integral is the sum of the amounts).
Rounding of `Spread`: an amount a over d ticks flows at floor(a / d) per tick in fixed point, and the remainder as one
quantum more in each of the first ticks; so every integral from 0 to the end of time is exact, to the last unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armillary.engine.graph import FloatArray, IntArray
from armillary.errors import InputError

# Binary digits after the point of a rate, where the total leaves room for them.
MAX_FRACTION_BITS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """value[i] holds from tick[i] up to tick[i + 1], the last one on and on; tick[0] is 0; shape (steps,)."""

    tick: IntArray
    value: IntArray

    @property
    def peak(self) -> int:
        """The largest value."""
        return int(self.value.max())

    def at(self, tick: IntArray) -> IntArray:
        """Return the value at each tick >= 0."""
        return self.value[np.searchsorted(self.tick, tick, side="right") - 1]

    def integral(self, tick: IntArray) -> IntArray:
        """Return the sum of value times ticks from 0 to each tick >= 0."""
        index = np.searchsorted(self.tick, tick, side="right") - 1
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.value[:-1] * np.diff(self.tick))])
        return before[index] + self.value[index] * (tick - self.tick[index])


def add_up(tick: IntArray, change: IntArray) -> Steps:
    """Return the running sum of `change` over time, from 0 at tick 0; shape (changes,), any order, ticks >= 0."""
    order = np.argsort(tick, kind="stable")
    tick = np.concatenate([np.zeros(1, np.int64), tick[order]])
    value = np.concatenate([np.zeros(1, np.int64), np.cumsum(change[order])])
    settled = np.append(tick[1:] != tick[:-1], True)
    tick, value = tick[settled], value[settled]
    new = np.append(True, value[1:] != value[:-1])
    return Steps(tick[new], value[new])


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """A rate over time: `steps` counts quanta of 2**-fraction_bits units per tick."""

    steps: Steps
    fraction_bits: int

    @property
    def per_tick(self) -> FloatArray:
        """Units per tick from each `steps.tick` on."""
        return np.ldexp(self.steps.value.astype(np.float64), -self.fraction_bits)

    def until(self, tick: IntArray) -> IntArray:
        """Return the whole units spent from 0 to each tick (rounded down within a span, exact at its end)."""
        return self.steps.integral(tick) >> self.fraction_bits


def spread(start: IntArray, end: IntArray, amount: IntArray) -> Spread:
    """Spread each `amount` evenly over [start, end); a span without ticks gets one.

    Args:
        start, end: ticks, shape (spans,).
        amount: whole units >= 0, shape (spans,).

    Raises:
        InputError: an amount is negative, or they add up to 2**62 or more.
    """
    if np.any(amount < 0):
        raise InputError("a negative amount cannot be spread over time", hint="energies and bytes are at least 0")
    total = float(amount.sum(dtype=np.float64))
    if total >= 2.0**61:
        raise InputError(f"amounts of {total:.3g} units are too many for exact sums", hint="2**61 is the limit")
    bits = min(MAX_FRACTION_BITS, 61 - int(total).bit_length())
    ticks = np.maximum(end - start, 1)
    rate, more = np.divmod(amount << bits, ticks)
    steps = add_up(
        np.concatenate([start, start + more, start + ticks]), np.concatenate([rate + 1, np.full(len(rate), -1), -rate])
    )
    return Spread(steps, bits)
