"""The compiled entry points for what a caller does at a stop: change a value, cancel, append.

In:  the table of a `State` (engine/_state_type.py). Out: `change_value`, `cancel_task`, `requeue_all`.
Import inside functions only.
"""

from __future__ import annotations

from typing import Any

from numba import float64, int64, void

from armillary.engine import changes
from armillary.engine._jit import njit
from armillary.engine._state_type import TABLE, as_state


@njit(void(TABLE, int64, float64, int64))
def change_value(table: Any, resource: int, value: float, now: int) -> None:
    """Set a rate factor or capacity at a stop."""
    changes.track_rates(as_state(table))
    changes.set_value(as_state(table), resource, value, now)


@njit(void(TABLE, int64, int64))
def cancel_task(table: Any, task: int, now: int) -> None:
    """Cancel a task at a stop."""
    changes.cancel(as_state(table), task, now)


@njit(void(TABLE))
def requeue_all(table: Any) -> None:
    """Order the queues by priority from now on."""
    changes.requeue(as_state(table))
