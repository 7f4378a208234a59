"""The compiled entry points of `simulate`: explicit signatures, so that importing this module compiles or loads them.

In:  the table of a `State` (engine/_state_type.py). Out: `advance_plain`, `advance_general` (reason codes), `change_value`, `cancel_task`.
Import inside functions only.
"""

from __future__ import annotations

from typing import Any

from numba import int64, types

from armillary.engine import changes
from armillary.engine._jit import njit
from armillary.engine._policy_type import POLICY
from armillary.engine._state_type import TABLE, as_state
from armillary.engine.kernel import play


@njit(int64(TABLE, int64, POLICY, int64))
def advance_plain(table: Any, until: int, policy: Any, policy_kind: int) -> int:
    """Play a graph of tasks on servers: no bytes, leases, latencies, releases, priorities, changes or START edges."""
    return play(as_state(table), until, policy, 0, False, True)


@njit(int64(TABLE, int64, POLICY, int64))
def advance_general(table: Any, until: int, policy: Any, policy_kind: int) -> int:
    """Play any graph."""
    return play(as_state(table), until, policy, policy_kind, True, True)


@njit(types.void(TABLE, int64, types.float64, int64))
def change_value(table: Any, resource: int, value: float, now: int) -> None:
    """Set a rate factor or capacity at a stop."""
    changes.track_rates(as_state(table))
    changes.set_value(as_state(table), resource, value, now)


@njit(types.void(TABLE, int64, int64))
def cancel_task(table: Any, task: int, now: int) -> None:
    """Cancel a task at a stop."""
    changes.cancel(as_state(table), task, now)


@njit(types.void(TABLE))
def requeue_all(table: Any) -> None:
    """Order the queues by priority from now on."""
    changes.requeue(as_state(table))
