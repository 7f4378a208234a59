"""Work in progress under a clock that changes: what is left, and when it ends.

In:  work left at tick `since` (ticks at full speed), the share of it that scales with the clock, factors of the clock.
Out: speed, work left later, tick of the end. The same arithmetic as rate changes of `simulate` (docs/engine.md,
section 6), for models of `drive`: settle at the old speed, set the new one, move the timer.
The integral of speed over the pieces is the work, to the tick in which it ends.
"""

from __future__ import annotations

from armillary.engine._jit import njit
from armillary.engine.timers import ticks_up


@njit()
def speed_of(factor: float, bound: float) -> float:
    """Speed of work of which the share `bound` takes 1 / factor as long, and the rest the same time."""
    return 1.0 if factor == 1.0 or bound == 0.0 else 1.0 / (bound / factor + 1.0 - bound)


@njit()
def left_after(left: float, speed: float, elapsed: int) -> float:
    """Work left after `elapsed` ticks at `speed`."""
    return max(0.0, left - elapsed * speed)


@njit()
def end_of(now: int, left: float, speed: float) -> int:
    """Tick in which work ends that has `left` to do from `now` on."""
    return now + ticks_up(left / speed)
